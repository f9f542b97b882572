from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.knownworld.shift import typos


@given(st.text(max_size=60), st.integers(0, 1000))
def test_rate_zero_changes_nothing(text: str, seed: int) -> None:
    assert typos(text, 0.0, np.random.default_rng(seed)) == text


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_the_rate_is_a_rate_per_letter(rate: float) -> None:
    rng = np.random.default_rng(0)
    damaged = [typos("q", rate, rng) != "q" for _ in range(20_000)]
    assert np.mean(damaged) == pytest.approx(rate, rel=0.15)


def test_every_kind_of_typo_happens_and_only_letters_are_hit() -> None:
    rng = np.random.default_rng(1)
    outcomes = {typos("a1", 1.0, rng) for _ in range(200)}
    assert {"1", "aa1", "1a"} <= outcomes
    assert any(len(o) == 2 and o[1] == "1" and o != "a1" for o in outcomes)
    assert typos("12 + 3?", 1.0, rng) == "12 + 3?"
