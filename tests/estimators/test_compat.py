"""What ``compat`` refuses, and the cases in which it must not differ from the plain score or must say that it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.cocoa import CoCoA
from trueline.estimators.lexical_similarity import LexicalSimilarity, bleu
from trueline.estimators.loading import load_estimators
from trueline.estimators.p_true import PTrue, p_true_uncertainty
from trueline.estimators.self_certainty import RenyiUncertainty
from trueline.estimators.semantic_entropy import SemanticEntropy
from trueline.estimators.semantic_sets import NumSemanticSets
from trueline.estimators.text_similarity import TextSimilarity
from trueline.estimators.verbalized import Verbalized
from trueline.traces import make_trace

KNOWN = {
    "lm_polygraph": [
        "perplexity",
        "renyi",
        "fisher_rao",
        "rauq",
        "lexical_similarity",
        "verbalized_1s",
        "deg_nli",
        "kernel_language_entropy",
    ],
    "uqlm": ["sequence_nll", "max_token_nll", "num_semantic_sets", "text_similarity", "cocoa_msp"],
}
OTHER = {"lm_polygraph": "uqlm", "uqlm": "lm_polygraph"}


@pytest.mark.parametrize(("library", "name"), [(library, name) for library, names in KNOWN.items() for name in names])
def test_a_library_that_does_not_differ_is_refused(library: str, name: str) -> None:
    assert load_estimators([f"{name}(compat={library})"])
    with pytest.raises(InputError, match="compat="):
        load_estimators([f"{name}(compat={OTHER[library]})"])


@pytest.mark.parametrize("name", ["p_true", "semantic_entropy", "semantic_density"])
def test_both_libraries_and_no_third(name: str) -> None:
    assert len(load_estimators([f"{name}(compat=lm_polygraph)", f"{name}(compat=uqlm)"])) == 2
    with pytest.raises(InputError, match="compat='truthtorch' is not an option"):
        load_estimators([f"{name}(compat=truthtorch)"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SemanticEntropy(compat="uqlm", normalize=True), "sets normalize itself"),
        (lambda: SemanticEntropy(compat="lm_polygraph", rule="loose", length_normalize=True), "sets length_normalize, rule itself"),
        (lambda: SemanticEntropy(compat="uqlm", unique=True), "sets unique itself"),
        (lambda: SemanticEntropy(compat="lm_polygraph", weights="count", unique=True), "unique=True belongs"),
        (lambda: CoCoA("mte", compat="uqlm"), "base='ppl'"),
        (lambda: TextSimilarity("samples", compat="uqlm"), "reference='greedy'"),
        (lambda: PTrue("one_way", compat="uqlm"), "its own form"),
        (lambda: Verbalized("linguistic", compat="lm_polygraph"), "form='1s'"),
    ],
)
def test_settings_that_contradict(make, message) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_semantic_entropy_of_uqlm(make, exact) -> None:
    """Greedy x; samples x, x, y. By count: shares 3/4, 1/4, over log 4; by likelihood the mean log-probs weigh."""
    trace = make({"a": [("x", [-1.0, -1.0]), ("x", [-1.0]), ("y", [-3.0])]}, greedy={"a": ("x", [-0.5, -1.5])}, judge=exact)
    by_count = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(4)
    assert SemanticEntropy("count", compat="uqlm").score(trace)[0] == pytest.approx(by_count, abs=1e-9)
    w = np.exp([-1.0, -1.0, -1.0, -3.0])
    p = np.array([w[:3].sum(), w[3]]) / w.sum()
    assert SemanticEntropy(compat="uqlm").score(trace)[0] == pytest.approx(-(p * np.log(p)).sum() / np.log(4), abs=1e-9)
    assert NumSemanticSets(compat="uqlm").score(trace)[0] == 2.0


def test_uqlm_misses_what_lacks_the_greedy_answer(make, exact) -> None:
    samples = {"a": [("x", [-1.0])] * 2, "b": [("x", [-1.0])] * 2, "c": [("x", [-1.0]), None], "d": [("x", [-2000.0])] * 2}
    trace = make(samples, greedy={"a": ("x", [-1.0]), "c": ("x", [-1.0]), "d": ("x", [-2000.0])}, judge=exact)
    for estimator in (SemanticEntropy(compat="uqlm"), SemanticEntropy("count", compat="uqlm")):
        np.testing.assert_array_equal(estimator.score(trace), [0.0, np.nan, np.nan, 0.0])
    np.testing.assert_array_equal(NumSemanticSets(compat="uqlm").score(trace), [1.0, np.nan, np.nan, 1.0])
    alone = make({"a": [("x", [-1.0])] * 2}, judge=exact)
    for estimator in (SemanticEntropy(compat="uqlm"), NumSemanticSets(compat="uqlm")):
        with pytest.raises(MissingTraceField, match="no greedy rows"):
            estimator.score(alone)


def test_p_true_of_uqlm_looks_at_the_likelier_option() -> None:
    assert p_true_uncertainty(np.log(0.6), np.log(0.2), compat="uqlm") == pytest.approx(0.4)
    assert p_true_uncertainty(np.log(0.2), np.log(0.7), compat="uqlm") == pytest.approx(0.7)
    assert p_true_uncertainty(-np.inf, -np.inf, compat="lm_polygraph") == np.inf


def test_bleu_differs_for_three_words_alone() -> None:
    three, four = ("a", "b", "c"), ("a", "b", "c", "d")
    assert bleu(three, four, "lm_polygraph") == pytest.approx(bleu(three, four) ** 0.99)
    assert bleu(four, four, "lm_polygraph") == bleu(four, four) == 1.0
    assert bleu(("a",), four, "lm_polygraph") == bleu(("a",), four)
    words = make_trace([{"item_id": "q", "kind": "sample", "text": text} for text in ("a b c", "a b d")])
    assert LexicalSimilarity(compat="lm_polygraph").score(words) == LexicalSimilarity().score(words)


def test_stated_number_as_written() -> None:
    replies = ("Probability: 1.5", "Probability: -2", "Probability: none", None)
    rows = [{"item_id": f"i{k}", "kind": "verbalized_1s", "text": text} for k, text in enumerate(replies)]
    np.testing.assert_allclose(Verbalized(compat="lm_polygraph").score(make_trace(rows)), [-0.5, 3.0, np.nan, np.nan])


def test_renyi_needs_the_size_of_the_vocabulary() -> None:
    trace = make_trace([{"item_id": "q", "kind": "greedy", "token_renyi": [0.5]}])
    assert RenyiUncertainty().score(trace)[0] == -0.5
    with pytest.raises(MissingTraceField, match="token_n_finite"):
        RenyiUncertainty(compat="lm_polygraph").score(trace)
