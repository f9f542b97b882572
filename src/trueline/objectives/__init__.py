"""Objectives: losses and schedules as pure functions."""

from __future__ import annotations

from trueline.objectives.confidence_curriculum import ConfidenceCurriculum, rater_scores
from trueline.objectives.confidence_label_smoothing import ConfidenceLabelSmoothing, class_confidence

__all__ = ["ConfidenceCurriculum", "ConfidenceLabelSmoothing", "class_confidence", "rater_scores"]
