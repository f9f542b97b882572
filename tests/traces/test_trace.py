"""Traces and ragged rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError, MissingTraceField
from trueline.traces import Ragged, make_trace

rows = st.lists(st.one_of(st.none(), st.lists(st.floats(-50, 50), max_size=6)), max_size=12)


@given(rows)
def test_reductions_equal_plain_loops(data):
    ragged = Ragged.from_rows(data)
    for name, function in (("sum", np.sum), ("mean", np.mean), ("max", np.max), ("min", np.min)):
        expected = [function(r) if r else np.nan for r in data]
        np.testing.assert_allclose(getattr(ragged, name)(), expected, rtol=1e-12, atol=1e-12)
    assert ragged.valid.tolist() == [r is not None for r in data]


@given(rows)
def test_columns_of_a_trace_come_back(data):
    records = [{"item_id": f"i{k}", "kind": "greedy", "text": "x", "token_logprobs": r} for k, r in enumerate(data)]
    trace = make_trace([*records, {"item_id": "z", "kind": "greedy", "text": "y", "token_logprobs": [-1.0]}])
    got = trace.greedy.ragged("token_logprobs")
    want = Ragged.from_rows([*data, [-1.0]])
    np.testing.assert_array_equal(got.values, want.values)
    np.testing.assert_array_equal(got.offsets, want.offsets)
    np.testing.assert_array_equal(got.valid, want.valid)


def test_rows_are_sorted_by_item_and_draw():
    trace = make_trace(
        [
            {"item_id": "b", "kind": "sample", "draw": 1, "text": "b1"},
            {"item_id": "a", "kind": "sample", "draw": 0, "text": "a0"},
            {"item_id": "b", "kind": "sample", "draw": 0, "text": "b0"},
        ],
        item_ids=["a", "b", "c"],
    )
    assert trace.samples.texts == ["a0", "b0", "b1"]
    assert trace.samples.counts.tolist() == [1, 2, 0]


def test_two_rows_with_one_draw_are_refused():
    trace = make_trace([{"item_id": "a", "kind": "sample", "draw": 0, "text": t} for t in "xy"])
    with pytest.raises(InputError, match="'a' has two sample rows"):
        _ = trace.samples


def test_missing_column_is_named():
    trace = make_trace([{"item_id": "a", "kind": "greedy", "text": "x"}])
    with pytest.raises(MissingTraceField, match="token_logprobs"):
        trace.greedy.ragged("token_logprobs")
    with pytest.raises(InputError, match="unknown kind"):
        trace.generations("beam")


@pytest.mark.parametrize("bad", [{"kind": "greedy", "colour": 1}, {"kind": "beam"}])
def test_bad_records(bad):
    with pytest.raises(InputError, match="unknown"):
        make_trace([{"item_id": "a", **bad}])
