"""Pairs are compared once, in one order, and never again with the same cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.cocoa import CoCoA
from trueline.estimators.pairs import COMPARED
from trueline.estimators.similarity import Compared, Similarity, compare_trace
from trueline.estimators.text_similarity import TextSimilarity
from trueline.traces import Trace, make_trace


class Counting:
    """Half for every pair; remembers what it was asked."""

    name, batch_size, kept = "counting", 3, True

    def __init__(self, value: float = 0.5) -> None:
        self.asked: list[tuple[str, str]] = []
        self.value = value

    def fingerprint(self) -> str:
        return "counting"

    def compare(self, pairs: Sequence[tuple[str, str]]) -> Compared:
        self.asked += pairs
        return Compared(np.full(len(pairs), self.value), np.array([len(a) > 20 for a, _ in pairs], dtype=bool))


def trace() -> Trace:
    rows = []
    for item in ("a", "b"):
        rows.append({"item_id": item, "kind": "greedy", "text": "x", "token_logprobs": [-1.0, -1.0], "token_texts": ["x", ""]})
        for text in ("x", "y", "z", "y"):
            rows.append({"item_id": item, "kind": "sample", "text": text, "token_logprobs": [-1.0], "token_texts": [text]})
    rows.append({"item_id": "c", "kind": "greedy", "error": "failed"})
    return make_trace(rows, questions={"a": "q?", "b": "q?"})


def test_a_pair_is_compared_once_in_one_order() -> None:
    judge = Counting()
    assert isinstance(judge, Similarity)
    found = compare_trace(trace(), judge, wanted=COMPARED)
    assert len(judge.asked) == len(set(judge.asked))
    assert len({frozenset(pair) for pair in judge.asked}) == len(judge.asked)
    assert all(a != b for a, b in judge.asked)
    assert found.settings["asked"] == len(judge.asked)
    assert found.values["samples"][0].tolist() == [0.5, 0.5, 0.5, 0.5, 1.0, 0.5]
    assert found.values["greedy_samples"][1].tolist() == [1.0, 0.5, 0.5, 0.5]
    assert found.values["greedy_tokens"][0].tolist() == [0.5, 1.0], "a token without text changes nothing"
    assert all(part[2] is None for part in found.values.values())


def test_nothing_is_compared_again_with_the_same_cache(tmp_path: Path) -> None:
    first, second = Counting(), Counting(value=0.9)
    path = tmp_path / "similarities.sqlite"
    one = compare_trace(trace(), first, path, wanted={"samples"})
    two = compare_trace(trace(), second, path, wanted={"samples"})
    assert second.asked == []
    assert first.asked
    for a, b in zip(one.values["samples"], two.values["samples"], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan")])
def test_values_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="outside"):
        compare_trace(trace(), Counting(value), wanted={"samples"})


def test_unknown_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="no pairs are called 'words'"):
        compare_trace(trace(), Counting(), wanted={"words"})


def test_scores_from_similarities() -> None:
    compared = trace().with_similarities(compare_trace(trace(), Counting(), wanted=COMPARED))
    np.testing.assert_allclose(TextSimilarity().score(compared), [0.375, 0.375, np.nan])
    np.testing.assert_allclose(TextSimilarity("samples").score(compared), [1 - 3.5 / 6, 1 - 3.5 / 6, np.nan])
    np.testing.assert_allclose(CoCoA(on_empty="nan").score(compared), [2 * 0.375, 2 * 0.375, np.nan])
    np.testing.assert_allclose(CoCoA("ppl", on_empty="nan").score(compared), [0.375, 0.375, np.nan])
    with pytest.raises(MissingTraceField, match="similarities"):
        TextSimilarity().score(trace())
    with pytest.raises(InputError, match="base"):
        CoCoA("max")  # type: ignore[arg-type]


def test_one_sample_is_none() -> None:
    lone = make_trace([{"item_id": "a", "kind": "greedy", "text": "x"}, {"item_id": "a", "kind": "sample", "text": "y"}])
    compared = lone.with_similarities(compare_trace(lone, Counting(), wanted={"samples", "greedy_samples"}))
    for reference in ("greedy", "samples"):
        with pytest.raises(MissingTraceField):
            TextSimilarity(reference).score(compared)
