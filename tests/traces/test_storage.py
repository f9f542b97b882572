"""Runs at a URL: the same content as in a folder, whole files only, and one clear line where something cannot be had."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from lawmodel import LawModel, make_task
from object_store import serve_bucket
from typer.testing import CliRunner

import trueline as tl
from trueline.cli.app import app
from trueline.errors import InputError, MissingExtra, RunLocked, StorageError
from trueline.traces.compaction import compact
from trueline.traces.rundir import RunDirectory
from trueline.traces.storage import Folder, Remote, storage_of

ESTIMATORS = ["sequence_nll", "semantic_entropy"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def measured(out: str | Path) -> tl.Run:
    return tl.measure(LawModel(), make_task(200), ESTIMATORS, samples=4, out=out, validate=False)


def content(directory: RunDirectory) -> dict[str, Any]:
    names = [f"trace/{path.name}" for path in directory.shards()] + ["items.parquet", "scores.parquet", "grades.parquet"]
    return {name: directory.read_table(name).to_pylist() for name in names}


def check_at(url: str, tmp_path: Path) -> None:
    """Measured, taken up, scored and reported at a URL as in a folder."""
    local = measured(tmp_path / "local")
    run = measured(url)
    assert run.directory.where == url
    assert content(run.directory) == content(local.directory)
    files, root = fsspec.url_to_fs(url)
    files.rm(f"{root}/trace/000001.parquet")
    unfinished = run.manifest
    unfinished["status"] = "running"
    run.directory.write_manifest(unfinished)
    asked = LawModel()
    again = tl.measure(asked, make_task(200), ESTIMATORS, samples=4, out=url, validate=False)
    assert sum(asked.generate_calls) == 72  # the items of the shard that was gone, and no others
    assert content(again.directory) == content(local.directory)
    opened = tl.open_run(url)
    assert opened.scores.equals(local.scores)
    assert opened.trace().table.equals(local.trace().table)
    assert url in repr(opened)
    runner = CliRunner()
    for command in (
        ["score", url, "--estimators", "mean_nll"],
        ["validate", url, "--n-boot", "20"],
        ["report", url, "--out", str(tmp_path / "report.html")],
    ):
        result = runner.invoke(app, command)
        assert result.exit_code == 0, result.output
    assert "mean_nll" in opened.scores.columns
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert not [name for name in files.find(root) if ".tmp-" in name]
    assert not any(file.suffix == ".parquet" for file in opened.path.rglob("*"))  # nothing of the run is left on this machine


def test_a_run_in_memory(tmp_path: Path) -> None:
    check_at("memory://runs/facts", tmp_path)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    yield from serve_bucket(monkeypatch)


def test_a_run_on_s3(bucket: str, tmp_path: Path) -> None:
    check_at(f"{bucket}/runs/facts", tmp_path)
    files, root = fsspec.url_to_fs(bucket)
    held = b"".join(files.cat_file(name) for name in files.find(root)) + b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )
    assert b"planted-secret" not in held
    with pytest.raises(InputError, match="no run directory at s3://no-such-bucket-here/run"):
        tl.open_run("s3://no-such-bucket-here/run")
    with pytest.raises(StorageError, match=r"cannot write s3://no-such-bucket-here/run/items\.parquet"):
        measured("s3://no-such-bucket-here/run")


class Torn(MemoryFileSystem):
    """A file system whose files appear piece by piece, and whose connection breaks in the middle."""

    protocol = "torn"
    store: ClassVar[dict[str, Any]] = {}
    breaks = True

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        whole = Path(lpath).read_bytes()
        self.pipe_file(rpath, whole[: len(whole) // 2] if self.breaks else whole)
        if self.breaks:
            raise OSError("connection lost")


def test_a_file_that_arrives_in_pieces_is_not_there_until_it_is_whole() -> None:
    fsspec.register_implementation("torn", Torn, clobber=True)
    run = RunDirectory("torn://run")
    run.prepare()
    with pytest.raises(StorageError, match=r"cannot write torn://run/run.json: connection lost; all that was finished before is kept"):
        run.write_manifest({"status": "running"})
    assert run.read_json("run.json") is None
    Torn.breaks = False
    run.write_manifest({"status": "running"})
    assert run.manifest()["status"] == "running"
    assert not [path for path in run.path.iterdir() if path.name.startswith(".tmp-")]


def test_a_damaged_file_is_named() -> None:
    run = measured("memory://damaged")
    files, root = fsspec.url_to_fs("memory://damaged")
    files.pipe_file(f"{root}/trace/000000.parquet", b"PAR1 and no more")
    with pytest.raises(InputError, match=r"memory://damaged/trace/000000.parquet is damaged .*delete this file"):
        run.trace()
    with pytest.raises(InputError, match=r"memory://damaged/none.parquet does not exist"):
        run.directory.read_table("none.parquet")


def test_one_writer_on_a_machine_and_no_foreign_files(tmp_path: Path) -> None:
    run = RunDirectory("memory://shared")
    with run.lock(), pytest.raises(RunLocked, match="memory://shared"), RunDirectory("memory://shared").lock():
        pass
    fsspec.filesystem("memory").pipe_file("/other/letter.txt", b"x")
    with pytest.raises(InputError, match=r"memory://other holds other files \(letter.txt"):
        measured("memory://other")
    with pytest.raises(InputError, match="no run directory at memory://nowhere"):
        tl.open_run("memory://nowhere")


def test_what_stays_on_this_machine_belongs_to_one_run() -> None:
    run = RunDirectory("memory://again")
    run.prepare()
    run.write_manifest({"status": "running", "created": "yesterday"})
    (run.path / "journal").mkdir()
    (run.path / "journal" / "000000.jsonl").write_text("paid for\n")
    RunDirectory("memory://again").prepare()
    assert (run.path / "journal" / "000000.jsonl").exists()
    Remote("memory://again").write("run.json", lambda path: path.write_text('{"format": 1, "created": "today"}'))  # from elsewhere
    RunDirectory("memory://again").prepare()
    assert not (run.path / "journal").exists()


def test_what_needs_a_folder_says_so(tmp_path: Path) -> None:
    run = measured("memory://kept")
    with pytest.raises(InputError, match="say where on this machine the report goes"):
        run.report()
    with pytest.raises(InputError, match="compact it in a folder of this machine"):
        compact(run.directory)
    (tmp_path / "made.jsonl").write_text('{"question": "Where?", "samples": ["here"]}\n')
    result = CliRunner().invoke(app, ["import", str(tmp_path / "made.jsonl"), "--out", "memory://imported"])
    assert result.exit_code == 2
    assert "make it in a folder of this machine" in result.output


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = storage_of((tmp_path / "with space").as_uri())
    assert isinstance(folder, Folder)
    assert folder.folder == tmp_path / "with space"
    assert isinstance(storage_of("memory://run"), Remote)
    assert isinstance(storage_of("C:/run"), Folder)
    assert storage_of("memory://run").folder != storage_of("memory://other/run").folder
    with pytest.raises(InputError, match=r"nosuch://run cannot be opened"):
        storage_of("nosuch://run")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)  # as if nobody had asked for it yet
    with pytest.raises(MissingExtra, match=r"pip install 'trueline\[s3\]'$"):
        storage_of("s3://bucket/run")


def test_a_folder_by_its_url_is_the_folder(tmp_path: Path) -> None:
    measured((tmp_path / "run").as_uri())
    assert pq.read_table(tmp_path / "run" / "scores.parquet").num_rows == 200
    assert sorted(os.listdir(tmp_path / "run" / "trace")) == ["000000.parquet", "000001.parquet"]
    assert not (tmp_path / "cache").exists()
