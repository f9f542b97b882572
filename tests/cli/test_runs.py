"""`trueline runs`: what is listed, shown, removed and merged, and what is left alone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lawmodel import LawModel, make_task
from typer.testing import CliRunner

import trueline as tl
from trueline.cli.app import app
from trueline.errors import InputError
from trueline.traces import compaction
from trueline.traces.compaction import compact
from trueline.traces.rundir import RunDirectory


def measured(out: Path, n: int = 300) -> tl.Run:
    return tl.measure(LawModel(), make_task(n), ["sequence_nll", "semantic_entropy"], samples=3, out=out)


def call(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.output


def test_list_and_show(tmp_path: Path) -> None:
    measured(tmp_path / "a", 4)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text("{ torn")
    code, text = call("runs", "ls", tmp_path, "--json")
    first, second = json.loads(text)
    assert code == 0
    assert (first["status"], first["items"], first["failed"]) == ("complete", 4, 0)
    assert second["status"].startswith("unreadable")
    assert call("runs", "ls", tmp_path)[0] == 0
    code, text = call("runs", "show", tmp_path / "a", "--json")
    assert code == 0
    assert json.loads(text)["estimators"] == ["sequence_nll", "semantic_entropy"]
    shown = call("runs", "show", tmp_path / "a")[1]
    assert "sequence_nll" in shown
    assert "temperature 1," in shown
    assert not set("{}") & set(shown)
    listed = call("runs", "ls", tmp_path)[1]
    assert "failed" not in listed  # no run has failures
    assert not re.search(r"\d\dT\d\d", listed)
    assert call("runs", "ls", tmp_path / "nowhere")[0] == 2
    assert call("runs", "show", tmp_path)[0] == 2


def test_remove_touches_only_runs(tmp_path: Path) -> None:
    measured(tmp_path / "a", 3)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    assert call("runs", "rm", tmp_path / "a", tmp_path / "precious", "--yes")[0] == 2
    assert (tmp_path / "a").exists()
    assert (tmp_path / "precious" / "file").exists()
    with RunDirectory(tmp_path / "a").lock():
        assert call("runs", "rm", tmp_path / "a", "--yes")[0] == 2
    assert CliRunner().invoke(app, ["runs", "rm", str(tmp_path / "a")], input="n\n").exit_code == 0
    assert (tmp_path / "a").exists()
    assert call("runs", "rm", tmp_path / "a", "--yes")[0] == 0
    assert not (tmp_path / "a").exists()


def test_a_compacted_run_is_the_same_run(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    before, scores = pq.read_table(tmp_path / "run" / "trace"), run.scores
    assert call("runs", "compact", tmp_path / "run")[0] == 0
    opened = tl.open_run(tmp_path / "run")
    assert len(opened.directory.shards()) == 1
    assert not (tmp_path / "run" / "trace").exists()
    assert opened.trace().table.select(before.column_names).equals(before)
    assert opened.score(["sequence_nll", "semantic_entropy"]).equals(scores)

    class Asked(LawModel):
        def generate(self, requests: object, settings: object) -> None:  # type: ignore[override]
            raise AssertionError("a finished run must not be asked again")

    tl.measure(Asked(), make_task(300), ["sequence_nll", "semantic_entropy"], samples=3, out=tmp_path / "run")
    assert compact(RunDirectory(tmp_path / "run")) == (1, 1)


def test_a_compaction_that_dies_leaves_the_trace_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = measured(tmp_path / "run")
    before = run.trace().table
    shutil.copytree(tmp_path / "run", tmp_path / "unfinished")
    original = compaction._merge

    def dies(*arguments: object) -> int:
        original(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(compaction, "_merge", dies)
    with pytest.raises(KeyboardInterrupt):
        compact(RunDirectory(tmp_path / "run"))
    assert tl.open_run(tmp_path / "run").trace().table.equals(before)
    monkeypatch.setattr(compaction, "_merge", original)
    assert compact(RunDirectory(tmp_path / "run"), file_rows=600) == (3, 2)
    assert tl.open_run(tmp_path / "run").trace().table.equals(before)
    manifest = json.loads((tmp_path / "unfinished" / "run.json").read_text())
    (tmp_path / "unfinished" / "run.json").write_text(json.dumps({**manifest, "status": "running"}))
    with pytest.raises(InputError, match="not finished"):
        compact(RunDirectory(tmp_path / "unfinished"))
