"""The bootstrap-t interval (Efron 1982; Hall 1988): replicates of (value - truth) / standard error, each with its own standard error.

The standard error of a replicate comes from the metric's influence values under the replicate's weights, so no bootstrap inside the
bootstrap is needed. It is the interval of choice for means of skewed losses over few rows, and a poor one for proportions near 0 or 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trueline.stats.estimate import FloatArray
from trueline.stats.sample import SortedSample

if TYPE_CHECKING:
    from trueline.stats.engine import Metric


def standard_errors(sample: SortedSample, weights: FloatArray, *, metric: Metric) -> FloatArray:
    r"""Return (n_replicates,) linearised standard errors under each weight vector; NaN where the metric has no influence function.

    .. math:: se^2 = \sum_h \frac{n_h}{n_h - 1} \Big[\sum_u m_u e_u^2 - \frac{(\sum_u m_u e_u)^2}{n_h}\Big]

    over strata h of n_h units u (rows or clusters) that the replicate holds m_u times; e_u sums the weighted influence of a unit's rows.
    """
    if metric.influence is None:
        return np.full(len(weights), np.nan)
    own = sample.weights / sample.multiplicity
    counts = np.divide(weights, own, out=np.zeros_like(weights), where=own > 0)
    effect = metric.influence(sample, weights) * own
    if sample.cluster is not None:
        order = np.argsort(sample.cluster, kind="stable")
        starts = np.searchsorted(sample.cluster[order], np.arange(sample.n_clusters))
        effect = np.add.reduceat(effect[:, order], starts, axis=1)
        # Every row of a cluster has the cluster's count, those without weight show 0.
        counts = np.maximum.reduceat(counts[:, order], starts, axis=1)
    first, second = counts * effect, counts * effect**2
    strata = sample.unit_stratum
    if strata is None:
        n, linear, square = counts.sum(axis=1), first.sum(axis=1), second.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt(np.maximum(0.0, n / (n - 1) * (square - linear**2 / n))))
    order = np.argsort(strata, kind="stable")
    starts = np.searchsorted(strata[order], np.arange(int(strata.max()) + 1))
    n, linear, square = (np.add.reduceat(x[:, order], starts, axis=1) for x in (counts, first, second))
    # A stratum of one unit shows no spread.
    scale = np.divide(n, n - 1, out=np.zeros_like(n), where=n > 1)
    return np.asarray(np.sqrt(np.maximum(0.0, (scale * (square - linear**2 / np.maximum(n, 1))).sum(axis=1))))


def studentised(samples: FloatArray, errors: FloatArray, value: float, error: float, level: float) -> tuple[float, float]:
    """Return value - q error at the upper and the lower quantile q of the replicates' (samples - value) / errors, errors > 0."""
    low, high = np.quantile((samples - value) / errors, [0.5 - level / 2, 0.5 + level / 2])
    return value - float(high) * error, value - float(low) * error
