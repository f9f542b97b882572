"""Split conformal prediction: scores, thresholds, sets and p-values, also by group, by class and under covariate shift.

Vovk et al. 2005; Romano et al. 2019/2020 (CQR, APS); Angelopoulos et al. 2021 (RAPS); Tibshirani et al. 2019 (weighted); Ding et al. 2023
(clustered). With n exchangeable calibration scores the set {score <= threshold} covers the truth with probability at least 1 - alpha. Where
n is too small for alpha, the threshold is infinite (every class, the whole line) and a warning says so; MAPIE raises instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.accuracy import accuracy
from trueline.metrics.multiclass import check_probabilities
from trueline.metrics.scaling import check_labels
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import as_vector, check_length, check_weights

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_TINY = 1e-9


def conformal_threshold(cal_scores: ArrayLike, alpha: float) -> float:
    """Return the k-th smallest nonconformity score, k = ceil((n + 1)(1 - alpha)); infinite, with a warning, where k > n.

    Parameters
    ----------
    cal_scores : (n,) float64
        Higher = stranger.
    alpha : float
        Error rate in (0, 1).

    Examples
    --------
    >>> conformal_threshold([0.4, 0.1, 0.3, 0.2], 0.4)
    0.3
    """
    return _threshold(_finite(cal_scores, "cal_scores"), _rate(alpha), "the calibration set")


def weighted_threshold(cal_scores: ArrayLike, weights: ArrayLike, test_weight: float, alpha: float) -> float:
    """Return the threshold under covariate shift: the smallest t with sum of w over scores <= t at least (1 - alpha)(sum w + test_weight).

    `weights` (n,) are likelihood ratios of test to calibration covariates; infinite where no t is large enough.
    """
    scores = _finite(cal_scores, "cal_scores")
    w = check_weights(weights, len(scores))
    if not test_weight >= 0:
        raise InputError(f"test_weight is {test_weight}; a likelihood ratio is not negative")
    order = np.argsort(scores, kind="stable")
    goal = (1 - _rate(alpha)) * (w.sum() + test_weight)
    enough = np.flatnonzero(np.cumsum(w[order]) >= goal - _TINY)
    return float(scores[order][enough[0]]) if len(enough) else np.inf


def mondrian_thresholds(cal_scores: ArrayLike, groups: ArrayLike, alpha: float) -> dict[Hashable, float]:
    """Return one threshold a group, each with its own guarantee; groups of fewer than ceil(1/alpha) - 1 rows get infinity and a warning."""
    scores = _finite(cal_scores, "cal_scores")
    labels = np.asarray(groups)
    check_length(len(labels), len(scores), "groups")
    return {g: _threshold(scores[labels == g], _rate(alpha), f"group {g!r}") for g in np.unique(labels).tolist()}


def class_conditional_thresholds(cal_scores: ArrayLike, labels: ArrayLike, n_classes: int, alpha: float) -> FloatArray:
    """Return (K,) thresholds from each true class's own calibration scores; infinite for a class with too few."""
    scores, y = _finite(cal_scores, "cal_scores"), np.asarray(labels)
    check_length(len(y), len(scores), "labels")
    return np.array([_threshold(scores[y == k], _rate(alpha), f"class {k}") for k in range(n_classes)])


def clustered_thresholds(
    cal_scores: ArrayLike, labels: ArrayLike, n_classes: int, alpha: float, *, n_clusters: int = 3, seed: int = 0
) -> FloatArray:
    """Return (K,) thresholds shared by classes of like score distributions (k-means on the classes' score quantiles).

    Classes with fewer than ceil(1/alpha) - 1 scores share one null cluster, whose threshold is that of all rows.
    """
    from scipy.cluster.vq import kmeans2

    scores, y = _finite(cal_scores, "cal_scores"), np.asarray(labels)
    check_length(len(y), len(scores), "labels")
    counts = np.array([(y == k).sum() for k in range(n_classes)])
    large = np.flatnonzero(counts >= max(1, int(np.ceil(1 / _rate(alpha) - _TINY)) - 1))
    out = np.full(n_classes, _threshold(scores, alpha, "the calibration set"))
    if not len(large):
        return out
    levels = np.unique(np.append([0.5, 0.6, 0.7, 0.8, 0.9], 1 - alpha))
    points = np.array([np.quantile(scores[y == k], levels) for k in large])
    k = min(n_clusters, len(np.unique(points, axis=0)))
    cluster = kmeans2(points, k, minit="++", rng=np.random.default_rng(seed))[1] if k > 1 else np.zeros(len(large), dtype=int)
    for c in np.unique(cluster):
        members = large[cluster == c]
        out[members] = _threshold(scores[np.isin(y, members)], alpha, f"cluster {c}")
    return out


def prediction_sets(test_scores: ArrayLike, threshold: ArrayLike) -> BoolArray:
    """Return which classes are in each set: (m, K) bool, score <= threshold.

    `threshold` is one number, (m, 1) for one an item (`mondrian_thresholds`), or (K,) for one a class.
    """
    return np.asarray(np.asarray(test_scores, dtype=np.float64) <= np.asarray(threshold, dtype=np.float64))


def conformal_p_values(cal_scores: ArrayLike, test_scores: ArrayLike) -> FloatArray:
    """Return (1 + #{calibration scores >= score}) / (n + 1) for test scores of any shape."""
    ordered = np.sort(_finite(cal_scores, "cal_scores"))
    test = np.asarray(test_scores, dtype=np.float64)
    return np.asarray((1 + len(ordered) - np.searchsorted(ordered, test, "left")) / (len(ordered) + 1))


def lac_scores(probabilities: ArrayLike, labels: ArrayLike | None = None) -> FloatArray:
    """Return 1 - p: (n,) of the labels for calibration, (n, K) of every class without labels."""
    p = check_probabilities(probabilities)
    return _of_labels(1 - p, p, labels)


def aps_scores(probabilities: ArrayLike, labels: ArrayLike | None = None, *, rng: np.random.Generator | None = None) -> FloatArray:
    """Return the probability of all classes down to and including each one (falling, stable order).

    With `rng` the randomised form: less (1 - u) p_class, one u ~ U(0, 1) an item. Shapes as in `lac_scores`.
    """
    p = check_probabilities(probabilities)
    return _of_labels(_cumulative(p, rng), p, labels)


def raps_scores(
    probabilities: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    k_reg: int,
    lambda_reg: float = 0.01,
    rng: np.random.Generator | None = None,
) -> FloatArray:
    """Return the APS score plus lambda_reg max(0, rank - k_reg), rank from 1; `k_reg` from `raps_k_reg` on separate rows."""
    p = check_probabilities(probabilities)
    return _of_labels(_cumulative(p, rng) + lambda_reg * np.maximum(0, _ranks(p) - k_reg), p, labels)


def raps_k_reg(probabilities: ArrayLike, labels: ArrayLike, alpha: float) -> int:
    """Return the (1 - alpha) quantile of the true class's rank on a tuning fold."""
    p = check_probabilities(probabilities)
    ranks = np.sort(_of_labels(_ranks(p).astype(np.float64), p, labels))
    return int(ranks[min(len(ranks), int(np.ceil(len(ranks) * (1 - _rate(alpha)) - _TINY))) - 1])


def residual_scores(prediction: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return |y - prediction|, (n,); the interval is prediction -+ threshold."""
    f, t = as_vector(prediction, "prediction"), as_vector(y, "y")
    check_length(len(t), len(f), "y")
    return np.abs(t - f)


def cqr_scores(low: ArrayLike, high: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return max(low - y, y - high), (n,), of predicted quantiles; the interval is [low - threshold, high + threshold]."""
    a, b, t = as_vector(low, "low"), as_vector(high, "high"), as_vector(y, "y")
    check_length(len(b), len(a), "high")
    check_length(len(t), len(a), "y")
    return np.maximum(a - t, t - b)


@dataclass(frozen=True)
class SetReport:
    """Coverage and size of prediction sets.

    Attributes
    ----------
    coverage : Estimate
        Share of sets that hold the label.
    band : (low, high)
        Central 95 % range of the coverage that n calibration rows can give, from Beta(n + 1 - l, l), l = floor((n + 1) alpha).
    mean_size, singleton_rate, empty_rate : float
    by_size : dict of set size to (count, coverage)
    """

    coverage: Estimate
    band: tuple[float, float]
    mean_size: float
    singleton_rate: float
    empty_rate: float
    by_size: dict[int, tuple[int, float]]


def set_report(sets: ArrayLike, labels: ArrayLike, *, n_cal: int, alpha: float, clusters: ArrayLike | None = None) -> SetReport:
    """Report (m, K) sets against (m,) labels, with the band of coverage that `n_cal` calibration rows can give."""
    chosen = np.asarray(sets, dtype=bool)
    if chosen.ndim != 2 or not len(chosen):
        raise InputError(f"sets must be (m, K) with m >= 1; got shape {chosen.shape}")
    y = check_labels(labels, chosen.astype(np.float64))
    hit = chosen[np.arange(len(y)), y]
    size = chosen.sum(axis=1)
    by_size = {int(s): (int((size == s).sum()), float(hit[size == s].mean())) for s in np.unique(size)}
    return SetReport(
        accuracy(hit, clusters=clusters),
        coverage_band(n_cal, alpha),
        float(size.mean()),
        float((size == 1).mean()),
        float((size == 0).mean()),
        by_size,
    )


def coverage_band(n_cal: int, alpha: float, level: float = 0.95) -> tuple[float, float]:
    """Return the central range of coverage over draws of the calibration set; (1, 1) where the threshold is infinite."""
    from scipy.special import betaincinv

    l_rank = int(np.floor((n_cal + 1) * _rate(alpha) + _TINY))
    if l_rank == 0:
        return 1.0, 1.0
    low, high = betaincinv(n_cal + 1 - l_rank, l_rank, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _threshold(scores: FloatArray, alpha: float, where: str) -> float:
    n = len(scores)
    k = int(np.ceil((n + 1) * (1 - alpha) - _TINY))
    if k > n:
        warnings.warn(f"{where} has {n} rows, too few for alpha = {alpha:g}: the threshold is infinite", UserWarning, stacklevel=3)
        return np.inf
    return float(np.partition(scores, k - 1)[k - 1])


def _finite(scores: ArrayLike, name: str) -> FloatArray:
    values = as_vector(scores, name)
    bad = np.flatnonzero(np.isnan(values))
    if len(bad):
        raise InputError(f"{name}[{bad[0]}] is NaN; a nonconformity score must be a number")
    return values


def _rate(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; expected an error rate in (0, 1)")
    return alpha


def _ranks(p: FloatArray) -> Any:
    order = np.argsort(-p, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, p.shape[1] + 1)[None, :], axis=1)
    return ranks


def _cumulative(p: FloatArray, rng: np.random.Generator | None) -> FloatArray:
    order = np.argsort(-p, axis=1, kind="stable")
    out = np.empty_like(p)
    np.put_along_axis(out, order, np.cumsum(np.take_along_axis(p, order, axis=1), axis=1), axis=1)
    return out if rng is None else np.asarray(out - (1 - rng.random(len(p)))[:, None] * p)


def _of_labels(scores: FloatArray, p: FloatArray, labels: ArrayLike | None) -> FloatArray:
    if np.isnan(p).any():
        row = int(np.flatnonzero(np.isnan(p).any(axis=1))[0])
        raise InputError(f"probabilities of row {row} hold NaN; leave such rows out first")
    if labels is None:
        return scores
    return np.asarray(scores[np.arange(len(p)), check_labels(labels, p)])
