"""Trust index and excess optimal risk: how far a ranking is from the one that has every error behind it.

Ao, arXiv 2308.03179 (E-AUoptRC and trust index), whose abstract fixes the optimal point, the subtraction of the optimum and the index at
that point; the sum over whole items is our reading. Other code has other numbers under these names: a macro-F1 risk with trapezoids *below*
the optimal point, or the whole curve (which is `e_aurc`) with the best accuracy at any coverage.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument, call
from trueline.metrics.risk_coverage import by_loss, group_totals, mean_risk, risk_at, selective_risk_metric
from trueline.stats.cells import rank_cells
from trueline.stats.engine import Metric, point
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval, wilson
from trueline.stats.sample import NanPolicy, SortedSample, as_vector, weighted_sum


def trust_index(
    uncertainty: ArrayLike,
    correct: ArrayLike,
    *,
    coverage: float | Literal["optimal"] = "optimal",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    r"""Accuracy among the k most certain items, :math:`TI = 1 - r_{k^*}`, where k* is the number of right items.

    A perfect ranking has TI 1; a random one the accuracy; TI lies in [max(0, 2 - 1 / accuracy), 1].

    Parameters
    ----------
    uncertainty : (n,) float64
        Higher = less certain. Inside a group of equal scores every item has the group's mean.
    correct : (n,) in {0, 1}
        1 = right. (The risk metrics take the loss instead.)
    coverage : "optimal" or float in (0, 1]
        A share instead of the optimal point: 0.95 is what others call TI@95.
    weights, clusters, ci, nan_policy
        As in `auroc`.

    Returns
    -------
    Estimate
        NaN with a reason where no item is right.

    Raises
    ------
    InputError
        On bad input, naming the first index.

    Examples
    --------
    >>> trust_index([0.1, 0.2, 0.3, 0.4], [1, 0, 1, 0], ci=None).value
    0.5
    """
    metric = TRUST_INDEX if coverage == "optimal" else _at_coverage(coverage)
    return call(metric, uncertainty, _loss(correct), weights, clusters, ci, nan_policy)


def excess_optimal_risk(
    uncertainty: ArrayLike,
    correct: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    r"""Area between risk and optimal risk from the optimal point on, :math:`\frac1n \sum_{k=k^*}^n (r_k - \max(0, k - k^*) / k)`.

    r_k is the mean error of the k most certain items; 0 is perfect. `e_aurc` is the same over the whole curve.
    Arguments as in `trust_index`.

    Examples
    --------
    >>> round(excess_optimal_risk([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], ci=None).value, 4)
    0.1667
    """
    return call(EXCESS_OPTIMAL_RISK, uncertainty, _loss(correct), weights, clusters, ci, nan_policy)


def _loss(correct: ArrayLike) -> FloatArray:
    right = as_vector(correct, "correct")
    bad = np.flatnonzero(~np.isnan(right) & (right != 0) & (right != 1))
    if len(bad):
        raise InputError(f"correct[{bad[0]}] is {right[bad[0]]:g}; expected 1 (right) or 0 (wrong)")
    return 1 - right


def _right(sample: SortedSample, weights: FloatArray) -> FloatArray:
    """The optimal point k*: the weight of right items."""
    return np.asarray(weighted_sum(weights, 1 - sample.truth))


def _trust(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray(1 - risk_at(*group_totals(sample, weights), _right(sample, weights)))


def _excess(sample: SortedSample, weights: FloatArray) -> FloatArray:
    # mean_risk is over k > first, and the sum begins with k* itself
    first, mass = np.maximum(_right(sample, weights) - 1, 0.0), weights.sum(axis=1)
    gap = mean_risk(*group_totals(sample, weights), first) - mean_risk(*by_loss(sample, weights), first)
    return np.asarray(np.where(_right(sample, weights) > 0, gap * (mass - first) / mass, 0.0))


def _at_coverage(coverage: float) -> Metric:
    risk = selective_risk_metric(coverage)
    return Metric("trust_index", lambda sample, weights: 1 - risk.value(sample, weights), bounds=(0, 1))


def _all_alike(sample: SortedSample, level: float) -> Interval:
    """Ends where every replicate has one value: the items up to the optimal point are the evidence."""
    k = float(_right(sample, sample.weights[None])[0])
    return wilson(point(TRUST_INDEX, sample) * k, k, level)


TRUST_INDEX = Metric(
    "trust_index",
    _trust,
    fallback=_all_alike,
    reason=lambda sample: f"none of {sample.n} items is right: there is no optimal coverage",
    bounds=(0, 1),
    cells=rank_cells,
)
EXCESS_OPTIMAL_RISK = Metric(
    "excess_optimal_risk",
    _excess,
    bounds=(0, 1),
    cells=rank_cells,
)
