"""Golden cases of epistemic markers: the probability of the right answer, paired contrasts of classes, emitted markers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trueline.metrics.emission import emission
from trueline.metrics.gold_answers import gold_answer
from trueline.metrics.marker_contrasts import class_contrast

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Return the values of one case."""
    if "positions" in inputs:
        positions = inputs["positions"]
        found = gold_answer([p["tokens"] for p in positions], [p["logprobs"] for p in positions], inputs["aliases"])
        return vars(found) | {"top1_correct": int(found.top1_correct), "top3_correct": int(found.top3_correct)}
    if "emitted" in inputs:
        found = emission(inputs["emitted"], inputs["correct"], inputs["answer_probability"])
        names = {"accuracy_by_marker": "accuracy", "mean_probability_by_marker": "probability"}
        means = {name: {kind: row[key].value for kind, row in found.classes.items()} for name, key in names.items()}
        return {**means, "gap_strengthener_minus_weakener": found.gaps["strengthener_minus_weakener"]["accuracy"].value}
    first, second = (inputs["correct"][name] for name in inputs["contrast"])
    found = class_contrast(first, second, legacy=True)
    if len(first) < 20 and not (math.isnan(found.p) and found.estimate.reason):
        raise AssertionError("few items have no interval, and a reason")
    return {
        "mean_by_class": {name: float(np.mean(values)) for name, values in inputs["correct"].items()},
        "difference": found.estimate.value,
        "paired_se": found.estimate.se,
        "paired_ci95": [found.estimate.low, found.estimate.high],
        "mcnemar_exact_p": found.mcnemar_p,
        **(found.legacy or {}),
    }
