"""The estimators, and the judges of equal meaning they may ask."""

from __future__ import annotations

from typing import Any

from trueline.catalog.entry import Entry

_PROOF_GNLL = "proofs/g-nll.md"
_PROOF_BASE = "proofs/semantic-and-sampling-baselines.md"


def _estimator(
    name: str, target: str, summary: str, source: str, cost: str, color: str, proof: str = _PROOF_BASE, **settings: Any
) -> Entry:
    return Entry(name, "estimator", f"trueline.estimators.{target}", summary, source, cost, color, proof, settings)


_GNLL = "Aichberger et al., arXiv 2412.15176"
_LIN = "Lin, Trivedi, Sun, arXiv 2305.19187"
_KUHN = "Kuhn, Gal, Farquhar, arXiv 2302.09664"
_NATURE = "Farquhar et al., Nature 630 (2024)"

ESTIMATORS = (
    _estimator("sequence_nll", "sequence_nll:SequenceNLL", "G-NLL: NLL of the greedy answer", _GNLL, "0", "logprobs", _PROOF_GNLL),
    _estimator(
        "mean_nll",
        "sequence_nll:SequenceNLL",
        "mean token NLL of the greedy answer",
        _GNLL,
        "0",
        "logprobs",
        _PROOF_GNLL,
        length_normalize=True,
    ),
    _estimator(
        "perplexity", "sequence_nll:Perplexity", "perplexity of the greedy answer", "Fomicheva et al., arXiv 2005.10608", "0", "logprobs"
    ),
    _estimator(
        "max_token_nll",
        "sequence_nll:MaxTokenNLL",
        "NLL of the least probable greedy token",
        "Manakul et al., arXiv 2303.08896",
        "0",
        "logprobs",
    ),
    _estimator(
        "mean_token_entropy",
        "token_entropy:TokenEntropy",
        "mean entropy of the next-token law",
        "Fomicheva et al., arXiv 2005.10608",
        "0",
        "white",
    ),
    _estimator(
        "max_token_entropy",
        "token_entropy:TokenEntropy",
        "largest entropy of the next-token law",
        "Manakul et al., arXiv 2303.08896",
        "0",
        "white",
        reduce="max",
    ),
    _estimator(
        "self_certainty",
        "self_certainty:SelfCertainty",
        "divergence of the next-token law from uniform, negated",
        "Kang et al., arXiv 2502.18581",
        "0",
        "white",
    ),
    _estimator(
        "renyi",
        "self_certainty:RenyiUncertainty",
        "Renyi divergence from uniform, negated",
        "Darrin et al., arXiv 2212.09171",
        "0",
        "white",
    ),
    _estimator(
        "fisher_rao",
        "self_certainty:FisherRaoUncertainty",
        "Fisher-Rao distance from uniform, negated",
        "Darrin et al., arXiv 2212.09171",
        "0",
        "white",
    ),
    _estimator(
        "topk_margin", "topk_margin:TopKMargin", "1 - margin between the two best tokens", "uqlm (Apache-2.0, cvs-health)", "0", "logprobs"
    ),
    _estimator(
        "topk_entropy",
        "topk_margin:TopKEntropy",
        "entropy of the 15 best alternatives, renormalised",
        "uqlm (Apache-2.0, cvs-health)",
        "0",
        "logprobs",
    ),
    _estimator(
        "predictive_entropy",
        "predictive_entropy:PredictiveEntropy",
        "Monte Carlo entropy of the output law",
        "Malinin and Gales, arXiv 2002.07650",
        "M D",
        "logprobs",
        _PROOF_GNLL,
    ),
    _estimator(
        "predictive_entropy_ln",
        "predictive_entropy:PredictiveEntropy",
        "mean NLL per token over samples",
        "Malinin and Gales, arXiv 2002.07650",
        "M D",
        "logprobs",
        _PROOF_GNLL,
        length_normalize=True,
    ),
    _estimator(
        "semantic_entropy",
        "semantic_entropy:SemanticEntropy",
        "entropy over meanings, likelihood weights (rao)",
        _NATURE,
        "M D + M^2 N",
        "logprobs",
    ),
    _estimator(
        "semantic_entropy_mc",
        "semantic_entropy:SemanticEntropy",
        "entropy over meanings, Monte Carlo",
        f"{_KUHN}, as LM-Polygraph",
        "M D + M^2 N",
        "logprobs",
        estimator="monte_carlo",
    ),
    _estimator(
        "semantic_entropy_discrete",
        "semantic_entropy:SemanticEntropy",
        "entropy over meanings, count shares",
        _NATURE,
        "M D + M^2 N",
        "black",
        weights="count",
    ),
    _estimator(
        "max_cluster_probability",
        "semantic_entropy:MaxClusterProbability",
        "1 - likelihood-weighted share of the largest cluster",
        _GNLL,
        "M D + M^2 N",
        "logprobs",
        _PROOF_GNLL,
        weights="logprob",
    ),
    _estimator("num_semantic_sets", "semantic_sets:NumSemanticSets", "number of meanings among the samples", _LIN, "M D + M^2 N", "black"),
    _estimator(
        "self_consistency",
        "self_consistency:SelfConsistency",
        "1 - share of the largest cluster",
        "Wang et al., arXiv 2203.11171",
        "M D + M^2 N",
        "black",
    ),
    _estimator(
        "lexical_similarity",
        "lexical_similarity:LexicalSimilarity",
        "mean pairwise ROUGE-L, negated",
        "Fomicheva et al., arXiv 2005.10608",
        "M D",
        "black",
    ),
    _estimator("eigv_jaccard", "graph:EigenValue", "continuous number of meanings, word overlap", _LIN, "M D", "black"),
    _estimator("deg_jaccard", "graph:Degree", "1 - mean pairwise similarity, word overlap", _LIN, "M D", "black"),
    _estimator("ecc_jaccard", "graph:Eccentricity", "spread in the spectral embedding, word overlap", _LIN, "M D", "black"),
    _estimator(
        "eigv_nli",
        "graph:EigenValue",
        "continuous number of meanings, entailment",
        _LIN,
        "M D + M^2 N",
        "black",
        weight="entail",
    ),
    _estimator("deg_nli", "graph:Degree", "1 - mean pairwise entailment", _LIN, "M D + M^2 N", "black", weight="entail"),
    _estimator(
        "ecc_nli",
        "graph:Eccentricity",
        "spread in the spectral embedding, entailment",
        _LIN,
        "M D + M^2 N",
        "black",
        weight="entail",
    ),
    _estimator(
        "kernel_language_entropy",
        "kernel_language_entropy:KernelLanguageEntropy",
        "von Neumann entropy of the heat kernel of meanings",
        "Nikitin et al., arXiv 2405.20003",
        "M D + M^2 N",
        "black",
    ),
    _estimator("luq", "luq:LUQ", "mean lack of entailment between samples", "Zhang et al., arXiv 2403.20279", "M D + M^2 N", "black"),
    _estimator(
        "contradiction",
        "luq:Contradiction",
        "mean contradiction between greedy answer and samples",
        "Chen and Mueller, arXiv 2308.16175; uqlm",
        "M D + M N",
        "black",
    ),
    _estimator(
        "semantic_density",
        "semantic_density:SemanticDensity",
        "1 - probability mass near the greedy answer's meaning",
        "Qiu and Miikkulainen, arXiv 2405.13845",
        "M D + M N",
        "logprobs",
    ),
    _estimator(
        "p_true",
        "p_true:PTrue",
        "1 - P(True) the model gives its own answer",
        "Kadavath et al., arXiv 2207.05221",
        "1 F",
        "logprobs",
    ),
    _estimator(
        "verbalized_1s",
        "verbalized:Verbalized",
        "1 - the stated probability, in one reply",
        "Tian et al., arXiv 2305.14975",
        "1 D",
        "black",
    ),
    _estimator(
        "verbalized_2s",
        "verbalized:Verbalized",
        "1 - the stated probability, asked afterwards",
        "Tian et al., arXiv 2305.14975",
        "1 D",
        "black",
        form="2s",
    ),
)

EQUIVALENCES = tuple(
    Entry(name, "equivalence", f"trueline.estimators.equivalence:{target}", summary, source, cost, "black", _PROOF_BASE)
    for name, target, summary, source, cost in (
        ("exact", "Exact", "same text", "", "0"),
        (
            "normalised",
            "Normalised",
            "same words and numbers",
            "Rajpurkar et al., arXiv 1606.05250 (SQuAD normalisation), numbers by value",
            "0",
        ),
        ("oracle", "Oracle", "same canonical answer (known world)", "known world", "0"),
        ("nli", "NLI", "bidirectional entailment by a checkpoint, nli:PATH", _KUHN, "M^2 N"),
        ("llm", "LLMJudge", "a model says whether two answers mean the same, llm:MODEL", _NATURE, "M^2 N"),
    )
)
