"""Items are read by the row groups that a trace's rows fall into; what comes out does not depend on where the groups end."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from trueline.run import Run
from trueline.traces import rundir
from trueline.traces.questions import Questions
from trueline.traces.rundir import RunDirectory
from trueline.traces.schema import SCHEMA


def rows(*places: int) -> pa.Table:
    found = [{"item_id": f"q{i}", "item_index": i, "kind": "greedy", "draw": 0, "text": str(i)} for i in places]
    return pa.Table.from_pylist(found, schema=SCHEMA)


@pytest.fixture(params=[3, 100])
def directory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """Ten items, in groups of three or in one as older versions wrote them; q4 has no question."""
    monkeypatch.setattr(rundir, "GROUP_ROWS", request.param)
    made = RunDirectory(tmp_path / "run")
    made.prepare()
    questions = [None if i == 4 else f"question {i}" for i in range(10)]
    made.write_table("items.parquet", pa.table({"item_id": [f"q{i}" for i in range(10)], "question": questions}))
    made.write_manifest({"status": "complete"})
    assert made.group_sizes("items.parquet") == ([3, 3, 3, 1] if request.param == 3 else [10])
    assert made.column_names("items.parquet") == ["item_id", "question"]
    return made


def test_every_row_gets_its_own_question(directory: RunDirectory) -> None:
    questions = Questions(directory)
    for places in ([0], [2, 3], [3, 4, 5], [9], [0, 9], [5, 1, 1], [8, 7]):
        trace = questions.trace(rows(*places))
        asked = sorted(set(places))
        assert trace.item_ids == tuple(f"q{i}" for i in asked)
        assert trace.questions == tuple("" if i == 4 else f"question {i}" for i in asked)
    assert questions.trace(rows()).n_items == 0


@pytest.mark.parametrize("size", [1, 2, 4, 50])
def test_blocks_hold_the_trace_whatever_their_size(directory: RunDirectory, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueline.run._JOINED_SHARDS", 2)
    for k in range(5):
        directory.write_shard(k, rows(2 * k, 2 * k + 1))
    run = Run(directory)
    blocks = list(run.blocks(size))
    assert len(blocks) == {1: 5, 2: 5, 4: 3, 50: 1}[size]
    assert [i for block in blocks for i in block.item_ids] == [f"q{i}" for i in range(10)] == list(run.trace().item_ids)
    assert [q for block in blocks for q in block.questions] == list(run.trace().questions)
    assert [t for block in blocks for t in block.greedy.texts] == [str(i) for i in range(10)]
