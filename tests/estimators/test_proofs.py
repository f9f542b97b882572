"""What the estimators owe: that they do, on worlds whose truth is known, what their papers say; see docs/proofs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import trueline as tl
from trueline.estimators.engine import judge_trace, score_trace
from trueline.estimators.equivalence import Exact, Normalised, Oracle
from trueline.estimators.exact_sequence import beam_nll, exact_sequence_measures
from trueline.estimators.loading import load_estimators
from trueline.estimators.predictive_entropy import PredictiveEntropy
from trueline.estimators.self_consistency import SelfConsistency
from trueline.estimators.semantic_entropy import SemanticEntropy
from trueline.estimators.sequence_nll import SequenceNLL
from trueline.knownworld.answer_trees import EOS, tree_world
from trueline.knownworld.synonyms import meaning_of, synonym_world
from trueline.metrics import auroc
from trueline.traces import make_trace

TRIVIA = Path(__file__).parents[1] / "golden" / "data" / "semantic-and-sampling-baselines" / "triviaqa_llama13b_samples_300.jsonl"


def area(wrong: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    return float(auroc(score, wrong, ci=None).value)


# -- answer trees: the greedy sequence's NLL against its dearer kin ---------------------------------------------------


def on_trees(seed: int) -> dict[str, float]:
    """AUROC of each score for "greedy is not the truth", and how near the scores come to what they estimate."""
    world = tree_world(1500, 10, np.random.default_rng(seed))
    trace = make_trace(world.rows())
    judged = trace.with_judgements(judge_trace(trace, Exact(), wanted={"samples"}))
    estimators = {
        "g_nll": SequenceNLL(),
        "ln_g_nll": SequenceNLL(length_normalize=True),
        "pe": PredictiveEntropy(),
        "ln_pe": PredictiveEntropy(length_normalize=True),
        "d_se": SemanticEntropy(weights="count"),
    }
    scores = score_trace(judged, estimators)
    exact = [exact_sequence_measures(tree.next_token, tree.max_len, EOS) for tree in world.trees]
    scores["min_entropy"] = np.array([e.min_entropy for e in exact])
    scores["entropy"] = np.array([e.entropy for e in exact])
    scores["one_sample"] = np.array([-sum(samples[0][1]) for samples in world.samples])
    beam = np.array([beam_nll(tree.next_token, tree.max_len, EOS, 3)[0] for tree in world.trees])
    result = {name: area(world.wrong, score) for name, score in scores.items()}
    gap = scores["g_nll"] - scores["min_entropy"]
    result["greedy_is_mode"] = float((gap < 1e-9).mean())
    result["gap"] = float(gap.mean())
    result["beam_gap"] = float((beam - scores["min_entropy"]).mean())
    result["pe_error"] = float(np.abs(scores["pe"] - scores["entropy"]).mean())
    return result


def means(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([r[name] for r in results])) for name in results[0]}


@pytest.mark.slow
def test_g_nll_beats_sampled_and_normalised_scores_on_answer_trees() -> None:
    mean = means([on_trees(seed) for seed in range(6)])
    print({name: round(value, 3) for name, value in mean.items()})
    assert mean["g_nll"] >= mean["pe"] + 0.02
    assert mean["g_nll"] >= mean["ln_g_nll"] + 0.03
    assert mean["g_nll"] > mean["one_sample"] + 0.05, "the NLL of a sampled sequence is the worse score"
    assert 0.6 < mean["greedy_is_mode"] < 0.8
    assert 0.15 < mean["gap"] < 0.35
    assert mean["beam_gap"] <= mean["gap"] / 2
    assert mean["pe_error"] > mean["gap"], "ten samples miss the entropy by more than one greedy decode misses the min-entropy"


def test_greedy_nll_is_never_below_the_min_entropy_and_beams_close_the_gap() -> None:
    world = tree_world(60, 0, np.random.default_rng(5))
    for tree in world.trees:
        exact = exact_sequence_measures(tree.next_token, tree.max_len, EOS)
        found = [beam_nll(tree.next_token, tree.max_len, EOS, width)[0] for width in (1, 3, 600)]
        assert found[0] == exact.g_nll >= exact.min_entropy - 1e-12
        assert found[2] == pytest.approx(exact.min_entropy, abs=1e-12)
        assert exact.entropy >= exact.min_entropy - 1e-12
        assert exact.entropy == pytest.approx(tree.entropy(), abs=1e-12)
        assert exact.mode == tree.mode()[0]


# -- synonyms: where likelihood alone must lose -------------------------------------------------------------------------


def on_synonyms(seed: int) -> dict[str, float]:
    world = synonym_world(3000, 10, np.random.default_rng(seed))
    trace = make_trace(world.rows())
    meaning = trace.with_judgements(judge_trace(trace, Oracle(lambda _, text: meaning_of(text))))
    wording = trace.with_judgements(judge_trace(trace, Exact()))
    scores = {
        "g_nll": SequenceNLL().score(trace),
        "pe": PredictiveEntropy().score(trace),
        "d_se": SemanticEntropy(weights="count").score(meaning),
        "se_rao": SemanticEntropy().score(meaning),
        "agreement": SelfConsistency(reference="greedy").score(meaning),
        "exact_match_entropy": SemanticEntropy(weights="count").score(wording),
        "oracle": world.oracle_uncertainty,
    }
    return {name: area(world.wrong, score) for name, score in scores.items()}


@pytest.mark.slow
def test_meanings_beat_likelihood_and_wordings_in_the_synonym_world() -> None:
    results = [on_synonyms(seed) for seed in range(6)]
    mean = means(results)
    print({name: round(value, 3) for name, value in mean.items()})
    assert min(r["se_rao"] - r["g_nll"] for r in results) >= 0.10
    assert min(r["se_rao"] - r["exact_match_entropy"] for r in results) >= 0.05
    assert min(r["agreement"] - r["exact_match_entropy"] for r in results) >= 0.05
    assert mean["oracle"] >= max(value for name, value in mean.items() if name != "oracle")


# -- 300 real questions with a 13B model's answers ------------------------------------------------------------------------

REAL = {
    "deg_jaccard": 0.83539847,
    "lexical_similarity": 0.82964878,
    "self_consistency": 0.82913621,
    "semantic_entropy_discrete": 0.82835621,
    "num_semantic_sets": 0.81730255,
    "eigv_jaccard": 0.8150517,
    "ecc_jaccard": 0.80290604,
}


def test_real_answers_give_the_published_areas() -> None:
    items: list[dict[str, Any]] = [json.loads(line) for line in TRIVIA.read_text(encoding="utf-8").splitlines()]
    trace = make_trace({"item_id": item["id"], "kind": "sample", "text": text} for item in items for text in item["samples"][:10])
    judged = trace.with_judgements(judge_trace(trace, Normalised(numbers=False)))
    wrong = np.array([item["correct"][0] == 0 for item in items])
    assert 1 - wrong.mean() == pytest.approx(0.526666667, abs=1e-6)
    scores = score_trace(judged, load_estimators(list(REAL)))
    assert {name: area(wrong, score) for name, score in scores.items()} == pytest.approx(REAL, abs=1e-6)


# -- the known world: a trained model whose mistakes are known --------------------------------------------------------------


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The shipped model on 500 facts, every estimator."""
    out = tmp_path_factory.mktemp("known") / "run"
    return tl.measure("world:chat", "world:facts", samples=10, limit=500, equivalence="oracle", out=out, validate=False)


@pytest.mark.slow
def test_scores_find_the_wrong_answers_of_the_known_world(known: Any) -> None:
    grades = known.grades.filter(known.grades["kind"] == "greedy")
    assert grades["item_id"].to_list() == known.scores["item_id"].to_list()
    wrong = ~grades["correct"].to_numpy().astype(bool)
    areas = {}
    for name in known.scores.columns[1:]:
        score = known.scores[name].to_numpy()
        there = np.isfinite(score)
        areas[name] = area(wrong[there], score[there])
    print({name: round(value, 3) for name, value in areas.items()}, "accuracy", round(1 - wrong.mean(), 3))
    assert areas["sequence_nll"] >= 0.80
    assert areas["sequence_nll"] >= areas["predictive_entropy"] - 0.02
    assert sum(value > 0.7 for value in areas.values()) >= 20
    assert min(areas[name] for name in ("self_certainty", "renyi", "fisher_rao")) >= 0.5, "a sign is turned"


@pytest.mark.slow
def test_greedy_finds_the_min_entropy_of_the_known_world(known: Any) -> None:
    """The answers an item can have are known, so the law over them can be enumerated (end of sequence aside, which is near certain)."""
    from trueline.models.base import Message, Prompt
    from trueline.models.loading import load_model
    from trueline.tasks.loading import load_task

    model, items = load_model("world:chat"), {item.id: item for item in load_task("world:facts").items}
    asked = [items[name] for name in known.scores["item_id"].to_list()[:100]]
    prompts = [Prompt(text=item.prompt_text, messages=(Message("user", item.question),)) for item in asked]
    laws = [scored.logprobs for scored in model.score(prompts, [[f" {a}." for a in item.metadata["answers"]] for item in asked])]
    mass = np.array([np.exp(law).sum() for law in laws])
    min_entropy = np.array([-law.max() for law in laws])
    entropy = np.array([-(np.exp(law) * law).sum() for law in laws])
    gap = np.abs(known.scores["sequence_nll"].to_numpy()[:100] - min_entropy)
    whole = mass > 0.99
    miss = np.abs(known.scores["predictive_entropy"].to_numpy()[:100] - entropy)[whole]
    print(f"mass {mass.mean():.3f}, G-NLL - M {gap.mean():.4f}, PE - H {miss.mean():.3f} on {whole.sum()} items")
    assert np.mean(gap < 0.05) >= 0.9
    assert gap.mean() < miss.mean() / 2
