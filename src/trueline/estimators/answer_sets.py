"""Conformal sets of open answers: the labels are the meanings among the samples, and "none of these".

Split conformal prediction as in ``conformal`` over cluster shares; Angelopoulos and Bates, arXiv 2107.07511. Where no sample is right
the true label is "none of these", the least plausible of all: it counts as a share of 0. The share of such items, ``none_rate``, bounds
how much coverage real answers can have, and is reported; an alpha below it keeps everything. Shares of M samples tie: LAC and plain APS
then cover more than asked, randomised APS (``rng``) does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError
from trueline.estimators.conformal import Quantile, aps_scores, lac_scores, split_quantile
from trueline.estimators.inputs import choice

Kind = Literal["lac", "aps"]


@dataclass(frozen=True)
class AnswerSet:
    """clusters: labels that are kept, ascending. none: "none of these" is kept."""

    clusters: tuple[int, ...]
    none: bool

    @property
    def answer(self) -> int | None:
        """The one cluster of a set of one; None: abstain."""
        return self.clusters[0] if len(self.clusters) == 1 and not self.none else None


@dataclass(frozen=True)
class AnswerSets:
    """A calibrated rule. quantile: of the calibration scores. none_rate: share of calibration items without a right sample."""

    kind: Kind
    alpha: float
    quantile: Quantile
    none_rate: float

    @property
    def n(self) -> int:
        """Calibration items."""
        return self.quantile.n

    def sets(self, clusters: Sequence[ArrayLike], rng: np.random.Generator | None = None) -> list[AnswerSet]:
        """The set of each item from the cluster labels of its samples, (m,) int64 an item. ``rng``: as when the rule was made."""
        found = []
        for labels in clusters:
            names, scores = _label_scores(labels, self.kind, rng)
            kept = scores <= self.quantile.value
            found.append(AnswerSet(tuple(int(n) for n in names[kept[:-1]]), bool(kept[-1])))
        return found


def fit_answer_sets(
    clusters: Sequence[ArrayLike], right: Sequence[ArrayLike], alpha: float, kind: Kind = "lac", rng: np.random.Generator | None = None
) -> AnswerSets:
    """Calibrate on labelled items; a fresh item's set then holds a right cluster, or "none of these" where none is, with P >= 1 - alpha.

    clusters: (m,) int64 cluster labels of the samples of each item. right: (m,) 0/1, which samples are right; of several right clusters
    the most plausible one counts. alpha in (0, 1). rng: makes APS randomised. Warns when the items are too few for alpha.
    Raises ``InputError`` for unequal lengths, an item without a sample, or labels other than 0/1.
    """
    choice("kind", kind, ("lac", "aps"))
    if len(clusters) != len(right) or not len(clusters):
        raise InputError(f"{len(clusters)} lists of clusters and {len(right)} of verdicts; give one of each for every item, at least one")
    scores, none = np.empty(len(clusters)), 0
    for i, (labels, verdicts) in enumerate(zip(clusters, right, strict=True)):
        names, found = _label_scores(labels, kind, rng)
        correct = np.asarray(verdicts, dtype=np.float64)
        label = np.asarray(labels)
        if correct.shape != label.shape or not np.isin(correct, (0.0, 1.0)).all():
            raise InputError(f"item {i}: verdicts of shape {correct.shape} for {label.shape} samples; expected 0 or 1 for each")
        true = np.isin(names, label[correct == 1.0])
        none += not true.any()
        scores[i] = found[:-1][true].min() if true.any() else found[-1]
    return AnswerSets(kind, alpha, split_quantile(scores, alpha), none / len(clusters))


def _label_scores(labels: ArrayLike, kind: Kind, rng: np.random.Generator | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(cluster labels ascending, scores of each and of "none of these" at the end)."""
    label = np.asarray(labels, dtype=np.int64)
    if label.ndim != 1 or not len(label):
        raise InputError(f"cluster labels of shape {label.shape}; expected a vector with one label a sample, at least one")
    names, counts = np.unique(label, return_counts=True)
    shares = np.append(counts / len(label), 0.0)[None]
    scores = lac_scores(shares)[0] if kind == "lac" else aps_scores(shares, rng)[0]
    if kind == "aps":
        scores[-1] = 1.0  # the last of all, whatever was drawn
    return names, scores
