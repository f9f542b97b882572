"""Estimates with intervals: the type, the replicate engine, closed-form intervals, clusters, differences, tests and planning."""

from __future__ import annotations

from trueline.stats.clusters import ClusterRate, cluster_rate
from trueline.stats.differences import DifferenceTest, independent_difference, paired_difference, paired_rates, unpaired_difference
from trueline.stats.engine import CI, Metric, as_ci, estimates
from trueline.stats.estimate import Estimate
from trueline.stats.hierarchical import Hierarchical, hierarchical_bootstrap, rate, rate_difference
from trueline.stats.intervals import Interval, agresti_coull, clopper_pearson, upper_bound, wilson
from trueline.stats.judge_error import CorrectedRate, corrected_rate
from trueline.stats.mantel_haenszel import MantelHaenszel, mantel_haenszel
from trueline.stats.mcnemar import McNemar, agresti_min, mcnemar, mcnemar_counts
from trueline.stats.multiplicity import benjamini_hochberg, holm
from trueline.stats.power import design_effect, detectable_difference, plan_samples, sample_size_two_rates
from trueline.stats.sample import SortedSample, sorted_sample

__all__ = [
    "CI",
    "ClusterRate",
    "CorrectedRate",
    "DifferenceTest",
    "Estimate",
    "Hierarchical",
    "Interval",
    "MantelHaenszel",
    "McNemar",
    "Metric",
    "SortedSample",
    "agresti_coull",
    "agresti_min",
    "as_ci",
    "benjamini_hochberg",
    "clopper_pearson",
    "cluster_rate",
    "corrected_rate",
    "design_effect",
    "detectable_difference",
    "estimates",
    "hierarchical_bootstrap",
    "holm",
    "independent_difference",
    "mantel_haenszel",
    "mcnemar",
    "mcnemar_counts",
    "paired_difference",
    "paired_rates",
    "plan_samples",
    "rate",
    "rate_difference",
    "sample_size_two_rates",
    "sorted_sample",
    "unpaired_difference",
    "upper_bound",
    "wilson",
]
