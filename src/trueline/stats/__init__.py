"""Estimates with intervals: the type, the sorted sample, the replicate engine, closed-form intervals and tests."""

from __future__ import annotations

from trueline.stats.engine import CI, Metric, as_ci, estimates
from trueline.stats.estimate import Estimate
from trueline.stats.intervals import Interval, clopper_pearson, wilson
from trueline.stats.sample import SortedSample, sorted_sample

__all__ = ["CI", "Estimate", "Interval", "Metric", "SortedSample", "as_ci", "clopper_pearson", "estimates", "sorted_sample", "wilson"]
