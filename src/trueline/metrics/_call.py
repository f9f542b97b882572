"""The one wrapper between a public metric function and the interval engine."""

from __future__ import annotations

from numpy.typing import ArrayLike

from trueline.stats.engine import CI, Kind, Metric, estimates
from trueline.stats.estimate import Estimate
from trueline.stats.sample import NanPolicy, sorted_sample

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
