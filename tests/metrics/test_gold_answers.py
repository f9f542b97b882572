"""The probability of the right answer from the most likely tokens of each position."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.gold_answers import gold_answer


def test_by_hand() -> None:
    found = gold_answer(
        [[" the", " Paris", "PARIS"], [" Rome", " x", "\ufffd"]], [np.log([0.5, 0.3, 0.1]), np.log([0.6, 0.2, 0.2])], ["Paris"],
        candidates=["paris", "Rome", "Lyon"],
    )  # fmt: skip
    assert found.prob_gold == pytest.approx(0.4)
    assert (found.best_position, found.top1_correct, found.top3_correct, found.distinct) == (0, False, True, 1)
    p = np.array([5, 3, 1]) / 9
    assert found.entropy_topk == pytest.approx(-(p * np.log(p)).sum())
    q = np.array([3, 1]) / 4
    assert found.entropy_topk_without_top1 == pytest.approx(-(q * np.log(q)).sum())
    assert found.mass == pytest.approx(0.9)
    assert found.top1_probability == pytest.approx(0.5)


def test_order_of_the_tokens_does_not_matter() -> None:
    one = gold_answer([["a", "b", "c", "d"]], [[-1.0, -2.0, -3.0, -4.0]], ["d"])
    other = gold_answer([["d", "c", "b", "a"]], [[-4.0, -3.0, -2.0, -1.0]], ["d"])
    assert one == other
    assert not one.top3_correct


def test_one_token_has_no_entropy_and_an_empty_generation_no_probability() -> None:
    alone = gold_answer([["a"]], [[-0.2]], ["a"])
    assert alone.entropy_topk == 0
    assert math.isnan(alone.entropy_topk_without_top1)
    nothing = gold_answer([], [], ["a"])
    assert math.isnan(nothing.prob_gold)
    assert (nothing.top1_correct, nothing.best_position) == (False, -1)


def test_a_broken_character_never_matches() -> None:
    assert gold_answer([["\ufffd"]], [[-0.1]], ["\ufffd", "x"]).prob_gold == 0


@pytest.mark.parametrize(
    ("tokens", "logprobs", "aliases", "message"),
    [
        ([["a"]], [[-1.0]], [], "no alias"),
        ([["a"]], [[-1.0]], ["  "], "no alias"),
        ([["a"]], [], ["a"], "1 lists of tokens but 0"),
        ([["a"]], [[-1.0, -2.0]], ["a"], "position 0"),
        ([[]], [[]], ["a"], "position 0"),
        ([["a"]], [[math.nan]], ["a"], "NaN or above 0"),
        ([["a"]], [[0.5]], ["a"], "NaN or above 0"),
    ],
)
def test_bad_input(tokens: list[list[str]], logprobs: list[list[float]], aliases: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gold_answer(tokens, logprobs, aliases)


@given(st.lists(st.tuples(st.sampled_from(["a", " A", "b", "c"]), st.floats(-30, 0)), min_size=1, max_size=6))
def test_bounds(pairs: list[tuple[str, float]]) -> None:
    tokens, logs = [t for t, _ in pairs], np.array([v for _, v in pairs])
    logs = logs - max(0.0, float(np.logaddexp.reduce(logs)))
    found = gold_answer([tokens], [logs], ["a"])
    assert 0 <= found.prob_gold <= found.mass + 1e-12 <= 1 + 1e-9
    assert 0 <= found.entropy_topk <= math.log(len(tokens)) + 1e-9
    assert found.top3_correct or not found.top1_correct
