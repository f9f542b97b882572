"""Token variants, numbers behind "0.", and probabilities in texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.tabular.answers import (
    VARIANTS,
    best_numeric,
    choice_score,
    law_of_variants,
    number_of_tokens,
    option_law,
    parse_probability,
)


def test_the_variant_of_most_mass_is_used_and_no_other() -> None:
    law = option_law({"A": 0.2, "B": 0.1, " A": 0.05, " B": 0.35, "\u0120A": 0.3}, ["A", "B"])
    assert law.variant == " "
    assert law.mass == pytest.approx(0.4)
    np.testing.assert_allclose(law.p, [0.125, 0.875])


def test_no_option_among_the_tokens_is_undecided() -> None:
    law = option_law({"x": 1.0}, ["A", "B", "C"])
    assert (law.mass, law.variant) == (0.0, None)
    np.testing.assert_allclose(law.p, 1 / 3)


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.5, math.inf])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="NaN, negative or above 1"):
        option_law({"A": bad}, ["A", "B"])


@given(st.lists(st.lists(st.floats(0, 1 / 12), min_size=2, max_size=2), min_size=len(VARIANTS), max_size=len(VARIANTS)))
def test_laws_sum_to_one(table: list[list[float]]) -> None:
    law = law_of_variants(table)
    assert law.p.sum() == pytest.approx(1)
    assert 0 <= law.mass <= 1


def test_two_options_give_the_higher_ones_probability_and_more_an_expectation() -> None:
    assert choice_score([0.3, 0.7], [1, 0]) == pytest.approx(0.3)
    assert choice_score([0.3, 0.7], [0.2, 0.6]) == pytest.approx(0.7)
    assert choice_score([0.2, 0.3, 0.5], [0, 0.5, 1]) == pytest.approx(0.65)
    with pytest.raises(InputError, match="2 probabilities for 3 options"):
        choice_score([0.3, 0.7], [0, 0.5, 1])


@pytest.mark.parametrize(
    ("tokens", "prefix", "expected"),
    [
        (["4", "2"], "0.", 0.42),
        (["42", "7"], "0.", 0.427),
        ([".", "4"], "0.", 0.4),
        ([".", "."], "0.", None),
        ([None, None], "0.", None),
        (["1", ".", "0", "0"], "", 1.0),
        (["0", ".", "3", "5"], "", 0.35),
        (["12", "."], "", None),
    ],
)
def test_numbers_of_tokens(tokens: list[str | None], prefix: str, expected: float | None) -> None:
    assert number_of_tokens(tokens, prefix) == expected


def test_only_digits_and_the_point_are_numeric() -> None:
    assert best_numeric({"the": 0.9, "4": 0.01, "12": 0.02, "\u0663": 0.05}) == "12"
    assert best_numeric({"the": 0.9, " 4": 0.1, "4": 0.0}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Probability: 1%", 0.01),
        ("Probability: 0.5%", 0.005),
        ("Probability: 100 percent", 1.0),
        ("**Probability:** about 12.5 %", 0.125),
        ("Probability: 65", 0.65),
        ("Probability: 20%. On reflection, Probability: 30%", 0.3),
        ("between 10-20%", 0.2),
        ("Probability: -5%", None),
        ("version 1.2.3", None),
        ("in 2015 and 2016", None),
        ("", None),
        ("1e400", None),
        ("it is 0.35.", 0.35),
    ],
)
def test_stated_probabilities(text: str, expected: float | None) -> None:
    found = parse_probability(text)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    "text", ["probability" + " " * 50_000, "1" * 50_000, "0." + "1" * 50_000, "probability is " * 5_000, "% " * 50_000]
)
def test_hostile_texts_end(text: str) -> None:
    parse_probability(text)


@given(st.text())
def test_any_text_gives_a_probability_or_none(text: str) -> None:
    found = parse_probability(text)
    assert found is None or 0 <= found <= 1
