"""Golden adapter of RACE: the fields of a case's inputs say which function makes the expected keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trueline.estimators.race import (
    answer_alignment,
    answer_uncertainty,
    combine,
    contradiction,
    fit_race_weights,
    reasoning_consistency,
    speculation,
    step_weights,
    token_entropies,
)
from trueline.tasks.thinking import Tags

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Compute the expected keys of one case."""
    makers = {
        "embeddings": answers,
        "contradiction": consistency,
        "logits_entail_contradict": contradictions,
        "attention_LHTT": weights,
        "answer_logits": alignment,
        "main_steps": missing,
        "reasoning_entities": entities,
        "s_aa": total,
        "components_aa_ca_cc_coh": fit,
        "outputs": split,
    }
    return next(make for key, make in makers.items() if key in inputs)(**inputs)


def answers(texts: Any, embeddings: Any, threshold: float) -> Values:
    found = answer_uncertainty(texts, embeddings, threshold)
    deduplicated = answer_uncertainty(texts, embeddings, threshold, dedup=True)
    return {"s_aa": found.value, "clusters": found.clusters, "adjusted_p": found.adjusted_p, "s_aa_dedup": deduplicated.value}


def consistency(contradiction: Any, weights: Any) -> Values:
    table = [[math.nan if p is None else p for p in row] for row in contradiction]
    return {"s_cc": reasoning_consistency(table, weights)}


def contradictions(logits_entail_contradict: Any, logits_entail_neutral_contradict: Any) -> Values:
    return {"p2": contradiction(logits_entail_contradict), "p3_neutral_dropped": contradiction(logits_entail_neutral_contradict)}


def weights(attention_LHTT: Any, step_spans: Any, answer_span: Any) -> Values:
    return {"weights": step_weights(attention_LHTT, step_spans, answer_span)}


def alignment(answer_logits: Any) -> Values:
    value, parts = answer_alignment(token_entropies(rows) for rows in answer_logits)
    return {"per_sample": parts, "s_ca": value}


def missing(main_steps: Any, sample_steps: Any, sample_answers: Any) -> Values:
    told = [steps for steps in sample_steps if steps]
    return {
        "s_cc": reasoning_consistency(np.zeros((len(main_steps), len(told)))),
        "s_ca": answer_alignment(np.zeros(len(answer)) for answer in sample_answers)[0],
    }


def entities(reasoning_entities: Any, step_entities: Any) -> Values:
    return {"s_coh": speculation(reasoning_entities, step_entities)}


def total(s_aa: float, s_ca: float, s_cc: float, s_coh: float, weights: Any = (1, 1, 1, 1)) -> Values:
    return {
        "race": float(combine(s_aa, s_ca, s_cc, s_coh, weights)),
        "race_no_reasoning_trace": float(combine(s_aa, s_ca, s_cc, None, weights)),
    }


def fit(components_aa_ca_cc_coh: Any, labels_wrong: Any, step: float) -> Values:
    found = fit_race_weights(components_aa_ca_cc_coh, labels_wrong, step)
    return {"weights": found.weights, "auroc": found.auroc}


def split(outputs: Any, open: str, close: str) -> Values:
    found = [Tags(open, close).split(text) for text in outputs]
    return {"reasoning": [f.reasoning for f in found], "answer": [f.answer for f in found]}
