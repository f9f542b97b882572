"""Correlations of a score with a continuous truth: Pearson's r, Spearman's rho, Kendall's tau-b, concordance index.

Spearman 1904; Kendall 1945 (tau-b); Harrell 1982 (concordance). Mid-ranks for ties; nothing is rounded; integer weights are repetition.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.metrics._call import CIArgument, call
from trueline.stats.cells import grid_cells
from trueline.stats.engine import Metric
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import NanPolicy, SortedSample, group_starts, group_sums


def spearman(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Spearman's rank correlation: Pearson's correlation of mid-ranks.

    Parameters
    ----------
    scores, truth : (n,) float64
        Any real numbers, such as estimated and true uncertainty.
    weights, clusters, ci, nan_policy
        As in `auroc`.

    Returns
    -------
    Estimate
        NaN with a reason where scores or truths are all equal.

    Examples
    --------
    >>> round(spearman([1, 2, 3, 4], [1, 3, 2, 4], ci=None).value, 3)
    0.8
    """
    return call(SPEARMAN, scores, truth, weights, clusters, ci, nan_policy)


def pearson(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Pearson's linear correlation. Trap: one outlier can make it. Arguments as in `spearman`.

    >>> round(pearson([1, 2, 3, 4], [1, 3, 2, 4], ci=None).value, 3)
    0.8
    """
    return call(PEARSON, scores, truth, weights, clusters, ci, nan_policy)


def kendall(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Kendall's tau-b: (concordant - discordant) / sqrt(pairs untied in scores x pairs untied in truth). Arguments as in `spearman`."""
    return call(KENDALL, scores, truth, weights, clusters, ci, nan_policy)


def concordance(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Concordance index: among pairs of different truth, the share ranked right by the scores (ties one half); AUROC for 0/1 truth.

    Arguments as in `spearman`.
    """
    return call(CONCORDANCE, scores, truth, weights, clusters, ci, nan_policy)


def _mid_ranks(per_group: FloatArray) -> FloatArray:
    return np.asarray(np.cumsum(per_group, axis=1) - per_group / 2)


def _sizes(starts: Any, n: int) -> Any:
    return np.diff(np.append(starts, n))


def _spearman_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    n = sample.n_rows
    x = np.repeat(_mid_ranks(group_sums(weights, sample.starts)), _sizes(sample.starts, n), axis=1)
    order = sample.truth_order
    y = np.empty_like(x)
    y[:, order] = np.repeat(_mid_ranks(group_sums(weights[:, order], sample.truth_starts)), _sizes(sample.truth_starts, n), axis=1)
    # The weighted mean of mid-ranks is always half the total weight.
    half = weights.sum(axis=1, keepdims=True) / 2
    x, y = x - half, y - half
    wx = weights * x
    with np.errstate(invalid="ignore", divide="ignore"):
        xx, yy = np.einsum("ij,ij->i", wx, x), np.einsum("ij,ij,ij->i", weights, y, y)
        # Equal scores leave rounding noise of about 1e-32 of the largest possible sum, under real weights.
        noise = 1e-20 * half[:, 0] ** 3
        return np.asarray(np.where((xx > noise) & (yy > noise), np.einsum("ij,ij->i", wx, y) / np.sqrt(xx * yy), np.nan))


def _pearson_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=1, keepdims=True)
    # centred and scaled once by the whole sample, so that the replicates' sums do not cancel
    a, b = ((v - v.mean()) / (v.std() or 1.0) for v in (sample.scores, sample.truth))
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = a - weights @ a[:, None] / total, b - weights @ b[:, None] / total
        wx = weights * x
        xx, yy = np.einsum("ij,ij->i", wx, x), np.einsum("ij,ij,ij->i", weights, y, y)
        noise = 1e-20 * total[:, 0]
        return np.asarray(np.where((xx > noise) & (yy > noise), np.einsum("ij,ij->i", wx, y) / np.sqrt(xx * yy), np.nan))


def _merge_levels(sample: SortedSample) -> list[tuple[Any, Any, Any]]:
    """Merge sort by truth of rows in score order, level by level: (row order, is-left mask, block of each position); free of weights."""
    if "merge_levels" in sample.cache:
        found: list[tuple[Any, Any, Any]] = sample.cache["merge_levels"]
        return found
    n = sample.n_rows
    rows, levels, width = np.arange(n), [], 1
    while width < n:
        block = rows // (2 * width)
        # Among equal truths the left half goes first, so that a tie is not counted as an inversion.
        rows = rows[np.lexsort((rows // width, sample.truth[rows], block))]
        levels.append((rows, (rows // width) % 2 == 0, rows // (2 * width)))
        width *= 2
    sample.cache["merge_levels"] = levels
    return levels


def _discordant(sample: SortedSample, weights: FloatArray) -> FloatArray:
    """Weight of pairs i before j in score order with truth_i > truth_j; rows of equal score are in truth order and never count."""
    total = np.zeros(len(weights))
    for rows, left, block in _merge_levels(sample):
        w = weights[:, rows]
        from_left = np.where(left, w, 0.0)
        passed = np.cumsum(from_left, axis=1)
        ends = np.flatnonzero(np.append(block[1:] != block[:-1], True))
        behind = passed[:, np.repeat(ends, np.diff(np.append(-1, ends)))] - passed
        total += np.einsum("ij,ij->i", w - from_left, behind)
    return total


def _pairs(sample: SortedSample, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weight of pairs untied in scores, of pairs untied in truth, and concordant minus discordant."""
    order, mass = sample.truth_order, weights.sum(axis=1) ** 2
    score_ties = (group_sums(weights, sample.starts) ** 2).sum(axis=1)
    truth_ties = (group_sums(weights[:, order], sample.truth_starts) ** 2).sum(axis=1)
    both = (group_sums(weights, _cells(sample)) ** 2).sum(axis=1)
    in_score, in_truth = (mass - score_ties) / 2, (mass - truth_ties) / 2
    return in_score, in_truth, in_score - (truth_ties - both) / 2 - 2 * _discordant(sample, weights)


def _cells(sample: SortedSample) -> Any:
    return np.union1d(sample.starts, group_starts(sample.truth))


def _kendall_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    in_score, in_truth, net = _pairs(sample, weights)
    scale = _positive(in_score, weights) * _positive(in_truth, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(scale > 0, net / np.sqrt(scale), np.nan))


def _concordance_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    _, in_truth, net = _pairs(sample, weights)
    in_truth = _positive(in_truth, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(in_truth > 0, 0.5 + 0.5 * net / in_truth, np.nan))


def _positive(pairs: FloatArray, weights: FloatArray) -> FloatArray:
    """Round away what cancellation leaves where every pair is tied."""
    return np.where(pairs > 1e-12 * weights.sum(axis=1) ** 2, pairs, 0.0)


def _constant(sample: SortedSample, *, truth_only: bool = False) -> str:
    used = sample.weights > 0
    what = "truths" if truth_only or np.ptp(sample.truth[used]) == 0 else "scores"
    return f"all {int(sample.multiplicity[used].sum())} {what} are equal: no ranks to compare"


PEARSON = Metric("pearson", _pearson_value, truth="real", reason=_constant, bounds=(-1, 1))
SPEARMAN = Metric("spearman", _spearman_value, truth="real", reason=_constant, bounds=(-1, 1), cells=grid_cells)
# Counting inversions costs a logarithm more than the other metrics, hence the earlier switch to little bootstraps.
KENDALL = Metric("kendall", _kendall_value, truth="real", reason=_constant, bounds=(-1, 1), little_from=20_000)
CONCORDANCE = Metric(
    "concordance", _concordance_value, truth="real", reason=partial(_constant, truth_only=True), bounds=(0, 1), little_from=20_000
)
