"""Calibration slope and intercept: logistic regression of truth on logit(p) (Cox 1958; Van Calster et al. 2016).

Slope 1 is ideal, below 1 over-confident. The intercept has its slope fixed to 1; 0 is ideal, below 0 the probabilities are
too high on the whole.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from trueline.metrics._call import CIArgument, call
from trueline.metrics.ranking import one_class
from trueline.stats.engine import Metric
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval, wald
from trueline.stats.logistic import LogisticFit, fit_logistic, logit
from trueline.stats.sample import NanPolicy, SortedSample, sorted_sample

CLIP = 1e-12


def calibration_slope(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Slope of the logistic regression of truth on logit(p), probabilities clipped to [1e-12, 1 - 1e-12].

    Arguments as in `ece`; ``"auto"`` is Wald's interval for independent rows. NaN with a reason for one class, constant probabilities, or
    classes that the probabilities separate.
    """
    return call(CALIBRATION_SLOPE, scores, truth, weights, clusters, ci, nan_policy)


def calibration_intercept(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Intercept of the logistic regression of truth on logit(p) with slope 1. Arguments as in `calibration_slope`."""
    return call(CALIBRATION_INTERCEPT, scores, truth, weights, clusters, ci, nan_policy)


def calibration_line(scores: ArrayLike, truth: ArrayLike, *, weights: ArrayLike | None = None) -> tuple[LogisticFit, int]:
    """Return the joint fit, coefficients (slope, intercept) with standard errors, and how many probabilities were clipped."""
    sample = sorted_sample(scores, truth, weights=weights)
    clipped = (sample.scores < CLIP) | (sample.scores > 1 - CLIP)
    return _fit(sample, sample.weights, free=True), int(sample.multiplicity[clipped].sum())


def _fit(sample: SortedSample, weights: FloatArray, *, free: bool) -> LogisticFit:
    x = logit(sample.scores, CLIP)
    one = np.ones((len(x), 1))
    if free:
        return fit_logistic(np.column_stack([x, one]), sample.truth, weights)
    return fit_logistic(one, sample.truth, weights, offset=x)


def _value(sample: SortedSample, weights: FloatArray, *, free: bool) -> FloatArray:
    fits = (_fit(sample, w, free=free) if _identified(sample, w, free=free) else None for w in weights)
    return np.array([f.coefficients[0] if f is not None and f.converged else np.nan for f in fits])


def _identified(sample: SortedSample, weights: FloatArray, *, free: bool) -> bool:
    """Whether the likelihood has a finite maximum: both classes, and scores that overlap."""
    ones, zeros = sample.scores[sample.positive & (weights > 0)], sample.scores[~sample.positive & (weights > 0)]
    if not len(ones) or not len(zeros):
        return False
    # Rows are sorted, so the first and the last of each class are its extremes.
    return not free or bool(ones[0] < zeros[-1] and zeros[0] < ones[-1])


def _wald(sample: SortedSample, level: float, *, free: bool) -> Interval | None:
    fit = _fit(sample, sample.weights, free=free)
    # Weights count rows in the likelihood; the variance belongs to the effective number of rows.
    scale = np.sqrt(sample.weights.sum() / sample.n_effective)
    return wald(float(fit.coefficients[0]), float(fit.se[0] * scale), level, "wald") if fit.converged else None


def _reason(sample: SortedSample) -> str:
    used = sample.weights > 0
    if np.ptp(sample.truth[used]) == 0:
        return one_class(sample)
    if np.ptp(sample.scores[used]) == 0:
        return "all probabilities are equal: no slope"
    return "the probabilities separate the classes: the slope is infinite"


CALIBRATION_SLOPE = Metric(
    "calibration_slope",
    partial(_value, free=True),
    scores="probability",
    both_classes=True,
    analytic=partial(_wald, free=True),
    reason=_reason,
    little_from=20_000,
)
CALIBRATION_INTERCEPT = Metric(
    "calibration_intercept",
    partial(_value, free=False),
    scores="probability",
    both_classes=True,
    analytic=partial(_wald, free=False),
    reason=_reason,
    little_from=20_000,
)
