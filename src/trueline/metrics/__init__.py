"""Metrics: pure functions of scores, truth and weights, each returned as an `Estimate` with an interval."""

from __future__ import annotations

from trueline.metrics.accuracy import accuracy
from trueline.metrics.calibration_slope import calibration_intercept, calibration_line, calibration_slope
from trueline.metrics.compare import Difference, compare, compare_unpaired
from trueline.metrics.confidence import calibrated_confidence
from trueline.metrics.conformal import (
    aps_scores,
    class_conditional_thresholds,
    clustered_thresholds,
    conformal_p_values,
    conformal_threshold,
    cqr_scores,
    lac_scores,
    mondrian_thresholds,
    prediction_sets,
    raps_scores,
    set_report,
    weighted_threshold,
)
from trueline.metrics.corp import Corp, corp
from trueline.metrics.correlation import concordance, kendall, spearman
from trueline.metrics.curves import CurveBand, Reliability, reliability, risk_coverage_band, roc_curve_band, smooth_reliability
from trueline.metrics.ece import Bins, NullECE, debiased_ece, ece, ece_metric, mce, null_ece, signed_ece
from trueline.metrics.evaluate import METRICS, evaluate
from trueline.metrics.gate import Verdict, gate
from trueline.metrics.multiclass import classwise_ece, multiclass_brier, multiclass_nll, top_label_ece, top_label_signed_ece
from trueline.metrics.proper import Murphy, brier, brier_skill, murphy, nll
from trueline.metrics.ranking import auprc, auroc, fpr_at_tpr
from trueline.metrics.recalibration import Recalibration, cross_fit, recalibrate, venn_abers_interval
from trueline.metrics.risk_control import conformal_risk_control, learn_then_test
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
    "Difference",
    "Estimate",
    "Murphy",
    "NullECE",
    "Recalibration",
    "Reliability",
    "Scaling",
    "Verdict",
    "accuracy",
    "aps_scores",
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
    "class_conditional_thresholds",
    "classwise_ece",
    "clustered_thresholds",
    "compare",
    "compare_unpaired",
    "concordance",
    "conformal_p_values",
    "conformal_risk_control",
    "conformal_threshold",
    "corp",
    "coverage_at_risk",
    "cqr_scores",
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
    "gate",
    "kendall",
    "kernel_ece",
    "lac_scores",
    "learn_then_test",
    "mce",
    "mondrian_thresholds",
    "multiclass_brier",
    "multiclass_nll",
    "murphy",
    "nll",
    "null_ece",
    "prediction_sets",
    "prr",
    "prr_unconditional",
    "raps_scores",
    "recalibrate",
    "reliability",
    "risk_coverage_band",
    "roc_curve_band",
    "selective_risk",
    "set_report",
    "signed_ece",
    "smooth_ece",
    "smooth_reliability",
    "spearman",
    "top_label_ece",
    "top_label_signed_ece",
    "venn_abers_interval",
    "weighted_threshold",
]
