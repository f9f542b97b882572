"""The one wrapper between a public metric function and the interval engine."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from trueline.stats.engine import CI, Kind, Metric, estimates
from trueline.stats.estimate import Estimate
from trueline.stats.intervals import Interval
from trueline.stats.sample import NanPolicy, SortedSample, sorted_sample

CIArgument = CI | Kind | None


def call(
    metric: Metric,
    scores: ArrayLike,
    truth: ArrayLike,
    weights: ArrayLike | None,
    clusters: ArrayLike | None,
    ci: CIArgument,
    nan_policy: NanPolicy,
) -> Estimate:
    """Return one metric of scores and truth with its interval."""
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, nan_policy=nan_policy)
    return estimates(sample, [metric], ci)[metric.name]


def no_spread(_: SortedSample, level: float) -> Interval:
    """Fallback of a metric for which replicates that all agree say nothing about the items not seen."""
    return Interval(math.nan, math.nan, math.nan, f"none: every replicate has the same value, so there are no {level:g} ends")
