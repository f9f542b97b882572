"""kill -9 at any moment: the same command goes on and ends with the same content."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from lawmodel import LawModel, make_task

import trueline as tl
from trueline.traces.schema import SCHEMA

SUPPORT = Path(__file__).parent.parent / "support"

SCRIPT = """
import sys, time
sys.path.insert(0, {support!r})
import trueline.capturing as c
import trueline.measuring as m
from lawmodel import LawModel, make_task
c.SHARD_ITEMS = 4
import trueline.capture.engine as engine

class Slow(LawModel):
    def generate(self, requests, settings):
        time.sleep(0.02)
        return super().generate(requests, settings)

original = engine.capture
def small(*args, **kwargs):
    return original(*args, shard_items=4, **kwargs)
c.capture = small
print("begin", flush=True)
m.measure(Slow(), make_task(80), ["sequence_nll", "semantic_entropy"], samples=4, out=sys.argv[1])
print("end", flush=True)
"""


def content(path: Path) -> dict[str, object]:
    """All content of a run but its times."""
    found: dict[str, object] = {p.name: pq.read_table(p).to_pylist() for p in sorted((path / "trace").glob("*.parquet"))}
    for name in ("items", "scores", "grades"):
        found[name] = pq.read_table(path / f"{name}.parquet").to_pylist()
    found["metrics"] = (path / "metrics.json").read_text()
    return found


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(support=str(SUPPORT)), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    process = start(path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return path


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments(tmp_path, undisturbed, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "run"
    kills = 0
    for _ in range(30):
        process = start(path)
        assert process.stdout is not None
        process.stdout.readline()  # imports are over
        time.sleep(float(rng.uniform(0.0, 0.5)))
        if process.poll() is None and kills < 4:
            process.send_signal(signal.SIGKILL)
            kills += 1
            process.communicate()
            continue
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        break
    assert kills >= 1
    assert content(path) == content(undisturbed)
    assert list(path.rglob(".tmp-*")) == []


def test_a_shard_lost_on_disk_is_captured_again(tmp_path):
    run = tl.measure(LawModel(), make_task(), ["sequence_nll"], out=tmp_path / "run")
    before = content(run.path)
    (run.path / "trace" / "000000.parquet").unlink()
    again = tl.measure(LawModel(), make_task(), ["sequence_nll"], out=run.path)
    assert content(again.path) == before


def test_a_run_of_an_older_version_goes_on_and_is_scored(tmp_path):
    """Its trace and manifest lack what only a white box shows."""
    task = make_task(200)
    whole = tl.measure(LawModel(), task, ["sequence_nll"], samples=0, out=tmp_path / "run")
    expected = whole.scores
    shards = whole.directory.shards()
    new = [name for name in SCHEMA.names if name.startswith(("hidden", "attn", "csl", "prior", "n_layers"))]
    pq.write_table(pq.read_table(shards[0]).drop_columns(new), shards[0])
    shards[1].unlink()
    manifest = whole.manifest
    del manifest["captured"]["hidden_depths"]
    manifest["status"] = "running"
    whole.directory.write_manifest(manifest)
    again = tl.measure(LawModel(), task, ["sequence_nll"], samples=0, out=tmp_path / "run")
    assert again.scores.equals(expected)
    assert len(again.trace().greedy) == 200
