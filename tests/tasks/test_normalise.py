from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.tasks.normalise import contains_words, normalise


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The  Eiffel-Tower!", "eiffel tower"),
        ("07", "7"),
        ("1,000", "1000"),
        ("1,000,000.", "1000000"),
        ("3.50%", "3.5"),
        (".5", "0.5"),
        ("-5 degrees", "-5 degrees"),
        ("1723-1792", "1723 1792"),
        ("1723 -1792", "1723 1792"),
        ("(2, -3)", "2 -3"),
        ("\ue000 5", "5"),
        ("-0.0", "0"),
        ("1.2.3", "1 2 3"),
        ("07,08", "7 8"),
        ("10km", "10km"),
        ("A", "a"),
        ("an apple a day", "apple day"),
        ("", ""),
        ("?!", ""),
        ("ÉTÉ", "été"),
    ],
)
def test_normal_forms(text: str, form: str) -> None:
    assert normalise(text) == form


def test_number_rule_can_be_left_out() -> None:
    assert normalise("007 the end", numbers=False) == "007 end"
    assert normalise("1,000", numbers=False) == "1 000"


@given(st.text())
def test_single_spaced_and_without_numbers_idempotent(text: str) -> None:
    assert normalise(text) == " ".join(normalise(text).split())
    once = normalise(text, numbers=False)
    assert normalise(once, numbers=False) == once


@given(st.integers(0, 10**12), st.integers(0, 4))
def test_numbers_by_value(value: int, zeros: int) -> None:
    assert normalise("0" * zeros + str(value)) == normalise(f"{value:,}.00") == str(value)


def test_containment_is_by_whole_words() -> None:
    assert contains_words("it is south africa", "south africa")
    assert not contains_words("southern africa", "south africa")
    assert not contains_words("anything", "")
