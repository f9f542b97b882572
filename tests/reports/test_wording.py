"""Numbers in words."""

from __future__ import annotations

import math

import pytest

from trueline.reports.wording import Notes, bracket, number, percent
from trueline.stats.estimate import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (-0.5, "\u22120.500"),
        (-1e-9, "0.000"),
        (math.nan, "undefined"),
        (math.inf, "\u221e"),
        (-math.inf, "\u2212\u221e"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_percent_has_a_decimal_only_where_the_count_bears_it() -> None:
    assert percent(0.6349, 200) == "63\u202f%"
    assert percent(0.6349, 2000) == "63.5\u202f%"


def test_bracket() -> None:
    assert "(95\u202f% interval 56\u201370\u202f%)" in bracket(Estimate(0.63, 0.56, 0.7, n=200), share=True)
    assert "(90\u202f% interval \u22120.10 to 0.20)" in bracket(Estimate(0.1, -0.1, 0.2, level=0.9))
    assert "no interval" in bracket(Estimate(0.5))


def test_notes_give_one_letter_a_reason() -> None:
    notes = Notes()
    first, again = notes.cell(Estimate.undefined("one class")), notes.cell(Estimate.undefined("one class"))
    assert first == again
    assert "undefined" in first
    assert "<sup>a</sup>" in first
    assert "<sup>b</sup>" in notes.cell(Estimate(0.5, 0.4, 0.6, reason="few <clusters>"))
    shown = notes.html()
    assert shown is not None
    assert "one class" in shown
    assert "few &lt;clusters&gt;" in shown
    for i in range(30):
        last = notes.cell(Estimate.undefined(f"reason {i}"))
    assert "<sup>af</sup>" in last


def test_no_notes_no_html() -> None:
    notes = Notes()
    assert "0.500" in notes.cell(Estimate(0.5, 0.4, 0.6))
    assert notes.html() is None
