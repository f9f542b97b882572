"""Every estimator that LM-Polygraph 0.7 shares with us, run by LM-Polygraph itself on the statistics of one of our traces.

The peer lives in an environment of its own: the one whose interpreter TRUELINE_PEER_PYTHON names, or one that is installed under
benchmarks/.cache. Nothing is skipped: without that environment the test fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trueline.estimators.engine import judge_trace
from trueline.estimators.equivalence import Verdicts
from trueline.estimators.fitting import Trained
from trueline.estimators.loading import load_estimators
from trueline.estimators.pairs import COMPARED, JUDGED, other_alternatives
from trueline.estimators.similarity import Char3, compare_trace
from trueline.models.base import TOKEN_STATS
from trueline.models.token_stats import law_statistics
from trueline.traces.trace import Trace, make_trace

ROOT = Path(__file__).parents[2]
VOCABULARY, N_SAMPLES, LAYERS, HEADS, WIDTH = 11, 5, 5, 3, 4
LABELS = ("entail", "neutral", "contra")
Row = dict[str, Any]

#: LM-Polygraph's estimator -> ours.
SHARED = {
    "MaximumSequenceProbability": "sequence_nll",
    "Perplexity": "perplexity(compat=lm_polygraph)",
    "MeanTokenEntropy": "mean_token_entropy",
    "SelfCertainty": "self_certainty",
    "RenyiNeg": "renyi(compat=lm_polygraph)",
    "FisherRao": "fisher_rao(compat=lm_polygraph)",
    "MeanPointwiseMutualInformation": "pmi",
    "MeanConditionalPointwiseMutualInformation": "conditional_pmi",
    "PTrue": "p_true(compat=lm_polygraph)",
    "MonteCarloSequenceEntropy": "predictive_entropy",
    "MonteCarloNormalizedSequenceEntropy": "predictive_entropy_ln",
    "SemanticEntropy": "semantic_entropy(compat=lm_polygraph)",
    "SemanticEntropy/unique": "semantic_entropy(compat=lm_polygraph,unique=true)",
    "SemanticEntropy/frequency": "semantic_entropy(compat=lm_polygraph,weights=count)",
    "NumSemSets": "num_semantic_sets",
    "LabelProb": "self_consistency",
    "LexicalSimilarity/rougeL": "lexical_similarity(compat=lm_polygraph)",
    "LexicalSimilarity/rouge1": "lexical_similarity(metric=rouge1,compat=lm_polygraph)",
    "LexicalSimilarity/BLEU": "lexical_similarity(metric=bleu,compat=lm_polygraph)",
    "EigValLaplacian/NLI/entail": "eigv_nli(compat=lm_polygraph)",
    "EigValLaplacian/NLI/contra": "eigv_nli(weight=contra,compat=lm_polygraph)",
    "EigValLaplacian/Jaccard/entail": "eigv_jaccard(compat=lm_polygraph)",
    "DegMat/NLI/entail": "deg_nli(compat=lm_polygraph)",
    "DegMat/NLI/contra": "deg_nli(weight=contra,compat=lm_polygraph)",
    "DegMat/Jaccard/entail": "deg_jaccard(compat=lm_polygraph)",
    "Eccentricity/NLI/entail": "ecc_nli(compat=lm_polygraph)",
    "Eccentricity/NLI/contra": "ecc_nli(weight=contra,compat=lm_polygraph)",
    "Eccentricity/Jaccard/entail": "ecc_jaccard(compat=lm_polygraph)",
    "KernelLanguageEntropy": "kernel_language_entropy(compat=lm_polygraph)",
    "LUQ": "luq",
    "SemanticDensity": "semantic_density(compat=lm_polygraph)",
    "TokenSAR": "token_sar",
    "SentenceSAR": "sentence_sar",
    "SAR": "sar",
    "CocoaMSP": "cocoa_msp",
    "CocoaPPL": "cocoa_ppl",
    "CocoaMTE": "cocoa_mte",
    "ClaimConditionedProbability": "ccp",
    "RAUQ": "rauq(compat=lm_polygraph)",
    "AttentionScore": "attention_score",
    "CSL": "csl",
    "EigenScore": "eigenscore",
    "Verbalized1S": "verbalized_1s(compat=lm_polygraph)",
    "MahalanobisDistanceSeq": "mahalanobis",
    "RelativeMahalanobisDistanceSeq": "relative_mahalanobis",
}
#: It inverts the covariance in 32-bit floats; what that costs is not ours to reproduce.
TOLERANCE = {"MahalanobisDistanceSeq": 1e-4, "RelativeMahalanobisDistanceSeq": 1e-4}

#: What it exports and we do not compare, and why.
NOT_SHARED = {
    "one score a token, not an answer": """MaximumTokenProbability TokenEntropy PointwiseMutualInformation
        ConditionalPointwiseMutualInformation SemanticEntropyToken""",
    "one score a claim, not an answer": """AttentionScoreClaim BoostedProbClaim ClaimConditionedProbabilityClaim FocusClaim
        FrequencyScoringClaim MaxTokenEntropyClaim MaximumClaimProbability PTrueClaim PerplexityClaim PointwiseMutualInformationClaim
        RandomBaselineClaim SelfCertaintyClaim TokenSARClaim""",
    "needs an ensemble of models": """EPSrmi EPSrmiabs EPStu EPTdu EPTent10 EPTent15 EPTent5 EPTepkl EPTmi EPTrmi EPTtu PESrmi PESrmiabs
        PEStu PETdu PETent10 PETent15 PETent5 PETepkl PETmi PETrmi PETtu""",
    "calls the model inside the estimator: no formula of stored statistics": "PTrueEmpirical Verbalized2S",
    "the estimator negates a number of the model's, as PTrue does; the prompt is all there is": "PTrueSampling",
    "reads a scale of the user's own anywhere in the answer; ours reads one scale in a marked line": "Linguistic1S",
    "no such estimator here": "BoostedProbSequence Focus PPLMDSeq RDESeq",
    "the base class": "Estimator",
}

TEXTS = [
    "paris",
    "it is paris",
    "the city of paris",
    "lyon",
    "the city of lyon",
    "perhaps it is the old city of lyon in france",
    "paris paris",
]


class Judge:
    """Verdicts that are some fixed function of the two texts, a text against itself included."""

    name, self_pairs, batch_size = "made up", True, 64

    def fingerprint(self) -> str:
        return self.name

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        return premise, hypothesis

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        laws = [np.random.default_rng(crc32("\n".join(p).encode())).dirichlet([9.0 if p[0] == p[1] else 1.0, 0.4, 1.0]) for p in pairs]
        return Verdicts(np.array(laws).reshape(-1, 3), np.zeros(len(pairs), dtype=bool))


def laws(rng: np.random.Generator, n_tokens: int) -> NDArray[np.float64]:
    return np.log(rng.dirichlet(np.full(VOCABULARY, 0.5), size=n_tokens) + 1e-9)


def answer(rng: np.random.Generator, text: str) -> tuple[Row, NDArray[np.float64]]:
    """One answer of as many tokens as words, with all that a capture takes from its next-token laws."""
    pieces = [f"{' ' if k else ''}{word}" for k, word in enumerate(text.split())]
    law = laws(rng, len(pieces))
    law -= np.logaddexp.reduce(law, axis=1, keepdims=True)
    ranked = np.argsort(-law, axis=1)
    stats = {name: values.numpy() for name, values in law_statistics(torch.from_numpy(law), TOKEN_STATS).items()}
    row = {
        "text": text,
        "tokens": ranked[:, 0].tolist(),
        "token_logprobs": law.max(axis=1),
        "token_texts": pieces,
        "topk_ids": ranked[:, :6].tolist(),
        "topk_logprobs": np.take_along_axis(law, ranked[:, :6], axis=1).tolist(),
        "topk_texts": [[pieces[t] if k == 0 else f" w{v}" for k, v in enumerate(step)] for t, step in enumerate(ranked[:, :6])],
        "n_layers": LAYERS,
        "hidden_layers": list(range(1, LAYERS + 1)),
        "hidden_last": rng.normal(size=(LAYERS, WIDTH)).tolist(),
        **stats,
    }
    return row, law


class Captured:
    """A trace with verdicts and similarities, and what stays outside of it: the whole laws and the attention maps."""

    def __init__(self, n_items: int, seed: int, prefix: str = "q") -> None:
        rng = np.random.default_rng(seed)
        self.laws: list[NDArray[np.float64]] = []
        self.attention: list[NDArray[np.float64]] = []
        rows: list[Row] = []
        for i in range(n_items):
            item = {"item_id": f"{prefix}{i}"}
            greedy, law = answer(rng, TEXTS[i % len(TEXTS)])
            maps = rng.dirichlet(np.ones(len(law)), size=(LAYERS, HEADS, len(law)))
            self.laws.append(law)
            self.attention.append(maps)
            greedy |= {
                "prior_logprobs": -rng.exponential(3.0, size=len(law)),
                "attn_prev": maps.diagonal(-1, -2, -1).tolist(),
                "attn_diag_logsum": np.log(maps.diagonal(0, -2, -1)).sum(-1).mean(-1).tolist(),
                "csl_attention": maps[:, :, -1].tolist(),
            }
            rows.append({**item, "kind": "greedy", **greedy})
            drawn = [TEXTS[i]] * N_SAMPLES if i == 0 else rng.choice(TEXTS, size=N_SAMPLES).tolist()
            drawing = {"kind": "sample", "temperature": 1.0, "top_p": 1.0, "top_k": 0}
            rows += [{**item, **drawing, "draw": k, **answer(rng, text)[0]} for k, text in enumerate(drawn)]
            true = rng.uniform(0.05, 0.9)
            rows.append({**item, "kind": "p_true", "options": ["A", "B"], "option_logprobs": np.log([true, 0.95 - true]).tolist()})
            rows.append({**item, "kind": "verbalized_1s", "text": f"Answer: x\nProbability: {('0.9', '95%', '.25', '1.5')[i % 4]}"})
        trace = make_trace(rows)
        trace = trace.with_similarities(compare_trace(trace, Char3(), wanted=COMPARED))
        self.trace = trace.with_judgements(judge_trace(trace, Judge(), wanted={"samples", "greedy_samples", *JUDGED}))


def statistics(captured: Captured, train: Captured, background: Captured) -> dict[str, Any]:
    """The trace in LM-Polygraph's words."""
    trace = captured.trace
    greedy, samples = trace.greedy, trace.samples
    n = trace.n_items
    by_item = [slice(a, b) for a, b in zip(samples.offsets[:-1], samples.offsets[1:], strict=True)]
    logprobs = samples.nested("token_logprobs")
    lengths = [[len(row) for row in logprobs[s]] for s in by_item]
    items = trace.judgements.items  # type: ignore[union-attr]
    among = np.stack([item.samples() for item in items])  # type: ignore[union-attr]
    forward = np.stack([item.greedy_to_samples()[0] for item in items])  # type: ignore[union-attr]
    return {
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "greedy_texts": trace.generations("verbalized_1s").texts,
        "greedy_tokens": [[0] * (len(law) + 1) for law in captured.laws],  # its attention score leaves the last token out
        "greedy_log_probs": [law.tolist() for law in captured.laws],
        "greedy_log_likelihoods": greedy.nested("token_logprobs"),
        "greedy_lm_log_likelihoods": greedy.nested("prior_logprobs"),
        "entropy": greedy.nested("token_entropy"),
        "p_true": [row[0] for row in trace.generations("p_true").nested("option_logprobs")],
        "sample_texts": [samples.texts[s] for s in by_item],
        "sample_tokens": [[[0] * k for k in row] for row in lengths],
        "sample_log_likelihoods": [logprobs[s] for s in by_item],
        "sample_log_probs": [[sum(row) for row in logprobs[s]] for s in by_item],
        "semantic_matrix_entail": among[..., 0].tolist(),
        "semantic_matrix_contra": among[..., 2].tolist(),
        "semantic_matrix_entail_logits": np.log(among[..., 0]).tolist(),
        "semantic_matrix_contra_logits": np.log(among[..., 2]).tolist(),
        "semantic_matrix_classes": among.argmax(-1).tolist(),
        "entailment_id": 0,
        "concat_greedy_semantic_matrix_contra_forward": forward[..., 2].tolist(),
        "concat_greedy_semantic_matrix_neutral_forward": forward[..., 1].tolist(),
        **similarities(trace, lengths),
        "attention_all": [maps.reshape(LAYERS * HEADS, *maps.shape[2:]).tolist() for maps in captured.attention],
        "forwardpass_attention_weights": [padded(maps).tolist() for maps in captured.attention],
        "attention_weights_eliciting_prompt": [maps[:, :, -1].reshape(LAYERS * HEADS, -1).tolist() for maps in captured.attention],
        "sample_embeddings": [[states[2] for states in samples.nested("hidden_last")[s]] for s in by_item],
        "embeddings_decoder": middle(trace),
        "train_embeddings_decoder": middle(train.trace),
        "background_train_embeddings_decoder": middle(background.trace),
        "greedy_tokens_alternatives": (alternatives := [swaps(trace, i) for i in range(n)]) and [a for a, _ in alternatives],
        "greedy_tokens_alternatives_nli": [labels for _, labels in alternatives],
    }


def similarities(trace: Trace, lengths: list[list[int]]) -> dict[str, Any]:
    values = trace.similarities.values  # type: ignore[union-attr]
    among = []
    for pairs in values["samples"]:
        matrix = np.eye(N_SAMPLES)
        matrix[np.triu_indices(N_SAMPLES, 1)] = pairs
        among.append((matrix + np.triu(matrix, 1).T).tolist())
    each = [np.split(v, np.cumsum(k)[:-1]) for v, k in zip(values["sample_tokens"], lengths, strict=True)]
    return {
        "sample_sentence_similarity": among,
        "greedy_sentence_similarity": [v.tolist() for v in values["greedy_samples"]],  # type: ignore[union-attr]
        "token_similarity": [v.tolist() for v in values["greedy_tokens"]],  # type: ignore[union-attr]
        "sample_token_similarity": [[part.tolist() for part in item] for item in each],
    }


def padded(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """One more token at the end, which LM-Polygraph's attention score drops."""
    return np.pad(maps, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=0.5)


def middle(trace: Trace) -> list[list[float]]:
    return [states[2] for states in trace.greedy.nested("hidden_last")]


def swaps(trace: Trace, i: int) -> tuple[list[Any], list[Any]]:
    """(alternatives of each token with log-probs, the chosen one first; their verdicts from and to the chosen one)."""
    verdicts = trace.judgements.pairs["alternatives"][i]  # type: ignore[union-attr]
    called = iter(verdicts.reshape(-1, 2, 3).argmax(axis=2).tolist())  # type: ignore[union-attr]
    top, chosen = trace.greedy.nested("topk_logprobs")[i], trace.greedy.nested("token_logprobs")[i]
    listed, labels = [], []
    for t, others in enumerate(other_alternatives(trace.greedy, i)):
        listed.append([[0, chosen[t]], *([k, top[t][k]] for k in others)])
        size = len(others) + 1
        matrix = [["entail"] * size for _ in range(size)]
        for k in range(1, size):
            one, two = next(called)
            matrix[0][k], matrix[k][0] = LABELS[one], LABELS[two]
        labels.append(matrix)
    return listed, labels


def peer_environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("polygraph", ROOT / "benchmarks" / "polygraph.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(name: str, captured: Captured, train: Captured, background: Captured) -> NDArray[np.float64]:
    (estimator,) = load_estimators([name]).values()
    if isinstance(estimator, Trained) and name.endswith("mahalanobis"):
        given = {"background": background.trace} if name.startswith("relative") else {}
        estimator = estimator.fit(train.trace, np.ones(train.trace.n_items), **given)
    return estimator.score(captured.trace)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the first run installs torch and LM-Polygraph
def test_lm_polygraph_agrees_in_compatibility_mode(tmp_path: Path) -> None:
    captured, train, background = Captured(6, 1), Captured(30, 2, "train"), Captured(40, 3, "other")
    (tmp_path / "stats.json").write_text(json.dumps(statistics(captured, train, background)), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    command = [str(peer_environment().peer_environment()), str(Path(__file__).with_name("lm_polygraph_scores.py")), "stats.json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peer = json.loads(done.stdout.splitlines()[-1])
    assert peer["version"] == "0.7.0"
    assert set(peer["scores"]) == set(SHARED)
    explained = {name for names in NOT_SHARED.values() for name in names.split()}
    assert {name.partition("/")[0] for name in SHARED} | explained == set(peer["exported"])
    wrong: dict[str, Any] = {}
    for theirs, name in SHARED.items():
        actual, expected = ours(name, captured, train, background), np.array(peer["scores"][theirs])
        error = np.abs(actual - expected).max() / max(1e-9, np.abs(expected).max())
        if not (np.isfinite(expected).all() and np.allclose(actual, expected, rtol=TOLERANCE.get(theirs, 1e-6), atol=2e-9)):
            wrong[theirs] = (name, float(error), actual.tolist(), expected.tolist())
        elif len(np.unique(expected)) == 1:
            wrong[theirs] = "every item has one score: nothing was compared"
    assert not wrong


def test_the_extra_names_the_version_that_is_compared() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extras["peers"] == [peer_environment().PEER]
    assert "lm_polygraph" not in sys.modules
