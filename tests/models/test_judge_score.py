"""Scores from a judge's token law: mass rule, odd tokens, whole strings, written scores, bad laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.models.judge_score import score_strings, score_text, score_tokens


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20, unique=True), st.integers(0, 1000))
def test_the_score_is_the_mean_of_the_numbers(values: list[int], seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(len(values) + 1))
    found = score_tokens({str(v): w for v, w in zip(values, p[1:], strict=True)} | {"REFUSAL": p[0]})
    assert found.numeric_mass == pytest.approx(1 - p[0])
    if found.score is not None:
        assert found.score == pytest.approx(np.average(values, weights=p[1:]))
        assert min(values) - 1e-9 <= found.score <= max(values) + 1e-9
    else:
        assert 1 - p[0] < 0.25 + 1e-12


@pytest.mark.parametrize("token", ["1_0", "٣", "५०", "²", "101", "1e1", "-5", "5.5", "0x1", "", "1000", "5\n6"])
def test_only_ascii_whole_numbers_to_100_count(token: str) -> None:
    found = score_tokens({token: 0.9})
    assert (found.score, found.numeric_mass) == (None, 0.0)


def test_white_space_is_ignored_and_equal_numbers_add_up() -> None:
    found = score_tokens({" 50": 0.2, "50\n": 0.2, "050": 0.2, "100": 0.2})
    assert found.score == pytest.approx(62.5)
    assert found.numeric_mass == pytest.approx(0.8)


def test_a_mass_of_zero_is_never_a_score() -> None:
    assert score_tokens({"5": 0.0}, least_mass=0.0).score is None
    assert score_tokens({"5": 1e-9}, least_mass=0.0).score == pytest.approx(5)


@pytest.mark.parametrize("p", [-0.1, 1.2, math.nan, math.inf, None, "0.5", -0.3])
def test_bad_probabilities(p: Any) -> None:
    with pytest.raises(InputError, match="50"):
        score_tokens({"50": p})


def test_log_probabilities_or_doubled_laws_are_refused() -> None:
    with pytest.raises(InputError):
        score_tokens({"50": -0.7, "60": -0.9})
    with pytest.raises(InputError, match=r"sum to 1\.5"):
        score_tokens({"50": 0.8, "60": 0.7})


def test_strings_agree_with_tokens() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(102))
    whole = score_strings(np.log(p[:101]))
    assert whole.score == pytest.approx(score_tokens({str(i): float(v) for i, v in enumerate(p[:101])}).score)
    unlikely = np.full(101, -np.inf)
    unlikely[70] = np.log(0.2)
    assert score_strings(unlikely).score is None
    unlikely[70] = np.log(0.3)
    assert score_strings(unlikely).score == pytest.approx(70)


@pytest.mark.parametrize("bad", [[0.0], np.zeros(101), np.full(101, np.nan), np.full(101, 0.5), ["a"] * 101])
def test_bad_strings(bad: Any) -> None:
    with pytest.raises(InputError):
        score_strings(bad)


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("<score>85</score>", 85),
        ("draft <score>10</score> final <SCORE> 20 </SCORE> of 100", 20),
        ("I give it 70.", 70),
        ("1. clear 2. kind: 90", 90),
        ("between 3 and 101", None),
        ("0.7", None),
        ("-5", None),
        ("REFUSAL", None),
        ("", None),
        ("٣٤", None),
    ],
)
def test_written_scores(reply: str, score: float | None) -> None:
    found = score_text(reply)
    assert found.score == score
    assert math.isnan(found.numeric_mass)
