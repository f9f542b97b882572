"""Golden cases of the twelve uncertainty methods for text and code, through the estimators on one-item traces."""

from __future__ import annotations

from typing import Any

import numpy as np

from trueline.capture.perturbation import alternatives, perturbation_point
from trueline.estimators.distances import DISTANCES
from trueline.estimators.sentence import SentenceEntropy, SentenceNLL, sentence_ends, top_entropy_bits
from trueline.estimators.variation_ratio import variation_ratio, variation_ratio_original
from trueline.tasks.code_quality import code_quality_rule
from trueline.traces import make_trace
from trueline.traces.schema import PERTURBATIONS


def run(case: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Compute every expected key; contract errors propagate."""
    if "distance" in inputs:
        return _ratios(np.array(inputs["distance"], dtype=np.float64), inputs.get("method"))
    if "a" in inputs:
        return {name: distance(inputs["a"], inputs["b"]) for name, distance in DISTANCES.items()}
    if "parses" in inputs:
        return {"quality": code_quality_rule(inputs["parses"], inputs["assertions_passed"], inputs["assertions"])}
    if "drop_token_ids" in inputs:
        ranked = np.argsort(-np.array(inputs["logits"]), kind="stable").tolist()
        return {"alternatives": alternatives(ranked, ranked[0], inputs["drop_token_ids"], inputs["n_alternatives"])}
    return _sentences(inputs)


def _ratios(matrix: np.ndarray[Any, Any], method: str | None) -> dict[str, Any]:
    vro = variation_ratio_original(matrix[1:, 0])
    if method != "vr" and len(matrix) == 2:
        return {"vr": None, "vro": vro}
    return {"vr": variation_ratio(matrix[1:, 1:]), "vro": vro}


def _sentences(inputs: dict[str, Any]) -> dict[str, Any]:
    logits = np.array(inputs["logits"], dtype=np.float64).reshape(len(inputs["tokens"]), -1 if inputs["tokens"] else 1)
    law = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    ordered = -np.sort(-law, axis=1)
    entropies = -(np.exp(law) * law).sum(axis=1)
    row = {
        "item_id": "q",
        "kind": "greedy",
        "text": "".join(inputs["tokens"]),
        "token_texts": inputs["tokens"],
        "token_logprobs": ordered[:, 0],
        "token_entropy": entropies,
        "topk_logprobs": ordered[:, :5].tolist(),
    }
    trace = make_trace([row])
    settings = {"separators": tuple(inputs["separators"]), "boundary": inputs.get("boundary", False), "on_empty": "nan"}
    names = {"max": "max", "avg": "mean"}
    found: dict[str, Any] = {}
    for name, reduce in names.items():
        found[f"sentence_{name}_nll"] = float(SentenceNLL(reduce=reduce, **settings).score(trace)[0])
        found[f"sentence_{name}_entropy"] = float(SentenceEntropy(reduce=reduce, **settings).score(trace)[0])
    found["n_sentences"] = len(sentence_ends(inputs["tokens"], inputs["separators"], boundary=settings["boundary"]))
    if len(entropies):
        found |= {kind.replace("perturb", "point"): perturbation_point(entropies, kind) for kind in PERTURBATIONS}
        found |= {"token_entropies": entropies, "top5_entropy_bits": top_entropy_bits(ordered[:, :5])}
    return found
