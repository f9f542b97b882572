"""Text shifts: shares, what never happens, hostile text, bad lexicons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.perception import TEXT_SHIFTS, synonyms
from trueline.perception.text_shifts import word_drop

LONG = " ".join(["the quick brown fox jumps over a lazy dog"] * 50)
SHIFTS = (*TEXT_SHIFTS, synonyms({"quick": ["fast", "swift"], "dog": ["hound"]}))


def test_they_grow_and_repeat() -> None:
    for shift in SHIFTS:
        found = [shift.apply([LONG], level, np.random.default_rng(0))[0] for level in shift.levels]
        again = shift.apply([LONG], shift.levels[-1], np.random.default_rng(0))[0]
        assert found[-1] == again
        words = LONG.split()
        changed = [
            len(words) - sum(a == b for a, b in zip(words, text.split(), strict=False)) + abs(len(words) - len(text.split()))
            for text in found
        ]
        assert changed[-1] > changed[0] > 0, shift.name


def test_share_of_words() -> None:
    kept = len(word_drop([LONG], 0.3, np.random.default_rng(1))[0].split())
    assert 0.6 < kept / len(LONG.split()) < 0.8


def test_synonyms_keep_the_rest() -> None:
    found = synonyms({"dog": ["hound"]}).apply(["Dog, dog; dogma (DOG)"], 1.0, np.random.default_rng(0))
    assert found == ["Hound, hound; dogma (Hound)"]


@given(st.lists(st.text(max_size=30), max_size=5), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_any_text(texts: list[str], seed: int) -> None:
    for shift in SHIFTS:
        found = shift.apply(texts, shift.levels[-1], np.random.default_rng(seed))
        assert len(found) == len(texts)
        assert all(isinstance(text, str) for text in found)
        if shift.name == "word_drop":
            assert all(bool(a.split()) == bool(b.split()) for a, b in zip(texts, found, strict=True))


@pytest.mark.parametrize("lexicon", [{}, {"Dog": ["hound"]}, {"dog": []}, {"dog": "hound"}])
def test_bad_lexicon(lexicon: Any) -> None:
    with pytest.raises(InputError, match="a lexicon maps"):
        synonyms(lexicon)
