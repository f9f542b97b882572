"""DRM: how good is a reasoning, on three dimensions that can be read? Scores, preference pairs, and an estimator.

Source: "From <Answer> to <Think>: Multidimensional Supervision of Reasoning Process for LLM Optimization", arXiv 2510.11457.
"""

from trueline.estimators.drm.estimator import DRMEstimator
from trueline.estimators.drm.rewards import (
    Confidence,
    DRMWeights,
    TunedWeights,
    best_and_worst,
    confidence,
    group_advantages,
    group_z,
    relevance_total,
    repetition_share,
    tune_weights,
)
from trueline.estimators.drm.scorers import CrossEncoder, RewardModel, TokenOverlap
from trueline.estimators.drm.scoring import DRM, Candidate, DRMItem, items_of

__all__ = [
    "DRM",
    "Candidate",
    "Confidence",
    "CrossEncoder",
    "DRMEstimator",
    "DRMItem",
    "DRMWeights",
    "RewardModel",
    "TokenOverlap",
    "TunedWeights",
    "best_and_worst",
    "confidence",
    "group_advantages",
    "group_z",
    "items_of",
    "relevance_total",
    "repetition_share",
    "tune_weights",
]
