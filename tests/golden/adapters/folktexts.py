"""Golden cases of folktexts: answer tokens to risk scores, metrics of risk scores, fairness, fitted thresholds, stated probabilities."""

from __future__ import annotations

import csv
import math
from typing import Any

import numpy as np

from trueline.metrics.ece import signed_ece
from trueline.metrics.risk import confidence_bias, evaluate_risk, fit_threshold, group_fairness
from trueline.tabular.answers import best_numeric, choice_score, number_of_tokens, option_law, parse_probability

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Return the values of one case."""
    if "texts" in inputs:
        return {"values": [parse_probability(text) for text in inputs["texts"]]}
    if "vocab" in inputs or "top_logprobs" in inputs:
        return _answer(inputs)
    if "file" in inputs:
        return _file(inputs)
    if "pred" in inputs:
        found = group_fairness(inputs["y"], inputs["pred"], inputs["group"], min_group_fraction=inputs["min_group_fraction"])
        return {name: e.value for name, e in found.values.items()}
    if "false_pos_cost" in inputs:
        costs = {name: inputs[name] for name in ("false_pos_cost", "false_neg_cost")}
        return {"threshold": fit_threshold(inputs["score"], inputs["y"], **costs).threshold}
    return _metrics(inputs["y"], inputs["score"], inputs.get("threshold", 0.5), inputs.get("bins", 10))


def _answer(i: Values) -> Values:
    if "top_logprobs" in i:
        law = option_law({token: math.exp(v) for token, v in i["top_logprobs"][0].items()}, ["A", "B"])
        return {"score": choice_score(law.p, [0, 1])}
    words = list(i["vocab"])
    labels = [w for w in words if len(w) == 1 and w in "ABC"]
    laws = {k.removeprefix("probs"): dict(zip(words, v, strict=True)) for k, v in i.items() if k.startswith("probs") and np.ndim(v) == 1}
    if not laws:
        return {"score": number_of_tokens([best_numeric(dict(zip(words, row, strict=True))) for row in i["probs"]])}
    values = i.get("numeric_values", [0, 1])
    scores = {
        f"score{name}": choice_score(option_law(law, labels).p, values[::-1] if name.endswith("high_low") else values)
        for name, law in laws.items()
    }
    return scores | {"score_averaged": float(np.mean(list(scores.values())))}


def _metrics(y: Any, score: Any, threshold: Any, bins: int) -> Values:
    report = evaluate_risk(y, score, threshold=threshold, bins=bins, ci=None)
    return {
        "threshold": report.threshold,
        **{name: e.value for name, e in report.metrics.items()},
        "confidence_bias_unit_bins": report["confidence_bias"].value,
        "confidence_bias_data_range_bins": confidence_bias(score, y, n_bins=bins, bins="data_range", ci=None).value,
        "signed_calibration_error": signed_ece(score, y, ci=None).value,
    }


def _file(i: Values) -> Values:
    with open(i["file"], encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    y = [float(row[i["label"]]) for row in rows]
    return {name: _metrics(y, [float(row[name]) for row in rows], i["threshold"], 10) for name in i["score_columns"]}
