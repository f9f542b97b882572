"""An estimate prints, becomes a row, and survives JSON."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.stats import Estimate

numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(numbers, numbers, numbers, st.integers(0, 10**9), st.one_of(st.none(), st.text()))
def test_json_round_trip(value: float, low: float, se: float, n: int, reason: str | None) -> None:
    e = Estimate(value, low, math.inf, 0.9, n, 3, "bca", float(n), se, reason, np.ones(2))
    text = json.dumps(e.to_json(), allow_nan=False)
    back = Estimate.from_json(json.loads(text))
    assert repr(back) == repr(e)
    assert back.samples is None


def test_row_is_flat_and_has_no_replicates() -> None:
    row = Estimate(0.5, 0.4, 0.6, n=10, samples=np.ones(3)).row()
    assert row["value"] == 0.5
    assert row["n"] == 10
    assert "samples" not in row
    assert not any(isinstance(v, dict | list | np.ndarray) for v in row.values())


def test_numpy_numbers_become_json() -> None:
    e = Estimate(np.float64(0.5), np.float32(0.25), n=int(np.int64(3)))
    assert json.loads(json.dumps(e.to_json()))["low"] == 0.25


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.91234, 0.85, 0.95, n=200), "0.9123 [0.85, 0.95] (n=200)"),
        (Estimate(0.91234, n=200, n_missing=3), "0.9123 (n=200, 3 missing)"),
        (Estimate.undefined("only one class: 300 right, 0 wrong", n=300), "undefined: only one class: 300 right, 0 wrong (n=300)"),
        (Estimate(0.5, 0.1, 0.9, n=4, reason="unstable"), "0.5 [0.1, 0.9] (n=4) [unstable]"),
    ],
)
def test_prints_well(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text


def test_is_frozen_and_says_whether_it_is_defined() -> None:
    e = Estimate.undefined("nothing")
    assert not e.defined
    assert Estimate(0.0).defined
    with pytest.raises(FrozenInstanceError):
        e.value = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("record", [{}, {"low": 1}, {"value": 1, "nonsense": 2}])
def test_foreign_records_are_refused(record: dict[str, float]) -> None:
    with pytest.raises(InputError, match="not an estimate"):
        Estimate.from_json(record)
