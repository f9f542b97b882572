"""Golden adapter of classifier audits: a case's kind (its name less the size) says which function makes the expected keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trueline.metrics import (
    accuracy,
    excess_optimal_risk,
    miscalibration_score,
    normalised_levels,
    scaled_logits,
    top_label_ece,
    trust_index,
)
from trueline.metrics.scaling import log_softmax
from trueline.objectives import ConfidenceLabelSmoothing

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Compute the expected keys of one case."""
    return next(function for kind, function in KINDS.items() if case.startswith(kind))(**inputs)


def softmax(logits: Any) -> Any:
    return np.exp(log_softmax(np.asarray(logits, dtype=np.float64)))


def miscalibration(logits: Any, labels: Any, n_bins: int) -> Values:
    m = miscalibration_score(softmax(logits), labels, n_bins, ci=None)
    levels = [e.value for e in m.class_signed]
    return {
        "ece": m.ece.value,
        "signed_level": m.signed.value,
        "classwise_ece": [e.value for e in m.class_ece],
        "classwise_signed": levels,
        "overall_mcs": m.overall.value,
        "mean_over": m.over_mean.value,
        "mean_under": m.under_mean.value,
        "share_over": m.share_over.value,
        "share_under": m.share_under.value,
        "normalised": {how or "none": normalised_levels(levels, how) for how in ("max", "min_max", None)},
    }


def trust(uncertainty: Any, correct: Any) -> Values:
    return {
        "n_correct": int(np.sum(correct)),
        "trust_index": trust_index(uncertainty, correct, ci=None).value,
        "e_au_opt_rc": excess_optimal_risk(uncertainty, correct, ci=None).value,
    }


def smoothing(logits: Any, labels: Any, class_confidence: Any, smoothing: float, confidence_weight: float) -> Values:
    loss = ConfidenceLabelSmoothing(len(class_confidence), smoothing, class_confidence, confidence_weight)
    value = loss(torch.tensor(logits, dtype=torch.float64), torch.tensor(labels))
    return {"loss": float(value), "target_row_0": loss.targets()[labels[0]]}


def temperature(logits: Any, labels: Any, base_temperature: float, normalised: Any, gamma: Any) -> Values:
    rows = [softmax(scaled_logits(logits, base_temperature * (1 + g * np.asarray(normalised)))) for g in gamma]
    return {
        "ece": [top_label_ece(p, labels, ci=None).value for p in rows],
        "accuracy": [accuracy(p.argmax(axis=1), labels, ci=None).value for p in rows],
    }


KINDS: dict[str, Callable[..., Values]] = {
    "miscalibration_score": miscalibration,
    "trust_index": trust,
    "confidence_label_smoothing": smoothing,
    "classwise_temperature": temperature,
}
