"""The run directory: atomic writes, locks, damage, full disks."""

from __future__ import annotations

import errno
import subprocess
import sys

import pyarrow as pa
import pytest

from trueline.errors import InputError, RunLocked, SettingsMismatch, StorageError
from trueline.traces import RunDirectory
from trueline.traces.rundir import check_same, differences


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.prepare()
    return directory


def test_json_and_tables_come_back(run):
    run.write_json("a.json", {"x": [1, None]})
    run.write_table("t.parquet", pa.table({"a": [1, 2]}))
    assert run.read_json("a.json") == {"x": [1, None]}
    assert run.read_table("t.parquet")["a"].to_pylist() == [1, 2]
    assert run.read_json("none.json") is None


def test_nan_never_reaches_json(run):
    with pytest.raises(ValueError, match="JSON compliant"):
        run.write_json("a.json", {"x": float("nan")})
    assert not (run.path / "a.json").exists()


def test_half_written_files_are_cleared(run):
    (run.path / ".tmp-1-run.json").write_text("{")
    (run.trace_dir / ".tmp-1-000000.parquet").write_text("half")
    run.prepare()
    assert [p.name for p in run.path.rglob("*") if p.is_file()] == []
    assert run.shards() == []


def test_truncated_shard_is_named(run):
    run.write_table("trace/000000.parquet", pa.table({"a": list(range(1000))}))
    path = run.shard_path(0)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"000000\.parquet is damaged"):
        run.read_shard(path)


def test_not_a_run(tmp_path, run):
    with pytest.raises(InputError, match="no run directory"):
        RunDirectory.open(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"has no run\.json"):
        RunDirectory.open(run.path)
    run.write_json("run.json", {"format": 99})
    with pytest.raises(InputError, match="format 99"):
        RunDirectory.open(run.path)
    (run.path / "run.json").write_text("{broken")
    with pytest.raises(InputError, match="not valid JSON"):
        RunDirectory.open(run.path)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        RunDirectory(tmp_path).prepare()
    file = tmp_path / "thesis.tex"
    with pytest.raises(InputError, match="is a file"):
        RunDirectory(file).prepare()


def test_two_writers(run):
    code = (
        "import sys\nfrom trueline.traces import RunDirectory\nfrom trueline.errors import RunLocked\n"
        "try:\n    with RunDirectory(sys.argv[1]).lock(): print('got it')\nexcept RunLocked as e: print('locked')\n"
    )
    with run.lock():
        out = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "locked"
        with pytest.raises(RunLocked, match="another process"), run.lock():
            pass
    out = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "got it"


def test_full_disk_keeps_what_was_there(run, monkeypatch):
    run.write_json("a.json", 1)

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("trueline.traces.rundir.os.fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        run.write_json("a.json", 2)
    monkeypatch.undo()
    assert run.read_json("a.json") == 1
    assert list(run.path.glob(".tmp-*")) == []


def test_really_full_device():
    import os
    from pathlib import Path

    if not os.access("/dev/full", os.W_OK):
        pytest.fail("this platform has no /dev/full: run the test on Linux")
    run = RunDirectory("/dev")
    with pytest.raises(StorageError, match="disk is full"):
        run.files.write("never", lambda _path: Path("/dev/full").write_bytes(b"x" * 100_000))


def test_lone_surrogates_do_not_stop_a_write(run):
    run.write_text("report.html", "a\ud800b")
    assert (run.path / "report.html").read_text() == "a?b"


def test_differences_name_what_differs(tmp_path):
    old = {"settings": {"samples": 10, "seed": 0}, "model": "a"}
    new = {"settings": {"samples": 5, "seed": 0}, "model": "a", "extra": True}
    assert differences(old, new) == ["settings.samples: 10 in the run, 5 asked now", "extra: null in the run, true asked now"]
    with pytest.raises(SettingsMismatch, match=r"settings\.samples: 10 in the run, 5 asked now"):
        check_same(old, new, tmp_path)
    check_same(old, dict(old), tmp_path)
