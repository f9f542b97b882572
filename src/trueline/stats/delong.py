"""AUROC by mid-ranks with DeLong's variance, O(n log n) (DeLong et al. 1988; Sun and Xu 2014)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray
from trueline.stats.intervals import Interval, normal_quantile
from trueline.stats.sample import SortedSample, check_length, group_sums, sorted_sample


def components(sample: SortedSample) -> tuple[float, FloatArray]:
    """Return the AUROC and each row's component V: for a positive the share of negatives below it (ties one half), for a negative the
    share of positives above it; weighted by the sample's weights.
    """
    w, y = sample.weights, sample.positive
    pos, neg = np.where(y, w, 0.0), np.where(y, 0.0, w)
    pos_g, neg_g = group_sums(pos, sample.starts), group_sums(neg, sample.starts)
    n_pos, n_neg = float(pos.sum()), float(neg.sum())
    below = (np.cumsum(neg_g) - 0.5 * neg_g) / n_neg
    above = (n_pos - np.cumsum(pos_g) + 0.5 * pos_g) / n_pos
    v = np.where(y, expand(below, sample), expand(above, sample))
    return float(pos @ v / n_pos), v


def expand(per_group: FloatArray, sample: SortedSample) -> FloatArray:
    """Return a value of each tied group at each of its rows."""
    return np.repeat(per_group, np.diff(np.append(sample.starts, sample.n_rows)))


def covariance(v1: FloatArray, v2: FloatArray, positive: Any, weights: FloatArray, per_unit: FloatArray | None = None) -> float:
    """Return DeLong's covariance of two AUROCs from their components on the same rows.

    Component covariances have divisor P - 1 and N - 1 and are divided by P and N; with weights, Kish's counts take the place of P and N.
    `per_unit` is the weight of one unit where a row stands for several (weights / multiplicity).
    """
    unit = weights if per_unit is None else per_unit
    total = 0.0
    for rows in (positive, ~positive):
        w = weights[rows]
        mass = float(w.sum())
        k = mass**2 / float((w * unit[rows]).sum())
        if k <= 1:
            return math.nan
        a, b = v1[rows], v2[rows]
        cov = float((w * (a - w @ a / mass) * (b - w @ b / mass)).sum()) / mass
        total += cov * (k / (k - 1)) / k
    return total


@dataclass(frozen=True)
class DelongTest:
    """Two correlated AUROCs on the same rows: values, (2, 2) covariance, z of the difference, two-sided p."""

    auc: FloatArray
    covariance: FloatArray
    z: float
    p: float


def delong_test(scores_1: ArrayLike, scores_2: ArrayLike, truth: ArrayLike) -> DelongTest:
    """Compare the AUROCs of two scores of the same rows; p is 1 where the difference has no variance and is 0.

    Parameters
    ----------
    scores_1, scores_2 : (n,) float64
    truth : (n,) in {0, 1}

    Raises
    ------
    InputError
        On bad input, or fewer than two rows of a class.
    """
    samples = [sorted_sample(s, truth, merge=False) for s in (scores_1, scores_2)]
    if not samples[0].binary:
        bad = samples[0].first_input(~np.isin(samples[0].truth, (0, 1)))
        raise InputError(f"truth must be 0 or 1; the first that is not is at index {bad}")
    y = np.empty(samples[0].n, dtype=bool)
    y[samples[0].order] = samples[0].positive
    if min(y.sum(), (~y).sum()) < 2:
        raise InputError(f"DeLong's test needs two rows of each class; got {y.sum()} with truth 1 and {(~y).sum()} with truth 0")
    auc, v, one = np.empty(2), np.empty((2, samples[0].n)), np.ones(samples[0].n)
    for i, sample in enumerate(samples):
        auc[i], v[i, sample.order] = components(sample)
    cov = np.array([[covariance(v[i], v[j], y, one) for j in range(2)] for i in range(2)])
    return _tested(auc, cov)


def delong_test_own_truths(scores_1: ArrayLike, truth_1: ArrayLike, scores_2: ArrayLike, truth_2: ArrayLike) -> DelongTest:
    """Compare the AUROCs of two systems on the same rows where each has a truth of its own (which of its answers were right).

    Row i moves an AUROC A by psi_i = (V_i - A) / P(its class), V_i its component (DeLong et al. 1988, eq. 5-6); the covariance of two
    AUROCs is that of their psi over n. With equal truths it differs from `delong_test` only in that the class counts are random too.

    Parameters
    ----------
    scores_1, scores_2 : (n,) float64
    truth_1, truth_2 : (n,) in {0, 1}

    Raises
    ------
    InputError
        On bad input, or fewer than two rows of a class in either truth.
    """
    auc, psi = np.empty(2), []
    for i, (scores, truth) in enumerate(((scores_1, truth_1), (scores_2, truth_2))):
        sample = sorted_sample(scores, truth, merge=False)
        if not sample.binary:
            raise InputError(f"truth_{i + 1} must be 0 or 1; it is not at index {sample.first_input(~np.isin(sample.truth, (0, 1)))}")
        share = float(sample.positive.mean())
        if min(share, 1 - share) * sample.n < 1.5:
            raise InputError(f"DeLong's test needs two rows of each class; truth_{i + 1} has {sample.positive.sum()} ones of {sample.n}")
        auc[i], v = components(sample)
        moved = np.empty(sample.n)
        moved[sample.order] = (v - auc[i]) / np.where(sample.positive, share, 1 - share)
        psi.append(moved)
    check_length(len(psi[1]), len(psi[0]), "scores_2")
    cov = np.cov(np.stack(psi)) / len(psi[0])
    return _tested(auc, cov)


def _tested(auc: FloatArray, cov: FloatArray) -> DelongTest:
    gap, var = auc[0] - auc[1], cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]
    # Equal scores leave float noise where the variance is zero.
    if var <= 1e-18:
        return DelongTest(auc, cov, 0.0 if abs(gap) < 1e-12 else math.copysign(math.inf, gap), 1.0 if abs(gap) < 1e-12 else 0.0)
    z = gap / math.sqrt(var)
    return DelongTest(auc, cov, float(z), math.erfc(abs(z) / math.sqrt(2)))


def delong_interval(sample: SortedSample, level: float) -> Interval | None:
    """Return the interval of AUROC on the logit scale, which keeps it inside [0, 1] and nearer to its level at small n.

    A perfect (or perfectly wrong) separation has no estimated variance: min(P, N) disjoint pairs that all agree then give the exact
    one-pair bound (1 - level)/2 ^ (1 / min(P, N)). None where a class has a single row.
    """
    value, v = components(sample)
    unit = sample.weights / sample.multiplicity
    var = covariance(v, v, sample.positive, sample.weights, unit)
    if not math.isfinite(var):
        return None
    if value in (0.0, 1.0):
        return separated_interval(value, effective_pairs(sample), level)
    se = math.sqrt(max(var, 0.0))
    half = normal_quantile(level) * se / (value * (1 - value))
    logit = math.log(value / (1 - value))
    return Interval(_expit(logit - half), _expit(logit + half), se, "delong, logit scale")


def separated_interval(value: float, pairs: float, level: float) -> Interval:
    """Return the bound of a perfect separation from a number of disjoint pairs."""
    bound = (0.5 - level / 2) ** (1 / max(pairs, 1.0))
    return Interval(bound, 1.0, 0.0, "disjoint pairs") if value == 1.0 else Interval(0.0, 1 - bound, 0.0, "disjoint pairs")


def effective_pairs(sample: SortedSample) -> float:
    """Return how many disjoint independent pairs of a positive and a negative there are."""
    used = sample.weights > 0
    if sample.cluster is not None:
        ones = len(np.unique(sample.cluster[sample.positive & used]))
        zeros = len(np.unique(sample.cluster[~sample.positive & used]))
        return float(max(1, min(ones, zeros, sample.n_clusters // 2)))
    return float(min(sample.multiplicity[sample.positive & used].sum(), sample.multiplicity[~sample.positive & used].sum()))


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
