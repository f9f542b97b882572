from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.tasks.rouge import lcs_length, rouge_1_tokens, rouge_l, rouge_tokens

words = st.lists(st.sampled_from("abcd"), max_size=40)


def slow_lcs(a: list[str], b: list[str]) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(words, words)
def test_bit_parallel_lcs_equals_the_table(a: list[str], b: list[str]) -> None:
    assert lcs_length(a, b) == slow_lcs(a, b)


def test_lcs_past_one_machine_word() -> None:
    rng = random.Random(0)
    a, b = ([rng.choice("xyz") for _ in range(n)] for n in (150, 170))
    assert lcs_length(a, b) == slow_lcs(a, b)


def test_hand_computed() -> None:
    # stems: the cat sat down / a cat sat down there; common: cat sat down -> P 3/5, R 3/4
    assert rouge_l("the cats sat down", "a cat sat down there") == pytest.approx(2 * 0.6 * 0.75 / 1.35, abs=1e-15)
    # matches out of order count for ROUGE-1 only
    assert rouge_l("red blue", "blue red") == 0.5
    assert rouge_1_tokens(rouge_tokens("red blue"), rouge_tokens("blue red")) == 1.0


def test_short_words_are_not_stemmed_and_symbols_split() -> None:
    assert rouge_tokens("It's running; the gas-works") == ("it", "s", "run", "the", "gas", "work")


@pytest.mark.parametrize(("a", "b"), [("", ""), ("", "x"), ("!?", "x")])
def test_empty_is_zero(a: str, b: str) -> None:
    assert rouge_l(a, b) == 0.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_symmetric_and_bounded(a: str, b: str) -> None:
    assert rouge_l(a, b) == rouge_l(b, a)
    assert 0 <= rouge_l(a, b) <= 1
