from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.tasks.sentences import sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" ... !? ", []),
        ("Paris", ["Paris"]),
        ("It is 3.5 km. Is it? Yes", ["It is 3.5 km.", "Is it?", "Yes"]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("(One.) Two!\n\nThree", ["(One.)", "Two!", "Three"]),
        ("Ja. Ça va? 東京。", ["Ja.", "Ça va?", "東京。"]),
    ],
)
def test_by_hand(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@given(st.text())
def test_no_word_is_lost_or_changed(text: str) -> None:
    kept = [word for part in sentences(text) for word in part.split()]
    missing = [word for word in text.split() if word not in kept]
    assert not any(any(c.isalnum() for c in word) for word in missing)
    assert set(kept) <= set(text.split())
