"""AUROC by mid-ranks with DeLong's variance, O(n log n) (DeLong et al. 1988; Sun and Xu 2014)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trueline.stats.estimate import FloatArray
from trueline.stats.intervals import Interval, normal_quantile
from trueline.stats.sample import SortedSample, group_sums


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
