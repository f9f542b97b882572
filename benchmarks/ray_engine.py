"""Ray with two workers against one, on the shipped model of the known world; the two runs must be the same to the byte.

One worker is one process with one thread. Imports, cluster and loading are left out: the clock runs from the moment when all workers hold
their model. Asked: two workers at least 1.6 times as fast on two free cores. The load of the machine is printed, for it decides the wall
time; the CPU time of the busiest worker does not depend on it and tells what free cores would give.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import trueline as tl
from trueline.capture.cluster import ClusterModel, RayEngine, fetch
from trueline.capture.distributed import capture_cluster
from trueline.items import choose
from trueline.tasks.loading import load_task
from trueline.traces.rundir import RunDirectory


def used(worker: Any) -> float:
    """CPU seconds of a worker so far."""
    found: float = fetch(worker.__ray_call__.remote(lambda _: __import__("time").process_time()))
    return found


def once(workers: int, items: int, samples: int, path: Path) -> tuple[float, float]:
    """Wall seconds of one capture by so many workers, and CPU seconds of the busiest of them."""
    task = choose(load_task("world:facts"), items)
    plan = tl.plan("world:chat", task, ["sequence_nll", "semantic_entropy", "mean_token_entropy"], samples=samples)
    run = RunDirectory(path)
    run.prepare()
    model = ClusterModel("world:chat", {}, RayEngine(workers=workers))
    try:
        for worker in model.workers():
            fetch(worker.ready.remote())
        before = [used(worker) for worker in model.workers()]
        start = time.perf_counter()
        capture_cluster(model, task, plan, run)
        wall = time.perf_counter() - start
        return wall, max(used(worker) - cpu for worker, cpu in zip(model.workers(), before, strict=True))
    finally:
        model.close()


def main() -> None:
    """Alternate one and two workers; print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    busiest: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(arguments.repeats):
            for workers in seconds:
                path = Path(folder) / f"{workers}-{repeat}"
                load = os.getloadavg()[0]
                wall, cpu = once(workers, arguments.items, arguments.samples, path)
                seconds[workers].append(wall)
                busiest[workers].append(cpu)
                print(f"{workers} worker(s): {wall:.1f} s, busiest worker {cpu:.1f} CPU s, load average before {load:.1f}", flush=True)
        shards = [{p.name: p.read_bytes() for p in (Path(folder) / f"{workers}-0" / "trace").iterdir()} for workers in seconds]
    one, two = (statistics.median(times) for times in seconds.values())
    alone, shared = (statistics.median(times) for times in busiest.values())
    print(f"{len(shards[0])} shards; identical: {shards[0] == shards[1]}")
    print(f"median {one:.1f} s with 1 worker, {two:.1f} s with 2: {one / two:.2f} times as fast (asked: >= 1.6 on two free cores)")
    print(f"busiest worker {alone:.1f} CPU s against {shared:.1f}: {alone / shared:.2f} times")
    if shards[0] != shards[1]:
        raise SystemExit("the runs differ")


if __name__ == "__main__":
    main()
