from __future__ import annotations

import numpy as np
import pytest

from trueline.knownworld.names import invent_names


def _one_edit(a: str, b: str) -> bool:
    """Whether one substitution, insertion or deletion turns a into b."""
    if len(a) > len(b):
        a, b = b, a
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) <= 1
    return len(b) - len(a) == 1 and any(b[:i] + b[i + 1 :] == a for i in range(len(b)))


def test_names_are_two_edits_apart() -> None:
    names = invent_names(np.random.default_rng(1), 150, "CVCVC", set())
    lowered = [n.lower() for n in names]
    assert len(set(names)) == 150
    assert not any(_one_edit(a, b) for i, a in enumerate(lowered) for b in lowered[i + 1 :])


def test_forbidden_words_are_no_names() -> None:
    vowels = frozenset("aeiou") - {"e"}
    assert invent_names(np.random.default_rng(0), 1, "V", set(), forbidden=vowels) == ["E"]


def test_a_short_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="longer pattern"):
        invent_names(np.random.default_rng(0), 30, "V", set())
