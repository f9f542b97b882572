"""Two nodes of a cluster, a run in a bucket, and the death of a node: the content is the local engine's, to the byte."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from object_store import serve_bucket

import trueline as tl
from trueline.capture.cluster import ClusterModel, RayEngine, fetch, import_ray
from trueline.capturing import capture_run
from trueline.items import choose
from trueline.tasks.loading import load_task

NAMES = ["sequence_nll", "semantic_entropy"]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and a second node on this machine, one CPU each; this process is connected to the head."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # Ray's own switch for a cluster on the loopback
    ray = import_ray()
    from ray.cluster_utils import Cluster

    config = {"include_dashboard": False, "_system_config": {"worker_niceness": 0}}
    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1, **config})
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield from serve_bucket(monkeypatch)


def place_of(worker: Any) -> tuple[str, int]:
    """Node and process of a worker."""
    found: tuple[str, int] = fetch(
        worker.__ray_call__.remote(lambda _: (__import__("ray").get_runtime_context().get_node_id(), __import__("os").getpid()))
    )
    return found


@pytest.mark.slow
def test_a_node_killed_in_the_middle_costs_nothing_but_time(nodes: Any, bucket: str, tmp_path: Path) -> None:
    task = choose(load_task("world:facts"), 540)  # five shards
    made = tl.plan("world:chat", task, NAMES, samples=3)
    capture_run(tl.load_model("world:chat"), task, made, out=tmp_path / "local")
    model = ClusterModel("world:chat", {}, RayEngine(workers=2))
    pids = dict(place_of(worker) for worker in model.workers())
    assert set(pids) == {node.node_id for node in nodes.list_all_nodes()}  # a worker on each
    (second,) = nodes.worker_nodes
    left: list[int] = []

    def kill(step: str, done: int, total: int) -> None:
        left.append(total - done)
        if len(left) == 1:  # both workers have a shard in hand, and for the dead one there is no room to start again
            os.kill(pids[second.node_id], signal.SIGKILL)
            nodes.remove_node(second, allow_graceful=False)

    try:
        run = capture_run(model, task, made, out=f"{bucket}/runs/facts", progress=kill)
    finally:
        model.close()
    assert left[0] > 250
    assert left[-1] == 0
    files, root = fsspec.url_to_fs(f"{bucket}/runs/facts/trace")
    there = {Path(name).name: files.cat_file(name) for name in files.find(root)}
    assert there == {path.name: path.read_bytes() for path in sorted((tmp_path / "local" / "trace").glob("*.parquet"))}
    assert run.manifest["status"] == "complete"
    local = tl.open_run(tmp_path / "local")
    assert run.manifest["identity"] == local.manifest["identity"]
    run.score(NAMES)
    local.score(NAMES)
    assert run.scores.equals(local.scores)
