"""Metrics: pure functions of scores, truth and weights, each returned as an `Estimate` with an interval."""

from __future__ import annotations

from trueline.metrics.accuracy import accuracy
from trueline.metrics.calibration_slope import calibration_intercept, calibration_line, calibration_slope
from trueline.metrics.confidence import calibrated_confidence
from trueline.metrics.corp import Corp, corp
from trueline.metrics.correlation import concordance, kendall, spearman
from trueline.metrics.curves import CurveBand, Reliability, reliability, risk_coverage_band, roc_curve_band
from trueline.metrics.ece import Bins, NullECE, debiased_ece, ece, ece_metric, mce, null_ece, signed_ece
from trueline.metrics.evaluate import METRICS, evaluate
from trueline.metrics.proper import Murphy, brier, brier_skill, murphy, nll
from trueline.metrics.ranking import auprc, auroc, fpr_at_tpr
from trueline.metrics.recalibration import Recalibration, cross_fit, recalibrate, venn_abers_interval
from trueline.metrics.risk_coverage import augrc, aurc, coverage_at_risk, e_aurc, prr, prr_unconditional, selective_risk
from trueline.metrics.scaling import Scaling, fit_dirichlet, fit_temperature, fit_vector
from trueline.metrics.smooth_ece import kernel_ece, smooth_ece
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate

__all__ = [
    "CI",
    "METRICS",
    "Bins",
    "Corp",
    "CurveBand",
    "Estimate",
    "Murphy",
    "NullECE",
    "Recalibration",
    "Reliability",
    "Scaling",
    "accuracy",
    "augrc",
    "auprc",
    "aurc",
    "auroc",
    "brier",
    "brier_skill",
    "calibrated_confidence",
    "calibration_intercept",
    "calibration_line",
    "calibration_slope",
    "concordance",
    "corp",
    "coverage_at_risk",
    "cross_fit",
    "debiased_ece",
    "e_aurc",
    "ece",
    "ece_metric",
    "evaluate",
    "fit_dirichlet",
    "fit_temperature",
    "fit_vector",
    "fpr_at_tpr",
    "kendall",
    "kernel_ece",
    "mce",
    "murphy",
    "nll",
    "null_ece",
    "prr",
    "prr_unconditional",
    "recalibrate",
    "reliability",
    "risk_coverage_band",
    "roc_curve_band",
    "selective_risk",
    "signed_ece",
    "smooth_ece",
    "spearman",
    "venn_abers_interval",
]
