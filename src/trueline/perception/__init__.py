"""Perception: uncertainty of models of images, texts and other inputs that answer with class scores."""

from __future__ import annotations

from trueline.perception.classifier_curves import classifier_curves
from trueline.perception.classifier_table import ClassifierTable, load_classifier_table
from trueline.perception.failure_scores import energy, failure_scores, max_logit, max_softmax, softmax_entropy, softmax_margin
from trueline.perception.image_shifts import IMAGE_SHIFTS
from trueline.perception.perturbation_report import PerturbationReport, Perturbed, perturbation_report
from trueline.perception.safety_report import SafetyReport, safety_report
from trueline.perception.shift import Shift
from trueline.perception.text_shifts import TEXT_SHIFTS, synonyms

__all__ = [
    "IMAGE_SHIFTS",
    "TEXT_SHIFTS",
    "ClassifierTable",
    "PerturbationReport",
    "Perturbed",
    "SafetyReport",
    "Shift",
    "classifier_curves",
    "energy",
    "failure_scores",
    "load_classifier_table",
    "max_logit",
    "max_softmax",
    "perturbation_report",
    "safety_report",
    "softmax_entropy",
    "softmax_margin",
    "synonyms",
]
