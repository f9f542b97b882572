"""`SortedSample`: scores and truth, checked, sorted and grouped once, so that every replicate is only a new weight vector."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray

IntArray = np.ndarray[Any, np.dtype[np.int64]]
NanPolicy = Literal["raise", "drop"]
# Below this share of distinct (score, truth) cells, equal rows are merged: a replicate then costs the cells, not the rows.
_MERGE_BELOW = 0.5


@dataclass(frozen=True, eq=False)
class SortedSample:
    """Rows in rising order of (score, truth); equal rows may be merged into one row of larger ``multiplicity``.

    Attributes
    ----------
    scores, truth : (n_rows,) float64
    weights : (n_rows,) float64
        Frequency weights: a row of weight 3 counts as three equal rows. Of a merged row, the sum.
    multiplicity : (n_rows,) float64
        Number of input rows behind each row, whatever their weight.
    cluster : (n_rows,) int64 or None
        Codes 0..n_clusters-1 of the independent unit to which a row belongs.
    order : (n,) int64
        Positions of the used input rows in sorted order (before merging).
    stratum : (n_rows,) int64 or None
        Codes 0..n_strata-1 of the stratum within which a row's unit is resampled.
    """

    scores: FloatArray
    truth: FloatArray
    weights: FloatArray
    multiplicity: FloatArray
    cluster: IntArray | None
    order: IntArray
    n: int
    n_missing: int = 0
    stratum: IntArray | None = None
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def n_rows(self) -> int:
        """Rows after merging."""
        return len(self.scores)

    @cached_property
    def starts(self) -> IntArray:
        """First row of each group of equal scores."""
        return group_starts(self.scores)

    @cached_property
    def truth_order(self) -> IntArray:
        """Stable order of the rows by truth."""
        return np.argsort(self.truth, kind="stable")

    @cached_property
    def truth_starts(self) -> IntArray:
        """First row of each group of equal truth, in `truth_order`."""
        return group_starts(self.truth[self.truth_order])

    @cached_property
    def n_clusters(self) -> int:
        """Number of independent units: clusters where given, otherwise input rows."""
        return self.n if self.cluster is None else int(self.cluster.max()) + 1

    @cached_property
    def unit_stratum(self) -> IntArray | None:
        """Stratum of each independent unit, (n_clusters,); None without strata."""
        if self.stratum is None or self.cluster is None:
            return self.stratum
        out = np.empty(self.n_clusters, dtype=np.int64)
        out[self.cluster] = self.stratum
        return out

    @cached_property
    def n_lone_strata(self) -> int:
        """Strata of a single unit; nothing can be resampled in them."""
        return 0 if self.unit_stratum is None else int((np.bincount(self.unit_stratum) == 1).sum())

    @cached_property
    def binary(self) -> bool:
        """Whether every truth is 0 or 1."""
        return bool(np.all((self.truth == 0) | (self.truth == 1)))

    @cached_property
    def positive(self) -> Any:
        """Rows of truth 1."""
        return self.truth == 1

    @cached_property
    def n_effective(self) -> float:
        """Kish's effective count of the used rows."""
        if not np.array_equal(self.weights, self.multiplicity):
            return float(self.weights.sum() ** 2 / (self.weights**2).sum())
        return float(self.n)

    def first_input(self, rows: Any) -> int:
        """Return the smallest input position among the rows of a boolean mask, for error messages."""
        if self.n_rows == self.n:
            return int(self.order[rows].min())
        return int(self.order[np.repeat(rows, self.multiplicity.astype(np.int64))].min())

    def take(self, rows: IntArray) -> SortedSample:
        """Return the sample of some rows (rising positions), as for a subset in a bag of little bootstraps."""
        cluster = None if self.cluster is None else np.unique(self.cluster[rows], return_inverse=True)[1]
        return replace(
            self,
            scores=self.scores[rows],
            truth=self.truth[rows],
            weights=self.weights[rows],
            multiplicity=self.multiplicity[rows],
            cluster=cluster,
            stratum=None if self.stratum is None else np.unique(self.stratum[rows], return_inverse=True)[1],
            order=self.order[rows] if len(self.order) == self.n_rows else self.order,
            n=int(self.multiplicity[rows].sum()),
            cache={},
        )


def group_starts(values: FloatArray) -> IntArray:
    """Return the first position of each run of equal values in a sorted array."""
    change = np.empty(len(values), dtype=bool)
    change[:1] = True
    np.not_equal(values[1:], values[:-1], out=change[1:])
    return np.flatnonzero(change)


def group_sums(values: FloatArray, starts: IntArray) -> FloatArray:
    """Return sums over groups along the last axis; free of cost where every group is a single row."""
    if len(starts) == values.shape[-1]:
        return values
    return np.asarray(np.add.reduceat(values, starts, axis=-1))


def weighted_sum(weights: FloatArray, rows: FloatArray) -> FloatArray:
    """Return (n_replicates,) sums of `rows` under each weight vector; not by BLAS, whose threads cost more than they save here."""
    return np.asarray(np.einsum("ij,j->i", weights, rows))


def sorted_sample(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    nan_policy: NanPolicy = "raise",
    merge: bool = True,
) -> SortedSample:
    """Check, sort and group scores and truth.

    Parameters
    ----------
    scores : (n,) float64
        Any order-giving number; infinities are allowed, NaN is missing.
    truth : (n,) float64
        Finite; 0/1, a loss or a quality.
    weights : (n,) float64, optional
        Frequency weights >= 0, not all zero.
    clusters : (n,) any, optional
        Label of the independent unit of each row.
    strata : (n,) any, optional
        Label of the stratum of each row, where the number of rows (or clusters) in each was set by design; a cluster lies in one.
    nan_policy : {"raise", "drop"}
        What to do with rows whose score or truth is NaN.
    merge : bool
        Allow equal rows to be merged (only without weights, clusters and strata).

    Raises
    ------
    InputError
        Empty input, lengths that differ, NaN under ``"raise"``, infinite truth, bad weights, a cluster in two strata; names the first
        index.
    """
    s, t = as_vector(scores, "scores"), as_vector(truth, "truth")
    n_in = len(s)
    check_length(len(t), n_in, "truth")
    w = np.ones(n_in) if weights is None else check_weights(weights, n_in)
    codes = None if clusters is None else cluster_codes(clusters, n_in)
    strata_codes = None if strata is None else _stratum_codes(strata, n_in, codes)
    keep = keep_rows(np.isnan(s) | np.isnan(t), nan_policy, "scores or truth")
    if len(bad := np.flatnonzero(np.isinf(t))):
        raise InputError(f"truth[{bad[0]}] is {t[bad[0]]}; a truth must be finite")
    order = np.lexsort((t, s)) if keep is None else keep[np.lexsort((t[keep], s[keep]))]
    s, t, w = s[order], t[order], w[order]
    if not w.sum() > 0:
        raise InputError("the weights of the rows that are left sum to zero; give at least one a positive weight")
    n = len(order)
    multiplicity = np.ones(n)
    if strata_codes is not None:
        strata_codes = _by_first_row(strata_codes[order])
    if codes is not None:
        codes = _by_first_row(codes[order])
    elif weights is None and strata is None and merge and len(cells := _cells(s, t)) < _MERGE_BELOW * n:
        multiplicity = np.diff(np.append(cells, n)).astype(np.float64)
        s, t, w = s[cells], t[cells], multiplicity
    return SortedSample(s, t, w, multiplicity, codes, order, n=n, n_missing=n_in - n, stratum=strata_codes)


def _cells(scores: FloatArray, truth: FloatArray) -> IntArray:
    """First row of each run of equal (score, truth)."""
    return np.flatnonzero(np.r_[True, (scores[1:] != scores[:-1]) | (truth[1:] != truth[:-1])])


def as_vector(values: ArrayLike, name: str) -> FloatArray:
    """Return a non-empty one-dimensional float64 array, or raise `InputError`."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers, one an item; {error}") from error
    if array.ndim != 1:
        raise InputError(f"{name} must be one-dimensional, one number an item; got shape {array.shape}")
    if not len(array):
        raise InputError(f"{name} is empty; at least one item is needed")
    return array


def check_length(got: int, expected: int, name: str) -> None:
    """Raise `InputError` where an argument does not have one entry a row."""
    if got != expected:
        raise InputError(
            f"{name} has {got} entries but scores has {expected}; give one an item (index {min(got, expected)} has no partner)"
        )


def check_weights(weights: ArrayLike, n: int) -> FloatArray:
    """Return checked weights: finite, >= 0, not all zero."""
    w = as_vector(weights, "weights")
    check_length(len(w), n, "weights")
    bad = np.flatnonzero(~np.isfinite(w) | (w < 0))
    if len(bad):
        raise InputError(f"weights[{bad[0]}] is {w[bad[0]]}; weights must be finite and not negative")
    if not w.sum() > 0:
        raise InputError("all weights are zero (from index 0 on); at least one must be positive")
    return w


def cluster_codes(clusters: ArrayLike, n: int, name: str = "clusters") -> IntArray:
    """Return integer codes of cluster labels of any type."""
    labels = np.asarray(clusters)
    if labels.ndim != 1:
        raise InputError(f"{name} must be one-dimensional, one label an item; got shape {labels.shape}")
    check_length(len(labels), n, name)
    if labels.dtype.kind == "O":
        missing = [i for i, label in enumerate(labels) if label is None or label != label]
        if missing:
            raise InputError(f"{name}[{missing[0]}] is missing; give every item one (its own id where it stands alone)")
        table: dict[Any, int] = {}
        return np.array([table.setdefault(label, len(table)) for label in labels], dtype=np.int64)
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise InputError(f"{name}[{int(np.flatnonzero(np.isnan(labels))[0])}] is NaN; give every item one")
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)


def _stratum_codes(strata: ArrayLike, n: int, cluster: IntArray | None) -> IntArray:
    """Return integer codes of strata, each cluster in one of them."""
    codes = cluster_codes(strata, n, "strata")
    if cluster is not None:
        own = np.empty(int(cluster.max()) + 1, dtype=np.int64)
        own[cluster] = codes
        bad = np.flatnonzero(own[cluster] != codes)
        if len(bad):
            raise InputError(f"strata[{bad[0]}] is not the stratum of the rest of its cluster; a cluster lies in one stratum")
    return codes


def keep_rows(missing: Any, nan_policy: NanPolicy, what: str) -> IntArray | None:
    """Return the positions to keep, None for all; raise where NaN is not allowed or nothing is left."""
    if nan_policy not in ("raise", "drop"):
        raise InputError(f"nan_policy is {nan_policy!r}; expected 'raise' or 'drop'")
    if not missing.any():
        return None
    first = int(np.flatnonzero(missing)[0])
    if nan_policy == "raise":
        raise InputError(
            f"{what}: NaN at index {first} ({int(missing.sum())} of {len(missing)} rows); nan_policy='drop' leaves them out and counts them"
        )
    keep = np.flatnonzero(~missing)
    if not len(keep):
        raise InputError(f"{what}: every row is NaN (first index 0); nothing is left to measure")
    return keep


def _by_first_row(codes: IntArray) -> IntArray:
    """Renumber codes by first appearance, so that replicates do not depend on the order in which rows came."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
