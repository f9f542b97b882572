"""Accuracy and other proportions, with Wilson's interval (never a percentile bootstrap at small n, never [1, 1] for all right)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.stats.clusters import cluster_rate
from trueline.stats.engine import Jackknife, Metric, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval, wilson
from trueline.stats.sample import NanPolicy, SortedSample, sorted_sample, weighted_sum


def accuracy(
    answers: ArrayLike,
    truth: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Share of right answers.

    Parameters
    ----------
    answers : (n,)
        Without `truth`: 1 for right, 0 for wrong (or a graded correctness in between). With `truth`: predicted labels.
    truth : (n,), optional
        True labels; an answer is right where it equals its truth.
    weights, clusters, ci, nan_policy
        As in `auroc`. For 0/1 rows ``"auto"`` is Wilson's interval, at the effective count of `cluster_rate` where there are clusters; a
        bootstrap otherwise.
    strata : (n,), optional
        As in `evaluate`.

    Raises
    ------
    InputError
        On bad input; a correctness outside [0, 1].

    Examples
    --------
    >>> print(accuracy([1, 1, 1, 0]))
    0.75 [0.3006, 0.9544] (n=4)
    """
    correct = answers if truth is None else _matches(answers, truth)
    sample = sorted_sample(np.zeros(np.shape(correct)), correct, weights=weights, clusters=clusters, strata=strata, nan_policy=nan_policy)
    outside = (sample.truth < 0) | (sample.truth > 1)
    if outside.any():
        raise InputError(
            f"correctness must lie in [0, 1]; {int(outside.sum())} rows do not, the first at index {sample.first_input(outside)}"
        )
    return estimates(sample, [ACCURACY], ci)["accuracy"]


def _matches(answers: ArrayLike, truth: ArrayLike) -> FloatArray:
    a, t = np.asarray(answers), np.asarray(truth)
    if a.shape != t.shape or a.ndim != 1:
        raise InputError(f"answers and truth must be one-dimensional and equally long; got shapes {a.shape} and {t.shape}")
    missing = np.zeros(len(a), dtype=bool)
    for labels in (a, t):
        missing |= np.array([x is None or x != x for x in labels]) if labels.dtype.kind == "O" else labels != labels
    return np.where(missing, np.nan, np.asarray(a == t, dtype=np.float64))


def _mean_truth(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray(weighted_sum(weights, sample.truth) / weights.sum(axis=1))


def _wilson(sample: SortedSample, level: float) -> Interval | None:
    """Wilson with Kish's count or the clusters' effective one; None for graded correctness, which is not a proportion."""
    if not sample.binary:
        return None
    if sample.cluster is not None:
        return _cluster_wilson(sample, level)
    return _proportion_interval(float(_mean_truth(sample, sample.weights[None])[0]), sample.n_effective, level)


def _cluster_wilson(sample: SortedSample, level: float) -> Interval | None:
    if sample.cluster is None or sample.n_clusters < 2 or not np.all(sample.weights == 1):
        return None
    rate = cluster_rate(np.bincount(sample.cluster, sample.truth), np.bincount(sample.cluster), level=level).rate
    return Interval(rate.low, rate.high, rate.se, rate.method)


def _wilson_by_cluster(sample: SortedSample, level: float) -> Interval:
    """For clusters that all agree: each counts once."""
    return _proportion_interval(float(_mean_truth(sample, sample.weights[None])[0]), float(sample.n_clusters), level)


def _proportion_interval(share: float, n: float, level: float) -> Interval:
    return wilson(min(share * n, n), n, level)


def additive_jackknife(sample: SortedSample, per_row: FloatArray) -> Jackknife:
    """Leave-one-unit-out values of a weighted mean of `per_row`."""
    w = sample.weights / sample.multiplicity
    total, mass = float(sample.weights @ per_row), float(sample.weights.sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        if sample.cluster is None:
            return (total - w * per_row) / (mass - w), sample.multiplicity
        k = sample.n_clusters
        lost, gone = np.bincount(sample.cluster, w * per_row, k), np.bincount(sample.cluster, w, k)
        return np.asarray((total - lost) / (mass - gone)), np.ones(k)


def mean_influence(sample: SortedSample, weights: FloatArray, *, per_row: Callable[[SortedSample], FloatArray]) -> FloatArray:
    """Influence values of a weighted mean of `per_row` under each weight vector: (x - mean) / total weight."""
    x, total = per_row(sample), weights.sum(axis=1)
    return np.asarray((x - (weighted_sum(weights, x) / total)[:, None]) / total[:, None])


def _truth(sample: SortedSample) -> FloatArray:
    return sample.truth


def _mean_jackknife(sample: SortedSample) -> Jackknife:
    return additive_jackknife(sample, sample.truth)


ACCURACY = Metric(
    "accuracy",
    _mean_truth,
    truth="real",
    jackknife=_mean_jackknife,
    analytic=_wilson,
    clustered=True,
    fallback=_wilson_by_cluster,
    influence=partial(mean_influence, per_row=_truth),
    bounds=(0, 1),
)


def _mean_right(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray(1 - _mean_truth(sample, weights))


def _right_jackknife(sample: SortedSample) -> Jackknife:
    return additive_jackknife(sample, 1 - sample.truth)


def _flip(interval: Interval) -> Interval:
    return Interval(1 - interval.high, 1 - interval.low, interval.se, interval.method)


def _wilson_right(sample: SortedSample, level: float) -> Interval | None:
    interval = _wilson(sample, level)
    return None if interval is None else _flip(interval)


# The accuracy behind a loss (1 = wrong), for `evaluate` on uncertainty scores.
ACCURACY_OF_LOSS = Metric(
    "accuracy",
    _mean_right,
    truth="real",
    jackknife=_right_jackknife,
    analytic=_wilson_right,
    clustered=True,
    influence=partial(mean_influence, per_row=lambda sample: 1 - sample.truth),
    fallback=lambda sample, level: _flip(_wilson_by_cluster(sample, level)),
)
