"""Golden cases of single-sequence uncertainty and its family, through the estimators on one-item traces."""

from __future__ import annotations

from typing import Any

import numpy as np

from trueline.estimators.exact_sequence import beam_nll, exact_sequence_measures
from trueline.estimators.predictive_entropy import PredictiveEntropy
from trueline.estimators.score_rules import score_rule_decomposition
from trueline.estimators.semantic_entropy import MaxClusterProbability, SemanticEntropy
from trueline.estimators.sequence_nll import SequenceNLL
from trueline.traces import ItemJudgement, Judgements, Trace, make_trace


def run(case: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Compute every expected key; contract errors propagate."""
    if "conditional_tables" in inputs:
        return _tree(inputs)
    if "posterior_models" in inputs:
        return _decomposition(inputs)
    return _family(inputs)


def _tree(inputs: dict[str, Any]) -> dict[str, Any]:
    tables, max_len, eos = inputs["conditional_tables"], inputs["max_len"], inputs["eos_token"]

    def law(prefix: tuple[int, ...]) -> list[float]:
        row: list[float] = tables[" ".join(map(str, prefix))]
        return row

    exact = exact_sequence_measures(law, max_len, eos)
    return {
        "n_sequences": exact.n_sequences,
        "entropy_exact": exact.entropy,
        "expected_length_normalised_nll": exact.mean_normalised_nll,
        "mode_sequence": list(exact.mode),
        "mode_nll_min_entropy": exact.min_entropy,
        "one_minus_msp": -float(np.expm1(-exact.min_entropy)),
        "greedy_sequence": list(exact.greedy),
        "g_nll": exact.g_nll,
        "g_nll_length_normalised": exact.g_nll / len(exact.greedy),
        **{f"beam{width}_nll": beam_nll(law, max_len, eos, width)[0] for width in range(1, 11)},
    }


def _decomposition(inputs: dict[str, Any]) -> dict[str, Any]:
    parts = score_rule_decomposition(inputs["posterior_models"], inputs.get("evaluated_model", 0))
    return {
        "zero_one_total": parts.zero_one_total,
        "zero_one_aleatoric": parts.zero_one_aleatoric,
        "zero_one_epistemic": parts.zero_one_epistemic,
        "log_total_cross_entropy": parts.log_total,
        "log_aleatoric_entropy": parts.log_aleatoric,
        "log_epistemic_kl": parts.log_epistemic,
    }


def _trace(inputs: dict[str, Any]) -> Trace:
    decoding = inputs.get("decoding", {})
    rows: list[dict[str, Any]] = []
    if "greedy_token_logprobs" in inputs:
        temperature = float(decoding.get("temperature", 1.0)) if decoding.get("do_sample") else None
        rows.append(
            {"item_id": "q", "kind": "greedy", "token_logprobs": _numbers(inputs["greedy_token_logprobs"]), "temperature": temperature}
        )
    law = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
    samples = inputs.get("sample_token_logprobs", [])
    rows += [{"item_id": "q", "kind": "sample", "text": str(k), "token_logprobs": _numbers(s), **law} for k, s in enumerate(samples)]
    trace = make_trace(rows)
    if "sample_cluster" in inputs:
        clusters = np.array(inputs["sample_cluster"], dtype=np.int64)
        same = np.eye(clusters.max() + 1)
        item = ItemJudgement(clusters, -1, np.stack([same, np.zeros_like(same), 1 - same], axis=-1))
        trace = trace.with_judgements(Judgements("given", (item,), hard=True))
    return trace


def _numbers(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _family(inputs: dict[str, Any]) -> dict[str, Any]:
    trace = _trace(inputs)
    empty = {"on_empty": inputs["on_empty"]} if "on_empty" in inputs else {}
    estimators: dict[str, Any] = {}
    if "greedy_token_logprobs" in inputs:
        estimators |= {"g_nll": SequenceNLL(**empty), "ln_g_nll": SequenceNLL(length_normalize=True, **empty)}
    if "sample_token_logprobs" in inputs:
        estimators |= {"pe": PredictiveEntropy(**empty), "ln_pe": PredictiveEntropy(length_normalize=True, **empty)}
    if "sample_cluster" in inputs:
        estimators |= {
            "se_rao": SemanticEntropy(**empty),
            "ln_se_rao": SemanticEntropy(length_normalize=True, **empty),
            "se_monte_carlo": SemanticEntropy(estimator="monte_carlo", **empty),
            "se_cluster_mean": SemanticEntropy(estimator="cluster_mean", **empty),
            "d_se": SemanticEntropy(weights="count", **empty),
            "mcp_uncertainty_count": MaxClusterProbability(**empty),
            "mcp_uncertainty_logprob": MaxClusterProbability(weights="logprob", **empty),
        }
    return {name: float(estimator.score(trace)[0]) for name, estimator in estimators.items()}
