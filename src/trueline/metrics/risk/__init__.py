"""Metrics of risk scores: a probability that an uncertain binary outcome happens, such as a language model's answer about a person.

Cruz, Hardt and Mendler-Duenner 2024, arXiv 2407.14614.
"""

from __future__ import annotations

from trueline.metrics.risk.calibration import confidence_bias, quantile_ece, score_bias
from trueline.metrics.risk.evaluation import RiskReport, evaluate_risk
from trueline.metrics.risk.fairness import Fairness, group_fairness
from trueline.metrics.risk.threshold import FittedThreshold, fit_threshold

__all__ = [
    "Fairness",
    "FittedThreshold",
    "RiskReport",
    "confidence_bias",
    "evaluate_risk",
    "fit_threshold",
    "group_fairness",
    "quantile_ece",
    "score_bias",
]
