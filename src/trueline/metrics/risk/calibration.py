"""Calibration of risk scores: over- and under-confidence, ECE on quantile bins, and score bias between groups.

Cruz et al. 2024 (arXiv 2407.14614). Bins are closed on the left, the last one on both sides, as in the published code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument, call
from trueline.metrics.ece import Bins, ece_metric, signed_ece
from trueline.stats.differences import independent_difference
from trueline.stats.engine import Metric
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray, NanPolicy, SortedSample

RangeKind = Literal["unit", "data_range"]


@dataclass(frozen=True)
class DataRangeBins(Bins):
    """Equal width between the lowest and the highest score."""

    closed: Literal["right", "left"] = "left"

    def edges(self, sample: SortedSample) -> FloatArray:
        """Return the rising bin edges for a sample."""
        return np.linspace(sample.scores[0], sample.scores[-1], self.n + 1)


@dataclass(frozen=True)
class QuantileBins(Bins):
    """Linear quantiles of the scores, repeated edges kept: a last bin of no width then holds the rows at the top edge."""

    closed: Literal["right", "left"] = "left"

    def edges(self, sample: SortedSample) -> FloatArray:
        """Return the bin edges for a sample; they may repeat."""
        items = np.repeat(sample.scores, sample.multiplicity.astype(np.int64))
        return np.asarray(np.quantile(items, np.linspace(0, 1, self.n + 1)))

    def codes(self, sample: SortedSample) -> IntArray:
        """Return each row's bin, 0 to n - 1."""
        found = np.searchsorted(self.edges(sample), sample.scores, "right") - 1
        return np.clip(found, 0, self.n - 1).astype(np.int64)


def quantile_ece(
    scores: ArrayLike, truth: ArrayLike, *, n_bins: int = 10, ci: CIArgument = "auto", nan_policy: NanPolicy = "raise"
) -> Estimate:
    """Expected calibration error on quantile bins with repeated edges kept, as in the published risk-score code.

    The adaptive ECE ``ece(..., bins="mass")`` merges repeated edges and closes bins on the right; the two differ where scores tie.
    Arguments as in `ece`.
    """
    return call(quantile_metric(n_bins), scores, truth, None, None, ci, nan_policy)


def quantile_metric(n_bins: int = 10) -> Metric:
    """Return the metric record of `quantile_ece`."""
    return replace(ece_metric(QuantileBins(n_bins)), name="ece_quantile")


def confidence_bias(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    n_bins: int = 10,
    bins: RangeKind = "unit",
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    r"""Over-confidence (above 0) or under-confidence (below 0) of risk scores.

    .. math:: \sum_b \frac{n_b}{n} c_b, \quad c_b = \bar y_b - \bar s_b \text{ if } \bar s_b < 1/2 \text{, else } \bar s_b - \bar y_b

    Scores that lie too far from one half are over-confident on either side. Calibrated scores have 0, and so have scores that are too high
    by as much on both sides: read the signed error beside it.

    Parameters
    ----------
    scores : (n,) float64 in [0, 1]
    truth : (n,) in {0, 1}
    n_bins : int
    bins : {"unit", "data_range"}
        Equal width on [0, 1], or between the lowest and highest score, as in the paper's notebook.
    ci, nan_policy
        As in `auroc`.

    Raises
    ------
    InputError
        On bad input; a score outside [0, 1].

    Examples
    --------
    >>> round(confidence_bias([0.1, 0.1, 0.9, 0.9], [0, 1, 1, 0], ci=None).value, 3)
    0.4
    """
    return call(confidence_metric(n_bins, bins), scores, truth, None, None, ci, nan_policy)


def confidence_metric(n_bins: int = 10, bins: RangeKind = "unit") -> Metric:
    """Return the metric record of `confidence_bias`."""
    if bins not in ("unit", "data_range"):
        raise InputError(f"bins {bins!r} are unknown; expected 'unit' or 'data_range'")
    binning = Bins(n_bins, closed="left") if bins == "unit" else DataRangeBins(n_bins)
    return Metric("confidence_bias", partial(_bias_value, bins=binning), scores="probability", bounds=(-1, 1))


def _bias_value(sample: SortedSample, weights: FloatArray, *, bins: Bins) -> FloatArray:
    starts = bins.starts(sample)
    mass = np.add.reduceat(weights, starts, axis=1)
    total = np.add.reduceat(weights * sample.scores, starts, axis=1)
    gap = total - np.add.reduceat(weights * sample.truth, starts, axis=1)
    side = np.where(total < 0.5 * mass, -1.0, 1.0)
    return np.asarray((side * gap).sum(axis=1) / mass.sum(axis=1))


def score_bias(
    scores: ArrayLike, truth: ArrayLike, group: ArrayLike, first: object, second: object, *, ci: CIArgument = "auto"
) -> Estimate:
    """Signed calibration error (mean score minus mean truth) of group `first` less that of group `second`.

    Above 0: `first` gets scores that are too high, compared with `second`. Arguments as in `ece`.

    Raises
    ------
    InputError
        On bad input; a group without rows.
    """
    s, y, g = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64), np.asarray(group)
    if not len(s) == len(y) == len(g):
        raise InputError(f"{len(s)} scores, {len(y)} truths and {len(g)} groups; they must be equally many")
    parts = []
    for name in (first, second):
        rows = g == name
        if not rows.any():
            raise InputError(f"no row has the group {name!r}")
        parts.append(signed_ece(s[rows], y[rows], ci=ci))
    if ci is None or not all(np.isfinite([p.low, p.high]).all() for p in parts):
        n = sum(p.n for p in parts)
        return Estimate(parts[0].value - parts[1].value, n=n, reason=None if ci is None else "a group's error has no interval")
    return independent_difference(*parts)
