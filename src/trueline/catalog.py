"""Everything trueline ships, by name: one visible table. Nothing here is imported until it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One line of the catalog.

    target: ``module:object``. settings: keyword arguments of this variant. cost: beyond the greedy decode, in D (decode), F (forward pass),
    N (judged pair), M samples. color: ``white`` (needs weights), ``logprobs`` (an API with log-probs), ``black`` (texts alone).
    proof: path of the page under docs/ that shows the method doing what it claims, or "" while there is none.
    """

    name: str
    kind: str
    target: str
    summary: str
    source: str
    cost: str = ""
    color: str = ""
    proof: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


_PROOF_GNLL = "proofs/g-nll.md"
_PROOF_BASE = "proofs/semantic-and-sampling-baselines.md"
_PROOF_STATS = "proofs/validation-core.md"
_PROOF_WORLD = "proofs/known-world.md"


def _estimator(
    name: str, target: str, summary: str, source: str, cost: str, color: str, proof: str = _PROOF_BASE, **settings: Any
) -> Entry:
    return Entry(name, "estimator", f"trueline.estimators.{target}", summary, source, cost, color, proof, settings)


_GNLL = "Aichberger et al., arXiv 2412.15176"
_LIN = "Lin, Trivedi, Sun, arXiv 2305.19187"
_KUHN = "Kuhn, Gal, Farquhar, arXiv 2302.09664"
_NATURE = "Farquhar et al., Nature 630 (2024)"

_ESTIMATORS = (
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

_EQUIVALENCES = tuple(
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

# fmt: off
_METRICS = tuple(
    Entry(name, "metric", f"trueline.metrics.{module}:{name}", summary, source, proof=_PROOF_STATS)
    for module, name, summary, source in (
        ("accuracy", "accuracy", "share of right answers, Wilson interval", "Wilson 1927"),
        ("ranking", "auroc", "area under the ROC curve, ties one half", "DeLong et al. 1988; Sun and Xu 2014"),
        ("ranking", "auprc", "average precision, step sum", "Davis and Goadrich 2006"),
        ("ranking", "fpr_at_tpr", "false-positive rate at 95 % true-positive rate", "Hendrycks and Gimpel, arXiv 1610.02136"),
        ("risk_coverage", "aurc", "area under the risk-coverage curve, ties by expectation", "Geifman and El-Yaniv, arXiv 1705.08500"),
        ("risk_coverage", "e_aurc", "AURC less the exact oracle's", "Geifman et al., arXiv 1805.08206"),
        ("risk_coverage", "augrc", "area under the generalised risk-coverage curve", "Traub et al., arXiv 2407.01032"),
        ("risk_coverage", "prr", "prediction-rejection ratio on AURC", "Malinin and Gales, arXiv 2002.07650"),
        ("risk_coverage", "prr_unconditional", "prediction-rejection ratio on generalised risk", "Malinin and Gales, arXiv 2002.07650"),
        ("risk_coverage", "selective_risk", "mean loss at a coverage", "Geifman and El-Yaniv, arXiv 1705.08500"),
        ("risk_coverage", "coverage_at_risk", "largest coverage at a risk target", "Geifman and El-Yaniv, arXiv 1705.08500"),
        ("ece", "ece", "expected calibration error, equal width or mass, any norm", "Naeini et al. 2015; Guo et al., arXiv 1706.04599"),
        ("ece", "mce", "maximum calibration error", "Naeini et al. 2015"),
        ("ece", "signed_ece", "mean confidence minus accuracy", "Guo et al., arXiv 1706.04599"),
        ("ece", "debiased_ece", "debiased L2 calibration error", "Kumar et al., arXiv 1909.10155"),
        ("smooth_ece", "smooth_ece", "calibration error without bins, at its own bandwidth", "Blasiok and Nakkiran, arXiv 2309.12236"),
        ("proper", "brier", "mean (p - y)^2", "Brier 1950"),
        ("proper", "brier_skill", "1 - Brier / Brier of the base rate", "Murphy 1973"),
        ("proper", "nll", "mean negative log-likelihood, nats", "Good 1952"),
        ("proper", "murphy", "reliability, resolution, uncertainty by distinct forecast", "Murphy 1973"),
        ("corp", "corp", "miscalibration and discrimination by isotonic fit", "Dimitriadis et al., PNAS 2021"),
        ("calibration_slope", "calibration_slope", "slope on logit(p); below 1: over-confident", "Cox 1958; Van Calster et al. 2016"),
        ("calibration_slope", "calibration_intercept", "intercept of truth on logit(p) at slope 1", "Cox 1958"),
        ("correlation", "spearman", "rank correlation, mid-ranks", "Spearman 1904"),
        ("correlation", "kendall", "tau-b", "Kendall 1945"),
        ("correlation", "concordance", "concordance index", "Harrell et al. 1982"),
        ("multiclass", "top_label_ece", "ECE of the largest class probability", "Guo et al., arXiv 1706.04599"),
        ("multiclass", "classwise_ece", "mean of the per-class ECEs", "Kull et al., arXiv 1910.12656"),
        ("multiclass", "multiclass_brier", "Brier score summed over classes", "Brier 1950"),
        ("multiclass", "multiclass_nll", "NLL of the label, nats", "Good 1952"),
        ("confidence", "calibrated_confidence", "cross-fitted confidence of any score", "Platt 1999; Zadrozny, Elkan 2002"),
        ("recalibration", "recalibrate", "Platt, isotonic, beta, Venn-ABERS, ...", "Platt 1999; Kull et al. 2017; Vovk, Petej 2014"),
        ("conformal", "conformal_threshold", "split conformal prediction", "Vovk et al. 2005; Angelopoulos et al., arXiv 2009.14193"),
        ("risk_control", "conformal_risk_control", "setting with expected risk under a target", "Angelopoulos et al., arXiv 2208.02814"),
        ("risk_control", "learn_then_test", "settings with certified risk, Hoeffding-Bentkus", "Angelopoulos et al., arXiv 2110.01052"),
        ("compare", "compare", "paired difference of a metric with test and interval", "DeLong et al. 1988; McNemar 1947; Good 2005"),
        ("gate", "gate", "pass / fail / not shown for a bound, by the whole interval", "Wellek 2010"),
        ("curves", "roc_curve_band", "ROC curve with a pointwise band", "Efron 1987"),
        ("curves", "risk_coverage_band", "risk-coverage curve with a pointwise band", "Efron 1987"),
        ("curves", "reliability", "reliability bins with intervals", "Murphy and Winkler 1977"),
    )
)
_BUYL = "Buyl et al., arXiv 2502.10441"
_SET_METRICS = tuple(
    Entry(name, "metric", f"trueline.metrics.{module}:{name}", summary, source, proof=f"proofs/{page}.md")
    for module, name, summary, source, page in (
        ("incoherence", "incoherence", "share of the error that varies between runs", "Haegele et al., arXiv 2601.23045", "hot-mess"),
        ("distributional", "capability", "pass@k and votes beside greedy", "Chen et al., arXiv 2107.03374", "stochastic-chaos"),
        ("tail_risk", "tail_risk", "any-harm@k, concealed risk, CVaR", "Joshi et al., arXiv 2601.07239", "stochastic-chaos"),
        ("robustness", "robustness", "wording against sampling", "Joshi et al., arXiv 2601.07239", "stochastic-chaos"),
        ("discretion", "discretion_arbitrariness", "how often an annotator defies all principles that speak", _BUYL, "discretion"),
        ("principle_priority", "principle_priority", "order of principles by who wins their conflicts", _BUYL, "discretion"),
        ("discretion_discrepancy", "compare_discretion", "how far two annotators' orders differ", _BUYL, "discretion"),
    )
)
# fmt: on

_WORLD = "the known world"
_MODELS = (
    Entry("hf:PATH_OR_ID", "model", "trueline.models.local:load", "a causal checkpoint, safetensors only", "transformers"),
    *(
        Entry(f"world:{name}", "model", "trueline.knownworld:load_model", summary, _WORLD, proof=_PROOF_WORLD)
        for name, summary in (
            ("base", "shipped: completes the corpus of the known world"),
            ("chat", "shipped: answers, refuses sealed facts, states its confidence too high"),
            ("small", "shipped: a fifth of the size, with a tokenizer of its own"),
        )
    ),
)
_TASKS = (
    Entry("FILE", "task", "trueline.tasks.files:load_file", "questions from .jsonl, .csv or .parquet", "your own data"),
    Entry("hf-dataset:NAME", "task", "trueline.tasks.files:load_hf_dataset", "questions from the datasets library", "datasets"),
    Entry("world:TASK", "task", "trueline.knownworld:load_task", "facts, ambiguous, sums, ...: truth known", _WORLD, proof=_PROOF_WORLD),
)

ENTRIES: tuple[Entry, ...] = (*_ESTIMATORS, *_EQUIVALENCES, *_METRICS, *_SET_METRICS, *_MODELS, *_TASKS)

#: Entry-point group of other packages' entries; each entry point names a sequence of ``Entry``.
PLUGIN_GROUP = "trueline.plugins"


@cache
def all_entries() -> tuple[Entry, ...]:
    """``ENTRIES`` and what installed packages add under the entry-point group ``trueline.plugins``; looked up once a process.

    Raises ``InputError`` when a plugin offers something else than entries, or a name that is taken.
    """
    from importlib.metadata import entry_points

    from trueline.errors import InputError

    found = {entry.name: entry for entry in ENTRIES}
    for point in entry_points(group=PLUGIN_GROUP):
        for entry in point.load():
            if not isinstance(entry, Entry):
                raise InputError(f"plugin {point.name!r} ({point.value}) must name a sequence of trueline.catalog.Entry, found {entry!r}")
            if entry.name in found:
                raise InputError(f"plugin {point.name!r} ({point.value}) offers {entry.name!r}, a name that is taken: rename its entry")
            found[entry.name] = entry
    return tuple(found.values())


#: What comes before the colon of a model or task URI -> ``module:function(rest, **options)``.
MODEL_SCHEMES = {
    "hf": "trueline.models.local:load",
    "world": "trueline.knownworld:load_model",
}
TASK_SCHEMES = {
    "world": "trueline.knownworld:load_task",
    "hf-dataset": "trueline.tasks.files:load_hf_dataset",
}
