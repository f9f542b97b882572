from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.estimators.similarity import Char3
from trueline.estimators.similarity.lexical import char3_cosine


def test_by_hand() -> None:
    assert char3_cosine("abcd", "abce") == pytest.approx(0.5)  # one of two grams
    assert char3_cosine("ABC", "abc") == 1.0
    assert char3_cosine("", "") == 1.0
    assert char3_cosine("", "abc") == 0.0
    assert char3_cosine("5", "7") == 0.0, "a short text is one gram"
    assert char3_cosine("42", "42") == 1.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_symmetric_and_in_range(one: str, two: str) -> None:
    value = char3_cosine(one, two)
    assert 0.0 <= value <= 1.0
    assert value == pytest.approx(char3_cosine(two, one))
    assert char3_cosine(one, one) == pytest.approx(1.0)


def test_many_at_once() -> None:
    found = Char3().compare([("abcd", "abce"), ("a", "a")])
    assert found.values.tolist() == pytest.approx([0.5, 1.0])
    assert not found.truncated.any()
