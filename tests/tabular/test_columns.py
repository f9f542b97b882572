"""Cells in words, and rules of labels."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trueline.errors import InputError
from trueline.tabular.columns import ColumnText, Threshold, unknown_codes
from trueline.tabular.table import as_table

WORK = ColumnText("COW", "class of worker", {"1": "private", 2: "state"})


@pytest.mark.parametrize(
    ("value", "text"), [(1, "private"), (1.0, "private"), ("1", "private"), ("2.0", "state"), (None, "N/A"), (math.nan, "N/A"), (9, "N/A")]
)
def test_codes_are_decoded(value: Any, text: str) -> None:
    assert WORK.text(value) == text


def test_raw_codes_templates_and_functions() -> None:
    assert WORK.text(1.0, decode=False) == "1"
    assert ColumnText("age", "age", template="{value} years old").text(18.0) == "18 years old"
    assert ColumnText("pay", "pay", template="${value:,}").text("52000") == "$52,000"
    assert ColumnText("pay", "pay", lambda v: f"<{v}>").text(3) == "<3>"
    assert ColumnText("x", "x", template="{value.__class__}").text(3) == "{value.__class__}"


def test_unknown_codes_are_named_with_their_counts() -> None:
    (remark,) = unknown_codes({"COW": WORK}, as_table({"COW": [1, 9, 9, None, "7"]}))
    assert "column COW" in remark
    assert "9 (2)" in remark
    assert "7 (1)" in remark
    assert unknown_codes({"COW": WORK}, as_table({"COW": [1, 2, None]})) == []


@pytest.mark.parametrize(
    ("op", "labels"), [(">", [0, 0, 1]), (">=", [0, 1, 1]), ("<", [1, 0, 0]), ("<=", [1, 1, 0]), ("==", [0, 1, 0]), ("!=", [1, 0, 1])]
)
def test_thresholds(op: str, labels: list[int]) -> None:
    table = as_table({"pay": [1, "2.0", 3]})
    assert Threshold(2, op).labels(table, "pay").tolist() == labels
    assert Threshold.parse(f" {op}2 ") == Threshold(2.0, op)


def test_texts_can_be_compared_for_equality() -> None:
    assert Threshold.parse("== yes").labels(as_table({"y": ["yes", "no"]}), "y").tolist() == [1, 0]
    with pytest.raises(InputError, match="== and != only"):
        Threshold("yes", ">")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Threshold(1, "=>"), "unknown"),
        (lambda: Threshold.parse("50000"), "expected an operator"),
        (lambda: Threshold(1).labels(as_table({"y": [1, None]}), "y"), "row 1 is missing"),
        (lambda: Threshold(1).labels(as_table({"y": ["many"]}), "y"), "no number"),
        (lambda: ColumnText("x", " "), "empty description"),
        (lambda: ColumnText("x", "x", values=3), "must map codes"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
