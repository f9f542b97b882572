"""Golden adapter of DRM: the fields of a case's inputs say which function makes the expected keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trueline.estimators.drm import (
    best_and_worst,
    confidence,
    group_advantages,
    group_z,
    relevance_total,
    repetition_share,
    tune_weights,
)

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Compute the expected keys of one case."""
    if "reasoning_logprobs" in inputs:
        found = confidence(*([math.nan if p is None else p for p in inputs[k]] for k in ("reasoning_logprobs", "answer_logprobs")))
        return {"conf_reasoning": found.reasoning, "conf_answer": found.answer, "confidence": found.total}
    if "part_weights" in inputs:
        return {"relevance": relevance_total(inputs["q"], inputs["d"], inputs["a"], inputs["part_weights"])}
    if "confidence" in inputs:
        return group(**inputs)
    if "answer_correct" in inputs:
        drm, answers = group_z(inputs["drm"]), group_z(np.array(inputs["answer_correct"], dtype=float))
        return {"adv_drm": drm, "adv_answer": answers, "adv_sum": group_advantages(inputs["drm"], inputs["answer_correct"])}
    if "tokens" in inputs:
        return {"repetition": repetition_share(inputs["tokens"], inputs["n"])}
    if "sound" in inputs:
        tuned = tune_weights(inputs["z_conf_rel_coh"], inputs["sound"], inputs["group"], inputs["step"])
        return {"weights": tuned.weights.values, "pairwise_accuracy": tuned.pairwise_accuracy}
    return {"pair_chosen_rejected": best_and_worst(inputs["drm"], inputs["min_margin"])}


def group(confidence: Any, relevance: Any, coherence: Any, weights: Any) -> Values:
    z = [group_z([-math.inf if x == "-inf" else x for x in values]) for values in (confidence, relevance, coherence)]
    drm = sum(w * values for w, values in zip(weights, z, strict=True))
    found = {f"z_{name}": values for name, values in zip(("confidence", "relevance", "coherence"), z, strict=True)}
    return {**found, "drm": drm, "pair_chosen_rejected": best_and_worst(drm)}
