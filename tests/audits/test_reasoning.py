"""Marked reasoning, equations and paths, on kind and on hostile text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.audits.reasoning import equations, path_of, split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>3 + 4 = 7</think>So 7.", "3 + 4 = 7", "So 7."),
        ("<think>a</think> x <think>b</think> y", "a\nb", "x y"),
        ("3 + 4 = 7</think> 7", "3 + 4 = 7", "7"),
        ("<think>cut off", "cut off", ""),
        ("no marks", None, "no marks"),
        ("", None, ""),
    ],
)
def test_split(text: str, reasoning: str | None, answer: str) -> None:
    found = split_reasoning(text)
    assert found[0] == reasoning
    assert " ".join(found[1].split()) == answer


def test_equations_have_one_spelling() -> None:
    assert equations("3+4 = 7. 7 \u2212 2=5") == equations("3 + 4 = 7, then 7 - 2 = 5")
    assert equations("3 + 4, then 7") == ()
    assert path_of("Well: 3 + 4 = 7. So 7.", "equations") == path_of("<think>3 + 4 = 7</think> 7", "equations")
    assert path_of("<think>A path.</think> 7", "text") == path_of("<think>a path</think> 8", "text")


@given(st.text(max_size=300))
def test_any_text_has_a_path(text: str) -> None:
    for kind in ("equations", "text"):
        assert path_of(text, kind) == path_of(text, kind)


@pytest.mark.parametrize("text", ["1+" * 50_000, "<think>" * 20_000, "9" * 100_000, "1 + 1 = " * 20_000, "</think>" * 20_000])
def test_hostile_text_takes_no_time(text: str) -> None:
    split_reasoning(text)
    path_of(text, "equations")
    path_of(text, "text")
