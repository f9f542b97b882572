"""Calibration and proper scores of K-class probabilities.

Guo et al. 2017 (top-label ECE); Kull et al. 2019 (classwise ECE); Brier 1950 (sum over classes, so twice the binary one for K = 2).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import additive_jackknife, mean_influence
from trueline.metrics.ece import SIGNED_ECE, BinKind, Bins, ece_metric
from trueline.metrics.scaling import check_labels
from trueline.stats.engine import Metric, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray, NanPolicy, SortedSample, sorted_sample, weighted_sum

_NEVER = 10**15


def top_label_ece(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    n_bins: int = 15,
    bins: BinKind = "width",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Binary ECE of the largest probability against "the most probable class is right" (first class at a tie).

    Parameters
    ----------
    probabilities : (n, K) float64
        Rows sum to 1 within 1e-6.
    labels : (n,) int64 in 0..K-1
    n_bins, bins, weights, clusters, ci, nan_policy
        As in `ece`; a row with a NaN probability is missing.

    Raises
    ------
    InputError
        On bad input, naming the first index.
    """
    return _call(ece_metric(Bins(n_bins, bins)), probabilities, labels, weights, clusters, ci, nan_policy)


def top_label_signed_ece(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean largest probability minus accuracy; above 0 is over-confident. Arguments as in `top_label_ece`."""
    return _call(SIGNED_ECE, probabilities, labels, weights, clusters, ci, nan_policy)


def classwise_ece(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    n_bins: int = 15,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean over classes of the binary ECE of p_k against [label = k], equal-width bins. Arguments as in `top_label_ece`."""
    metric = Metric(
        "classwise_ece",
        partial(_classwise, of_noise=False),
        bounds=(0, 1),
        prefers="basic",
        null=partial(_classwise, of_noise=True),
        little_from=_NEVER,
    )
    return _call(metric, probabilities, labels, weights, clusters, ci, nan_policy, Bins(n_bins))


def multiclass_brier(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean of sum_k (p_k - [label = k])^2, in [0, 2]. Arguments as in `top_label_ece`."""
    return _call(_row_mean("multiclass_brier", "brier"), probabilities, labels, weights, clusters, ci, nan_policy)


def multiclass_nll(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean of -ln p_label in nats; infinite where a label had probability 0. Arguments as in `top_label_ece`."""
    return _call(_row_mean("multiclass_nll", "nll"), probabilities, labels, weights, clusters, ci, nan_policy)


def check_probabilities(probabilities: ArrayLike) -> FloatArray:
    """Return (n, K) float64 whose rows are NaN or distributions, or raise `InputError` with the first bad index."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or not p.shape[0] or p.shape[1] < 2:
        raise InputError(f"probabilities must be (n, K) with n >= 1 and K >= 2; got shape {p.shape}")
    known = ~np.isnan(p).any(axis=1)
    bad = np.flatnonzero(known & ((p < 0).any(axis=1) | (np.abs(p.sum(axis=1) - 1) > 1e-6)))
    if len(bad):
        raise InputError(
            f"row {bad[0]} is not a distribution: least value {p[bad[0]].min():g}, sum {p[bad[0]].sum():g}; expected >= 0 and 1"
        )
    return p


def _call(
    metric: Metric,
    probabilities: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None,
    clusters: ArrayLike | None,
    ci: CIArgument,
    nan_policy: NanPolicy,
    bins: Bins | None = None,
) -> Estimate:
    p = check_probabilities(probabilities)
    y = check_labels(labels, np.nan_to_num(p))
    top = np.where(np.isnan(p).any(axis=1), np.nan, p.max(axis=1))
    # Rounding may leave a sum of 1 + 1e-16 on one class.
    sample = sorted_sample(
        np.minimum(top, 1.0), p.argmax(axis=1) == y, weights=weights, clusters=clusters, nan_policy=nan_policy, merge=False
    )
    rows, right = p[sample.order], y[sample.order]
    target = np.eye(p.shape[1])[right]
    with np.errstate(divide="ignore"):
        sample.cache["nll"] = -np.log(rows[np.arange(len(right)), right])
    sample.cache["brier"] = ((rows - target) ** 2).sum(axis=1)
    if bins is not None:
        sample.cache["classes"] = [_class_bins(rows[:, k], target[:, k], bins) for k in range(p.shape[1])]
    return estimates(sample, [metric], ci)[metric.name]


def _class_bins(p: FloatArray, y: FloatArray, bins: Bins) -> tuple[IntArray, IntArray, FloatArray]:
    """Order of rows by bin of one class, starts of its bins, and y - p in that order."""
    code = np.searchsorted(np.linspace(0, 1, bins.n + 1)[1:-1], p, "left")
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) > 0])
    return order, starts, (y - p)[order]


def _classwise(sample: SortedSample, weights: FloatArray, *, of_noise: bool) -> FloatArray:
    classes: list[Any] = sample.cache["classes"]
    total = np.zeros(len(weights))
    for order, starts, delta in classes:
        w = weights[:, order]
        gap = np.add.reduceat(w * delta, starts, axis=1)
        if of_noise:
            base = sample.weights[order]
            mass = np.add.reduceat(base, starts)
            gap = gap - np.add.reduceat(w, starts, axis=1) * (np.add.reduceat(base * delta, starts) / np.where(mass > 0, mass, 1.0))
        total += np.abs(gap).sum(axis=1)
    return np.asarray(total / weights.sum(axis=1) / len(classes))


def _row_mean(name: str, key: str) -> Metric:
    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        rows: FloatArray = sample.cache[key]
        infinite = np.isinf(rows)
        mean = weighted_sum(weights, np.where(infinite, 0.0, rows)) / weights.sum(axis=1)
        return np.where((weights[:, infinite] > 0).any(axis=1), np.inf, mean)

    return Metric(
        name,
        value,
        jackknife=lambda sample: additive_jackknife(sample, sample.cache[key]),
        influence=partial(mean_influence, per_row=lambda sample: sample.cache[key]),
        reason=lambda sample: f"infinite: {int(np.isinf(sample.cache[key]).sum())} labels had probability 0",
        bounds=(0, np.inf),
        little_from=_NEVER,
    )
