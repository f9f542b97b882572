"""Golden cases of the shelf of estimators: one-item traces, pure functions, and 300 real TriviaQA items."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from trueline.estimators import attention, conformal, graph, pmi
from trueline.estimators.claim_conditioned import Alternative, ccp
from trueline.estimators.clusters import cluster
from trueline.estimators.cocoa import cocoa
from trueline.estimators.eigenscore import eigenscore
from trueline.estimators.engine import judge_trace
from trueline.estimators.equivalence import Exact, Normalised
from trueline.estimators.kernel_language_entropy import KernelLanguageEntropy
from trueline.estimators.lexical_similarity import LexicalSimilarity
from trueline.estimators.loading import estimator_entries, load_estimator
from trueline.estimators.luq import LUQ, Contradiction
from trueline.estimators.mahalanobis import fit_gaussian, relative_mahalanobis
from trueline.estimators.p_true import p_true_uncertainty
from trueline.estimators.predictive_entropy import PredictiveEntropy
from trueline.estimators.sar import sar, sentence_sar, token_sar
from trueline.estimators.self_certainty import FisherRaoUncertainty, RenyiUncertainty, SelfCertainty
from trueline.estimators.self_consistency import SelfConsistency, confidence_weighted_consistency
from trueline.estimators.selfcheck import selfcheck_ngram, selfcheck_nli
from trueline.estimators.semantic_density import SemanticDensity
from trueline.estimators.semantic_entropy import SemanticEntropy
from trueline.estimators.semantic_sets import NumSemanticSets
from trueline.estimators.sequence_nll import MaxTokenNLL, Perplexity, SequenceNLL
from trueline.estimators.token_entropy import TokenEntropy
from trueline.estimators.topk_margin import TopKEntropy, TopKMargin
from trueline.estimators.verbalized import parse_confidence
from trueline.models.base import TOKEN_STATS
from trueline.models.token_stats import law_statistics
from trueline.traces import ItemJudgement, Judgements, Trace, make_trace

Inputs = Mapping[str, Any]
K = 3  # alternatives a token in these cases

GREEDY = {
    "sequence_nll": SequenceNLL(),
    "mean_token_nll": SequenceNLL(length_normalize=True),
    "perplexity": Perplexity(),
    "max_token_nll": MaxTokenNLL(),
    "mean_token_entropy": TokenEntropy(),
    "max_token_entropy": TokenEntropy(reduce="max"),
    "self_certainty_uncertainty": SelfCertainty(),
    "renyi_uncertainty_alpha0.5_T2": RenyiUncertainty(),
    "fisher_rao_uncertainty_T2": FisherRaoUncertainty(),
}
SAMPLED = {
    "predictive_entropy_mc": PredictiveEntropy(),
    "ln_predictive_entropy_mc": PredictiveEntropy(length_normalize=True),
    "lexical_similarity_rougeL": LexicalSimilarity(),
    "lexical_similarity_rouge1": LexicalSimilarity("rouge1"),
    "lexical_similarity_bleu": LexicalSimilarity("bleu"),
    "eigv_jaccard": graph.EigenValue(),
    "degmat_jaccard": graph.Degree(),
    "eccentricity_jaccard": graph.Eccentricity(),
}
JUDGED = {
    "semantic_entropy_mc": SemanticEntropy(estimator="monte_carlo"),
    "semantic_entropy_mc_unique": SemanticEntropy(estimator="monte_carlo", unique=True),
    "semantic_entropy_discrete": SemanticEntropy(weights="count"),
    "semantic_entropy_rao_ln": SemanticEntropy(length_normalize=True),
    "semantic_entropy_rao_raw": SemanticEntropy(),
    "semantic_entropy_cluster_mean_ln": SemanticEntropy(estimator="cluster_mean", length_normalize=True),
    "semantic_entropy_cluster_mean_raw": SemanticEntropy(estimator="cluster_mean"),
    "num_semantic_sets": NumSemanticSets(),
    "self_consistency_uncertainty": SelfConsistency(),
    "eigv_entail": graph.EigenValue("entail", compat="lm_polygraph"),
    "eigv_contra": graph.EigenValue("contra", compat="lm_polygraph"),
    "degmat_entail": graph.Degree("entail", compat="lm_polygraph"),
    "degmat_contra": graph.Degree("contra", compat="lm_polygraph"),
    "eccentricity_entail": graph.Eccentricity("entail", compat="lm_polygraph"),
    "eccentricity_contra": graph.Eccentricity("contra", compat="lm_polygraph"),
    "eigv_entail_diag1": graph.EigenValue("entail"),
    "eigv_contra_diag1": graph.EigenValue("contra"),
    "degmat_entail_diag1": graph.Degree("entail"),
    "degmat_contra_diag1": graph.Degree("contra"),
    "eccentricity_entail_diag1": graph.Eccentricity("entail"),
    "eccentricity_contra_diag1": graph.Eccentricity("contra"),
    "kle_heat0.3_onehot_unscaled": KernelLanguageEntropy(),
    "kle_matern_k1_nu1_onehot_unscaled": KernelLanguageEntropy(kernel="matern"),
    "kle_heat0.3_lmp": KernelLanguageEntropy(compat="lm_polygraph"),
    "kle_full_heat0.3_alpha0.5": KernelLanguageEntropy(alpha=0.5),
    "luq": LUQ(),
}
FROM_LAWS = {
    "mean_top3_negentropy": TopKEntropy(K),
    "min_top3_negentropy": TopKEntropy(K, "max"),
    "mean_top3_entropy_renormalised": TopKEntropy(K),
    "mean_probability_margin": TopKMargin(),
}
#: Scores of samples that are functions of arrays: how many samples they are given is all that matters to a contract case.
PURE: dict[str, Callable[[list[list[float]]], float]] = {
    "sentence_sar_t0.001": lambda tokens: sentence_sar([sum(t) for t in tokens], np.eye(len(tokens))),
    "sar_t0.001": lambda tokens: sar(tokens, [[0.0] * len(t) for t in tokens], np.eye(len(tokens))),
    "eigenscore_alpha1e-3": lambda tokens: eigenscore(np.eye(len(tokens), 8)),
}
GREEDY_JUDGED = {
    "noncontradiction_confidence": Contradiction(),
    "semantic_density_lmp": SemanticDensity(compat="lm_polygraph"),
    "semantic_density_uncertainty": SemanticDensity(),
    "exact_match_disagreement": SelfConsistency(reference="greedy"),
}


def run(case: str, inputs: Inputs) -> dict[str, Any]:
    """Compute every expected key of the case; contract errors propagate."""
    if "estimator" in inputs:
        return _one_estimator(inputs)
    for key, compute in KINDS.items():
        if key in inputs:
            return compute(inputs)
    raise KeyError(f"{case}: no kind of case has the inputs {sorted(inputs)}")


# -- one trace, every score -----------------------------------------------------------------------------------------


def _trace_case(inputs: Inputs) -> dict[str, Any]:
    trace = _trace(inputs)
    scores = _scores(GREEDY, trace)
    logprobs = np.array(inputs["greedy"]["token_logprobs"])
    scores |= _from_laws(trace)
    if "greedy_lm_logprobs" in inputs:
        entropy = trace.greedy.ragged("token_entropy")[0]
        scores["mean_pmi"] = pmi.mean_pmi(logprobs, inputs["greedy_lm_logprobs"])
        scores["conditional_pmi"] = pmi.conditional_pmi(logprobs, inputs["greedy_lm_logprobs"], entropy)
    if "greedy_token_similarity" in inputs:
        scores["token_sar"] = token_sar(logprobs, inputs["greedy_token_similarity"])
    if "attention" in inputs:
        scores |= _from_attention(logprobs, inputs)
    if inputs.get("samples"):
        scores |= _scores(SAMPLED, trace) | _scores(JUDGED, trace) | _from_samples(trace, inputs, scores)
    return scores


def _scores(estimators: Mapping[str, Any], trace: Trace) -> dict[str, Any]:
    return {name: float(estimator.score(trace)[0]) for name, estimator in estimators.items()}


def _trace(inputs: Inputs) -> Trace:
    """One item with the statistics that a capture takes from the full law, and the given verdicts."""
    rows: list[dict[str, Any]] = []
    if "greedy" in inputs:
        law = torch.tensor(inputs["greedy"]["full_logprobs"], dtype=torch.float64)
        stats = {name: values.numpy() for name, values in law_statistics(law, TOKEN_STATS).items()}
        top = -np.sort(-law.numpy(), axis=1)[:, : 2 * K]
        greedy = {"text": inputs["greedy"].get("text"), "token_logprobs": inputs["greedy"]["token_logprobs"]}
        rows.append({"item_id": "q", "kind": "greedy", **greedy, **stats, "topk_logprobs": top.tolist()})
    for sample in inputs.get("samples", []):
        plain = {name: sample[name] for name in ("text", "token_logprobs") if name in sample}
        rows.append({"item_id": "q", "kind": "sample", "temperature": 1.0, "top_p": 1.0, "top_k": 0, **plain})
    trace = make_trace(rows)
    return trace.with_judgements(_verdicts(inputs)) if "nli_probs" in inputs else trace


def _verdicts(inputs: Inputs) -> Judgements:
    """Given per pair of samples, equal texts included, so every sample is a text of its own; the greedy answer comes last."""
    among = np.array(inputs["nli_probs"], dtype=np.float64)
    m = len(among)
    probs = np.full((m + 1, m + 1, 3), np.nan)
    probs[:m, :m] = among
    if "greedy_sample_nli" in inputs:
        probs[m, :m] = inputs["greedy_sample_nli"]["forward"]
        probs[:m, m] = inputs["greedy_sample_nli"]["backward"]
    return Judgements("given", (ItemJudgement(np.arange(m), m, probs),))


def _from_laws(trace: Trace) -> dict[str, Any]:
    negentropy = {f"{name}_top{K}_negentropy": 1.0 - _score(TopKEntropy(K, reduce), trace) for name, reduce in _REDUCE.items()}
    return {
        **negentropy,
        f"mean_top{K}_entropy_renormalised": _score(TopKEntropy(K), trace) * np.log(K),
        "mean_probability_margin": 1.0 - _score(TopKMargin(), trace),
        "renyi_neg_alpha0.5_T2_lmp": _score(RenyiUncertainty(compat="lm_polygraph"), trace),
        "fisher_rao_T2_lmp": _score(FisherRaoUncertainty(compat="lm_polygraph"), trace),
    }


_REDUCE: dict[str, Any] = {"mean": "mean", "min": "max"}  # the least negentropy is that of the most uncertain token


def _score(estimator: Any, trace: Trace) -> float:
    return float(estimator.score(trace)[0])


def _from_attention(logprobs: NDArray[np.float64], inputs: Inputs) -> dict[str, Any]:
    maps = np.array(inputs["attention"], dtype=np.float64)
    t = np.arange(len(logprobs))
    rauq = attention.rauq(logprobs, maps[:, :, t[1:], t[:-1]])
    scores = {
        "rauq_alpha0.2": rauq,
        "rauq_alpha0.2_lmp": rauq + 1.0,
        "attention_score_mid": attention.attention_score(np.log(maps[:, :, t, t]).sum(axis=2)),
    }
    if "csl_attention" in inputs:
        scores["csl"] = attention.csl(logprobs, inputs["csl_attention"])
    return scores


def _from_samples(trace: Trace, inputs: Inputs, greedy: Mapping[str, float]) -> dict[str, Any]:
    verdicts = np.array(inputs["nli_probs"], dtype=np.float64)
    exact = trace.with_judgements(judge_trace(trace, Exact()))
    weights = graph.symmetric_weights(verdicts[None])
    tokens = [sample["token_logprobs"] for sample in inputs["samples"]]
    scores: dict[str, Any] = {
        "exact_match_disagreement": _score(SelfConsistency(reference="greedy"), exact),
        "cluster_of_sample": cluster(verdicts).tolist(),
        "cluster_of_sample_loose": cluster(verdicts, "loose").tolist(),
        "cluster_of_sample_either": cluster(verdicts, "either").tolist(),
        "degree_confidence_per_sample_diag1": graph.degree_confidence(weights)[0].tolist(),
        "eccentricity_per_sample_diag1": graph.eccentricity(weights)[0].tolist(),
        "mc_probability_confidence": float(np.mean([np.exp(np.mean(s)) for s in tokens])),
        "eigenscore_alpha1e-3": eigenscore(inputs["sample_embeddings"]),
        "sentence_sar_t0.001": sentence_sar([sum(s) for s in tokens], inputs["sample_similarity"]),
        "sar_t0.001": sar(tokens, [s["token_similarity"] for s in inputs["samples"]], inputs["sample_similarity"]),
    }
    close = [inputs["greedy_sample_similarity"]]
    for name, base in (("cocoa_msp", "sequence_nll"), ("cocoa_ppl", "mean_token_nll"), ("cocoa_mte", "mean_token_entropy")):
        scores[name] = float(cocoa([greedy[base]], close)[0])
    scores["selfcheck_nli"] = float(selfcheck_nli([inputs["greedy_sample_nli"]["forward"]])[0])
    scores["noncontradiction_confidence"] = 1.0 - _score(Contradiction(), trace)
    scores["semantic_density_uncertainty"] = _score(SemanticDensity(), trace)
    scores["semantic_density_lmp"] = _score(SemanticDensity(compat="lm_polygraph"), trace)
    return scores


# -- other kinds of case --------------------------------------------------------------------------------------------


def _density(inputs: Inputs) -> dict[str, Any]:
    train, background = fit_gaussian(inputs["train"]), fit_gaussian(inputs["background"])
    return {
        "mahalanobis": train.distance(inputs["query"]).tolist(),
        "relative_mahalanobis": relative_mahalanobis(inputs["query"], train, background).tolist(),
    }


def _conformal_sets(inputs: Inputs) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, score in (("lac", conformal.lac_scores), ("aps", conformal.aps_scores)):
        quantile = conformal.split_quantile(conformal.label_scores(score(inputs["cal_probs"]), inputs["cal_labels"]), inputs["alpha"])
        result["rank_k"] = quantile.rank
        result[f"{name}_qhat"] = quantile.value
        result[f"{name}_sets"] = conformal.prediction_sets(score(inputs["test_probs"]), quantile)
    return result


def _split_quantile(inputs: Inputs) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quantile = conformal.split_quantile(inputs["cal_scores"], inputs["alpha"])
    if bool(said) != np.isinf(quantile.value):
        raise AssertionError("too few calibration points must warn, and nothing else may")
    return {"rank_k": quantile.rank, "qhat": quantile.value, "sets": conformal.prediction_sets(inputs["test_scores"], quantile)}


def _abstention(inputs: Inputs) -> dict[str, Any]:
    threshold = conformal.abstention_threshold(inputs["scores"], inputs["wrong"], inputs["alpha"])
    return {"threshold": threshold, "n_answered": int(np.sum(np.array(inputs["scores"]) <= threshold))}


def _ccp(inputs: Inputs) -> dict[str, Any]:
    names = {"entailment": "entail", "contradict": "contra", "contradiction": "contra"}
    label = lambda word: names.get(word, word)  # noqa: E731
    tokens = [[Alternative(a["logprob"], label(a["nli_forward"]), label(a["nli_backward"])) for a in t] for t in inputs["alternatives"]]
    return {"ccp_uncertainty": ccp(tokens)}


def _unigram(inputs: Inputs) -> dict[str, Any]:
    scores = selfcheck_ngram(inputs["passage"], inputs["samples"], inputs["sentences"])
    return {"avg_neg_logprob": scores.average.tolist(), "max_neg_logprob": scores.maximum.tolist()}


def _parsing(inputs: Inputs) -> dict[str, Any]:
    return {"uncertainty": [1.0 - parse_confidence(reply) for reply in inputs["replies"]]}


def _p_true(inputs: Inputs) -> dict[str, Any]:
    value = partial(p_true_uncertainty, inputs["logprob_true"], inputs["logprob_false"])
    return {
        "lm_polygraph_ptrue": float(value(compat="lm_polygraph")),
        "one_minus_p_true": float(value("one_way")),
        "one_minus_p_true_two_way": float(value("two_way")),
    }


def _uacc(inputs: Inputs) -> dict[str, Any]:
    return {"uacc": conformal.uacc(inputs["accuracy"], inputs["mean_set_size"], inputs["n_options"])}


def _weighted_consistency(inputs: Inputs) -> dict[str, Any]:
    confidence = [float("nan") if c is None else c for c in inputs["verbalized"]]
    uncertainty, n_missing = confidence_weighted_consistency(inputs["clusters"], confidence)
    return {"uncertainty": uncertainty, "n_missing": n_missing}


# -- contracts ------------------------------------------------------------------------------------------------------


def _one_estimator(inputs: Inputs) -> dict[str, Any]:
    """An estimator, by its name here or in the catalog, on a trace that may not suffice."""
    name = inputs["estimator"]
    tokens = [sample.get("token_logprobs", []) for sample in inputs.get("samples", [])]
    if name in PURE and "trace_fields" not in inputs:
        return {name: PURE[name](tokens)}
    known = {**GREEDY, **FROM_LAWS, **SAMPLED, **JUDGED, **GREEDY_JUDGED}
    aliases = {"lexical_similarity": "lexical_similarity_rougeL", "semantic_entropy_rao": "semantic_entropy_rao_raw"}
    name = aliases.get(name, name)
    estimator = known[name] if name in known else load_estimator(name)[1] if name in estimator_entries() else None
    if estimator is None:
        raise KeyError(f"no estimator is called {name!r} here")
    trace = _fields_alone(inputs["trace_fields"]) if "trace_fields" in inputs else _trace(inputs)
    judged = "equivalence.samples" in inputs.get("trace_fields", ["equivalence.samples"])
    if judged and estimator.needs.equivalence and trace.judgements is None and len(trace.samples):
        trace = trace.with_judgements(judge_trace(trace, Normalised()))
    return {name: _score(estimator, trace)}


def _fields_alone(fields: list[str]) -> Trace:
    """A trace that holds the fields named and no others."""
    values = {"text": "x", "tokens": [1], "n_tokens": 1, "truncated": None}
    rows: list[dict[str, Any]] = []
    for prefix, kind, count in (("greedy.", "greedy", 1), ("samples.", "sample", 2)):
        columns = {f.removeprefix(prefix): values.get(f.removeprefix(prefix), [-0.5]) for f in fields if f.startswith(prefix)}
        columns.pop("truncated", None)
        if columns:
            rows += [{"item_id": "q", "kind": kind, **columns}] * count
    return make_trace(rows, item_ids=["q"]) if rows else make_trace([], item_ids=["q"])


# -- real answers ---------------------------------------------------------------------------------------------------


def _real(inputs: Inputs) -> dict[str, Any]:
    items = [json.loads(line) for line in Path(inputs["file"]).read_text(encoding="utf-8").splitlines()]
    stated = re.search(r"first (\d+) samples", inputs.get("use", ""))
    n_samples = int(stated[1]) if stated else 10
    trace = make_trace({"item_id": item["id"], "kind": "sample", "text": text} for item in items for text in item["samples"][:n_samples])
    judged = trace.with_judgements(judge_trace(trace, Normalised(numbers=False)))
    scores = {
        "lexical_similarity_rougeL": LexicalSimilarity().score(trace),
        "eigv_jaccard": graph.EigenValue().score(trace),
        "degmat_jaccard": graph.Degree().score(trace),
        "eccentricity_jaccard": graph.Eccentricity().score(trace),
        "exact_match_entropy": SemanticEntropy(weights="count").score(judged),
        "self_consistency_uncertainty": SelfConsistency().score(judged),
        "num_distinct": NumSemanticSets().score(judged),
    }
    wrong = np.array([1 - item["correct"][0] for item in items], dtype=bool)
    share = np.array([np.mean(item["correct"]) for item in items])
    metrics = {
        name: {"auroc_sample0_wrong": _auroc(wrong, s), "spearman_with_mean_correct": _spearman(s, share)} for name, s in scores.items()
    }
    return {
        "n": len(items),
        "samples_used": n_samples,
        "accuracy_sample0": float(1 - wrong.mean()),
        "metrics": metrics,
        "first_three_items": [{name: float(s[i]) for name, s in scores.items()} for i in range(3)],
    }


def _auroc(wrong: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Midranks; kept apart from trueline.metrics so that the estimators are tested alone."""
    ranks = rankdata(score)
    n = int(wrong.sum())
    return float((ranks[wrong].sum() - n * (n + 1) / 2) / (n * (len(wrong) - n)))


def _spearman(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    return float(np.corrcoef(rankdata(one), rankdata(two))[0, 1])


KINDS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "greedy": _trace_case,
    "train": _density,
    "cal_probs": _conformal_sets,
    "cal_scores": _split_quantile,
    "wrong": _abstention,
    "alternatives": _ccp,
    "passage": _unigram,
    "replies": _parsing,
    "logprob_true": _p_true,
    "accuracy": _uacc,
    "verbalized": _weighted_consistency,
    "file": _real,
}
