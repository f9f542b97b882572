"""Classifiers: miscalibration by class, temperature by class, overfitting and out-of-distribution inputs."""

from __future__ import annotations

from trueline.metrics.classifiers.classwise_temperature import (
    ClasswiseTemperature,
    FittedClasswiseTemperature,
    ScaledResult,
    normalised_levels,
    scaled_logits,
)
from trueline.metrics.classifiers.miscalibration import Miscalibration, miscalibration_score
from trueline.metrics.classifiers.ood_report import OODReport, ood_report
from trueline.metrics.classifiers.overfit_gap import OverfitGap, overfit_gap

__all__ = [
    "ClasswiseTemperature",
    "FittedClasswiseTemperature",
    "Miscalibration",
    "OODReport",
    "OverfitGap",
    "ScaledResult",
    "miscalibration_score",
    "normalised_levels",
    "ood_report",
    "overfit_gap",
    "scaled_logits",
]
