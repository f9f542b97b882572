"""Capture from a server that answers at once: what the client costs. Prints one JSON line.

    python benchmarks/servers.py [--items 20000] [--flat 100000] [--resume 100000]

The server is a stub in a process of its own. CPU seconds are those of the measuring process alone. ``--flat N`` watches the resident
memory over N items; ``--resume N`` times the first question of a run of N items of which 99 % are done.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from stub_server import serve

import trueline as tl
from trueline.capture.remote import capture_remote
from trueline.tasks.item import Item, Task
from trueline.traces.rundir import RunDirectory

ESTIMATORS = ["sequence_nll"]
IN_FLIGHT = 64


def task(n: int) -> Task:
    """``n`` short questions."""
    return Task(name="stub", items=tuple(Item(id=f"q{i}", question=f"Where was person number {i} born?") for i in range(n)))


def resident() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(n: int, folder: Path, url: str, on_progress: Any = None) -> dict[str, float]:
    """Capture ``n`` items; CPU and wall seconds of this process."""
    model, asked = tl.load_model("openai:stub", base_url=url, concurrency=IN_FLIGHT), task(n)
    plan = tl.plan(model, asked, ESTIMATORS)
    directory = RunDirectory(folder)
    directory.prepare()
    wall, cpu = time.perf_counter(), time.process_time()
    capture_remote(model, asked, plan, directory, progress=on_progress)
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def overhead(n: int, folder: Path) -> dict[str, float]:
    """Milliseconds of CPU a request, and requests a second of one core."""
    with serve() as stub:
        run(min(n, 500), folder / "warm", stub.url)
        spent = run(n, folder / "overhead", stub.url)
    return {"requests": n, "cpu_ms_a_request": 1e3 * spent["cpu_s"] / n, "requests_a_cpu_second": n / spent["cpu_s"], **spent}


def flat(n: int, folder: Path) -> dict[str, float]:
    """Resident memory at 10 % and the most after it, MB."""
    seen: list[float] = []
    with serve() as stub:
        run(n, folder / "flat", stub.url, lambda done, total, **_: seen.append(resident()) if done % 1000 == 0 else None)
    early = seen[len(seen) // 10 :]
    return {"items": n, "at_10_percent_mb": early[0], "most_after_mb": max(early), "growth": max(early) / early[0] - 1}


def resume(n: int, folder: Path) -> dict[str, float]:
    """Seconds from the call to the first question, with all but the last 1 % of the shards there."""
    path = folder / "resume"
    with serve() as stub:
        run(128, path, stub.url)
        shard = (path / "trace" / "000000.parquet").read_bytes()
        for index in range(1, int(n * 0.99) // 128):
            (path / "trace" / f"{index:06d}.parquet").write_bytes(shard)
        model, asked = tl.load_model("openai:stub", base_url=stub.url), task(n)
        plan = tl.plan(model, asked, ESTIMATORS)
        before, start, waited = stub.stats()["answered"], time.perf_counter(), [float("nan")]

        def watch() -> None:
            while stub.stats()["answered"] == before:
                time.sleep(0.01)
            waited[0] = time.perf_counter() - start

        watcher = threading.Thread(target=watch)
        watcher.start()
        capture_remote(model, asked, plan, RunDirectory(path))
        watcher.join()
    return {"items": n, "first_question_s": waited[0]}


def main() -> None:
    """Run the three parts and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--flat", type=int, default=100_000)
    parser.add_argument("--resume", type=int, default=100_000)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        found = {
            "overhead": overhead(arguments.items, folder),
            "flat": flat(arguments.flat, folder) if arguments.flat else None,
            "resume": resume(arguments.resume, folder) if arguments.resume else None,
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
