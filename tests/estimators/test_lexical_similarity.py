from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.estimators.lexical_similarity import LexicalSimilarity, bleu
from trueline.tasks.rouge import rouge_l
from trueline.traces import make_trace

WORDS = st.lists(st.sampled_from(["the", "running", "cats", "Run", "sat,", "12"]), max_size=5).map(" ".join)


def score(texts, metric="rougeL"):
    return LexicalSimilarity(metric).score(make_trace({"item_id": "a", "kind": "sample", "text": t} for t in texts))[0]


def test_by_hand() -> None:
    assert score(["a b c", "a x c"]) == pytest.approx(-2 / 3, abs=1e-9)
    assert score(["a b", "a b", "c d"], "rouge1") == pytest.approx(-1 / 3, abs=1e-9)
    assert score(["cats running", "cat runs"]) == -1.0, "words are stemmed"
    assert score(["", ""]) == 0.0, "no word is shared by two empty texts"
    assert str(score(["a", "b"])) == "0.0"


@settings(deadline=None, max_examples=40)
@given(st.lists(WORDS, min_size=2, max_size=6))
def test_grouping_of_equal_texts_changes_nothing(texts: list[str]) -> None:
    assert score(texts) == pytest.approx(-np.mean([rouge_l(a, b) for a, b in combinations(texts, 2)]), abs=2e-9)
    assert score(texts[::-1]) == pytest.approx(score(texts), abs=2e-9)


def test_bleu() -> None:
    words = tuple(["the", "cat", "sat", "on", "the", "mat"])
    assert bleu(words, words) == 1.0
    assert bleu(words, words[:5]) == pytest.approx(np.exp(1 - 6 / 5))
    assert bleu(("a", "b", "c"), ("a", "b", "d")) == 0.0, "no order is smoothed"
    assert bleu(("a",), ()) == 0.0
    assert score(["a b c d", "a b c d"], "bleu") == -1.0


def test_missing_and_bad(make) -> None:
    scores = LexicalSimilarity().score(make({"a": ["x", "x", None], "b": ["x", None]}))
    assert scores[0] == -1.0
    assert np.isnan(scores[1])
    with pytest.raises(InputError, match="at least 2"):
        LexicalSimilarity().score(make({"a": ["x"]}))
    with pytest.raises(InputError, match="metric"):
        LexicalSimilarity("meteor")
