"""Metrics: pure functions of scores, truth and weights, each returned as an `Estimate` with an interval."""

from __future__ import annotations

from trueline.metrics.accuracy import accuracy
from trueline.metrics.correlation import concordance, kendall, spearman
from trueline.metrics.ece import Bins, NullECE, debiased_ece, ece, mce, null_ece, signed_ece
from trueline.metrics.evaluate import METRICS, evaluate
from trueline.metrics.proper import Murphy, brier, brier_skill, murphy, nll
from trueline.metrics.ranking import auprc, auroc, fpr_at_tpr
from trueline.metrics.risk_coverage import augrc, aurc, coverage_at_risk, e_aurc, prr, prr_unconditional, selective_risk
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate

__all__ = [
    "CI",
    "METRICS",
    "Bins",
    "Estimate",
    "Murphy",
    "NullECE",
    "accuracy",
    "augrc",
    "auprc",
    "aurc",
    "auroc",
    "brier",
    "brier_skill",
    "concordance",
    "coverage_at_risk",
    "debiased_ece",
    "e_aurc",
    "ece",
    "evaluate",
    "fpr_at_tpr",
    "kendall",
    "mce",
    "murphy",
    "nll",
    "null_ece",
    "prr",
    "prr_unconditional",
    "selective_risk",
    "signed_ece",
    "spearman",
]
