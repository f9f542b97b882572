"""Unbiased squares and products of group rates from votes, whole or weighted, and their replicates over items and annotators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError
from trueline.metrics.preferences._checks import group_names
from trueline.stats.estimate import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Votes:
    """One row a vote: which item, whose group, which annotator, and whether the first response was preferred.

    Attributes
    ----------
    item, group, annotator : (n_votes,) int64
        Positions in the lists of names; `annotator` is None where nobody knows who gave which vote.
    choice : (n_votes,) float64
        1 for the first response, 0 for the second.
    items, groups : names
    """

    item: IntArray
    group: IntArray
    annotator: IntArray | None
    choice: FloatArray
    items: list[str]
    groups: list[str]

    @cached_property
    def crossed(self) -> bool:
        """Whether some annotator judged several items, so that items are not independent."""
        if self.annotator is None:
            return False
        return len(np.unique(self.annotator)) < len(np.unique(self.annotator * len(self.items) + self.item))

    def counts(self, weights: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return (n_items, n_groups) votes for the first response, and votes."""
        w = np.ones(len(self.choice)) if weights is None else weights
        return self._table(w * self.choice), self._table(w)

    def rates(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return weighted rates and their unbiased squares (pairs of different votes), as `rates` does for counts."""
        yes, total = self.counts(weights)
        yes2, total2 = self._table(weights**2 * self.choice), self._table(weights**2)
        return _ratio(yes, total, total > 0), _ratio(yes**2 - yes2, total**2 - total2, total**2 - total2 > 1e-12 * total**2)

    def _table(self, values: FloatArray) -> FloatArray:
        n, g = len(self.items), len(self.groups)
        return np.asarray(np.bincount(self.item * g + self.group, weights=values, minlength=n * g).reshape(n, g), dtype=np.float64)


def make_votes(
    item: ArrayLike, group: ArrayLike, choice: ArrayLike, annotator: ArrayLike | None = None, *, groups: Sequence[str] | None = None
) -> Votes:
    """Return the votes of a long table.

    Parameters
    ----------
    item, group, annotator : (n_votes,) of any labels
        `annotator` names who voted; without it intervals cannot know that one person's votes hang together.
    choice : (n_votes,) float64
        1 for the first response, 0 for the second.
    groups : names, optional
        All groups, in the order wanted; those without votes stay in it. Default: those found, sorted.

    Raises
    ------
    InputError
        For columns of different lengths, no vote, another choice than 0 or 1, a group that is not listed.
    """
    columns = [np.asarray(c).astype(str) for c in (item, group) if c is not None]
    made = np.asarray(choice, dtype=np.float64)
    n = len(made)
    if made.ndim != 1 or not n or any(c.shape != (n,) for c in columns):
        raise InputError(
            f"{n} choices for {len(columns[0])} items and {len(columns[1])} groups; expected one of each a vote, and one vote at least"
        )
    bad = np.flatnonzero((made != 0) & (made != 1))
    if len(bad):
        raise InputError(
            f"choice[{bad[0]}] is {made[bad[0]]}; expected 1 (the first response) or 0 (the second); leave ties out and count them"
        )
    items, item_codes = np.unique(columns[0], return_inverse=True)
    found, group_codes = np.unique(columns[1], return_inverse=True)
    names = [str(g) for g in found] if groups is None else group_names(groups, len(groups))
    if unknown := sorted(set(map(str, found)) - set(names)):
        raise InputError(f"the votes have the group {unknown[0]!r}, which is not among the groups given")
    place = np.array([names.index(str(g)) for g in found], dtype=np.int64)
    who = None
    if annotator is not None:
        labels = np.asarray(annotator).astype(str)
        if labels.shape != (n,):
            raise InputError(f"{labels.shape} annotators for {n} votes; expected one a vote")
        who = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return Votes(item_codes.astype(np.int64), place[group_codes], who, made, [str(i) for i in items], names)


def rates(yes: FloatArray, total: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Return p = k/n (NaN without votes) and the unbiased square :math:`p^2 - p(1-p)/(n-1) = k(k-1)/(n(n-1))` (NaN below two)."""
    return _ratio(yes, total, total > 0), _ratio(yes * (yes - 1), total * (total - 1), total > 1)


def _ratio(top: FloatArray, bottom: FloatArray, where: NDArray[np.bool_]) -> FloatArray:
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=where))


def item_weights(n_items: int, clusters: IntArray | None, n_boot: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield multinomial counts of the items (or of clusters, whose items share the count), (n_items,) each."""
    units = n_items if clusters is None else int(clusters.max()) + 1
    for _ in range(n_boot):
        drawn = np.bincount(rng.integers(0, units, units), minlength=units).astype(np.float64)
        yield drawn if clusters is None else drawn[clusters]
