from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.sar import SAR, SentSAR, TokenSAR, sar, sentence_sar, token_sar
from trueline.estimators.similarity import Char3, compare_trace
from trueline.estimators.similarity.lexical import char3_cosine
from trueline.traces import make_trace


def test_relevant_tokens_weigh_more() -> None:
    assert token_sar([-1.0, -3.0], [0.5, 0.0]) == pytest.approx((0.5 * 1 + 1.0 * 3) / 1.5)
    assert token_sar([-1.0, -3.0], [1.0, 1.0]) == 2.0, "no relevant token: the mean"


def test_support_of_similar_samples() -> None:
    apart = sentence_sar([-1.0, -2.0], np.eye(2), t=1.0)
    assert apart == pytest.approx(1.5), "without similarity it is the predictive entropy"
    together = sentence_sar([-1.0, -2.0], np.ones((2, 2)), t=1.0)
    assert together == pytest.approx(-np.log(np.exp(-1) + np.exp(-2)))
    assert sentence_sar([-2000.0, -2000.0], np.eye(2), t=1.0) == pytest.approx(2000.0), "no underflow"


def test_both_shifts() -> None:
    assert sar([[-1.0, -3.0], [-2.0]], [[0.5, 0.0], [0.3]], np.eye(2), t=1.0) == pytest.approx((3.5 / 1.5 + 2.0) / 2)


@pytest.mark.parametrize("call", [lambda: token_sar([], []), lambda: token_sar([-1.0], [0.1, 0.2]), lambda: sentence_sar([-1.0], [[1.0]])])
def test_refusals(call) -> None:
    with pytest.raises(InputError):
        call()
    with pytest.raises(InputError, match="t=0"):
        sentence_sar([-1.0, -1.0], np.eye(2), t=0)


def test_from_a_trace() -> None:
    """Samples without log-probs, without text or failed are left out, and the similarities stay with their samples."""
    rows = [
        {
            "item_id": "a",
            "kind": "greedy",
            "text": "It is Paris",
            "token_logprobs": [-1.0, -3.0, -0.1],
            "token_texts": ["It is", " Paris", ""],
        },
        {"item_id": "a", "kind": "sample", "error": "failed"},
        {"item_id": "a", "kind": "sample", "text": "Paris", "token_logprobs": [-1.0], "token_texts": ["Paris"]},
        {"item_id": "a", "kind": "sample", "text": "no log-probs"},
        {"item_id": "a", "kind": "sample", "text": "It is Paris", "token_logprobs": [-1.0, -0.5], "token_texts": ["It is", " Paris"]},
        {"item_id": "b", "kind": "greedy", "error": "failed"},
        {"item_id": "b", "kind": "sample", "text": "Lyon", "token_logprobs": [-1.0], "token_texts": ["Lyon"]},
    ]
    trace = make_trace(rows, questions={"a": "Where is it?", "b": "Why?"})
    trace = trace.with_similarities(compare_trace(trace, Char3(), wanted={"samples", "greedy_tokens", "sample_tokens"}))

    def g(one: str, two: str) -> float:
        return char3_cosine(f"Where is it? {one}", f"Where is it? {two}")

    whole = "It is Paris"
    tokens = [g(whole, "Paris"), g(whole, "It is"), 1.0]
    np.testing.assert_allclose(TokenSAR(on_empty="nan").score(trace), [token_sar([-1.0, -3.0, -0.1], tokens), np.nan], atol=1e-8)
    among = np.array([[1.0, char3_cosine("Paris", whole)], [char3_cosine("Paris", whole), 1.0]])
    np.testing.assert_allclose(SentSAR(on_empty="nan").score(trace), [sentence_sar([-1.0, -1.5], among), np.nan], atol=1e-8)
    relevance = [[g("Paris", "")], tokens[:2]]
    np.testing.assert_allclose(SAR(on_empty="nan").score(trace), [sar([[-1.0], [-1.0, -0.5]], relevance, among), np.nan], atol=1e-8)
