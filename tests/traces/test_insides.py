"""Hidden states and attention maps read back from a trace."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trueline.errors import InputError, MissingTraceField
from trueline.traces import Trace, make_trace
from trueline.traces.insides import hidden_states, layer_at, maps


def row(item: str, state: np.ndarray | None, layers: tuple[int, ...] = (2, 4), kind: str = "greedy") -> dict[str, object]:
    base = {"item_id": item, "kind": kind, "text": "x"}
    return base if state is None else {**base, "n_layers": 4, "hidden_layers": list(layers), "hidden_last": state.tolist()}


def test_states_come_back_by_depth_through_a_file(tmp_path):
    rng = np.random.default_rng(0)
    states = rng.normal(size=(3, 2, 5)).astype(np.float32)
    trace = make_trace([row("a", states[0]), row("b", None), row("c", states[1]), row("d", states[2])])
    pq.write_table(trace.table, tmp_path / "t.parquet")
    again = Trace(pq.read_table(tmp_path / "t.parquet"), trace.item_ids)
    for depth, k in ((0.5, 0), (1.0, 1)):
        found = hidden_states(again.greedy, "hidden_last", depth)
        assert found.row.tolist() == [0, 2, 3]
        assert found.layer == (2, 4)[k]
        assert found.values.dtype == np.float64
        np.testing.assert_array_equal(found.values, states[:, k])


def test_what_was_not_captured_is_named():
    trace = make_trace([row("a", np.ones((2, 3)))])
    with pytest.raises(MissingTraceField, match="layers 2, 4, not of layer 3"):
        hidden_states(trace.greedy, "hidden_last", 0.75)
    with pytest.raises(MissingTraceField, match="hidden_mean"):
        hidden_states(trace.greedy, "hidden_mean", 0.5)
    with pytest.raises(InputError, match="depth=2"):
        hidden_states(trace.greedy, "hidden_last", 2.0)


@pytest.mark.parametrize(
    "rows",
    [
        [row("a", np.full((2, 3), np.nan))],
        [row("a", np.ones((2, 3))), row("b", np.ones((2, 3)), layers=(1, 4))],
        [row("a", np.ones((2, 3))), row("b", np.ones((2, 4)))],
    ],
)
def test_states_that_cannot_be_used_are_refused(rows):
    with pytest.raises(InputError):
        hidden_states(make_trace(rows).greedy, "hidden_last", 0.5)


def test_maps_come_back_in_their_shape():
    values = np.random.default_rng(1).random((2, 3, 4)).astype(np.float32)
    base = {"kind": "greedy", "text": "x"}
    trace = make_trace(
        [
            {**base, "item_id": "a", "attn_prev": values.tolist(), "attn_diag_logsum": [-1.0, -2.0]},
            {**base, "item_id": "b"},
            {**base, "item_id": "c", "attn_prev": np.zeros((2, 3, 0)).tolist(), "attn_diag_logsum": [-3.0, -4.0]},
        ]
    )
    found = dict(maps(trace.greedy, "attn_prev"))
    assert sorted(found) == [0, 2]
    np.testing.assert_array_equal(found[0], values)
    assert found[2].shape == (2, 3, 0)
    assert {k: v.tolist() for k, v in maps(trace.greedy, "attn_diag_logsum")} == {0: [-1.0, -2.0], 2: [-3.0, -4.0]}


@pytest.mark.parametrize("bad", [[[[1.0], [1.0, 2.0]]], [[[float("nan")]]]])
def test_maps_that_are_ragged_or_not_finite_are_refused(bad):
    trace = make_trace([{"item_id": "a", "kind": "greedy", "text": "x", "attn_prev": bad}])
    with pytest.raises(InputError, match="attn_prev of greedy row 0"):
        list(maps(trace.greedy, "attn_prev"))


def test_layers_at_a_depth():
    assert [layer_at(d, 12) for d in (0.0, 0.5, 0.7, 1.0)] == [1, 6, 8, 12]
    assert [layer_at(d, 1) for d in (0.0, 0.5, 1.0)] == [1, 1, 1]


def test_a_trace_without_the_columns_opens(tmp_path):
    trace = make_trace([row("a", None)])
    old = trace.table.drop_columns(["n_layers", "hidden_layers", "hidden_prompt", "hidden_last", "hidden_mean", "attn_prev"])
    again = Trace(old, trace.item_ids)
    assert again.greedy.texts == ["x"]
    with pytest.raises(MissingTraceField, match="hidden_last"):
        hidden_states(again.greedy, "hidden_last", 0.5)
    both = pa.concat_tables([old, trace.table], promote_options="default")
    assert len(both) == 2
