"""A large run from a server that answers at once, as a user makes it: memory of every step. Prints one JSON line.

    python benchmarks/large_run.py [--items 100000] [--flat-only]

Each step is a `trueline` command in a process of its own; the server is a stub. Memory is resident memory, read four times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from server_runs import questions
from stub_server import serve

PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20
SHARD = 128


def watch(arguments: list[str], trace: Path | None = None) -> dict[str, Any]:
    """Run a command; its seconds, peak memory in MB, and (shards, MB) pairs over time."""
    start, seen = time.perf_counter(), []
    process = subprocess.Popen([sys.executable, "-m", "trueline", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        try:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            break
        shards = len(os.listdir(trace)) if trace is not None and trace.is_dir() else 0
        seen.append((shards, pages * PAGE))
        time.sleep(0.25)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{arguments}: exit code {process.returncode}: {said[-500:]}")
    spent = os.times()
    return {
        "wall_s": round(time.perf_counter() - start, 1),
        "cpu_s_so_far": round(spent.children_user + spent.children_system, 1),
        "peak_mb": round(max(mb for _, mb in seen), 1),
        "seen": seen,
    }


def flat(seen: list[tuple[int, float]], items: int) -> dict[str, Any]:
    """Memory while the last 90 % of a capture's shards were written."""
    last = items // SHARD
    during = [(shards, mb) for shards, mb in seen if 0.1 * last <= shards < last]
    values = [mb for _, mb in during]
    middle = [mb for shards, mb in during if 0.45 * last <= shards <= 0.55 * last]
    return {
        "at_10_percent_mb": round(values[0], 1),
        "halfway_mb": round(middle[0], 1) if middle else None,
        "most_after_mb": round(max(values), 1),
        "growth": round(max(values) / values[0] - 1, 4),
    }


def first_question(command: list[str], url: Any, run: Path, items: int) -> float:
    """Seconds from the start of the process to the first answer after the probe, with the last 1 % of the shards gone."""
    shards = sorted((run / "trace").glob("*.parquet"))
    for path in shards[int(len(shards) * 0.99) :]:
        path.unlink()
    before, start = url.stats()["answered"], time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "trueline", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while url.stats()["answered"] <= before + 1 and process.poll() is None:
        time.sleep(0.02)
    waited = time.perf_counter() - start
    process.wait()
    return round(waited, 2)


def main() -> None:
    """Measure, resume, validate, report, compact, score again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--flat-only", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    run, found = folder / "run", {"items": arguments.items}
    try:
        with serve() as stub:
            command = ["measure", "openai:stub", questions(folder, arguments.items), "--base-url", stub.url, "--out", str(run)]
            command += ["--estimators", "sequence_nll", "--samples", "0", "-O", "concurrency=64", "--json"]
            steps: dict[str, list[str]] = {"measure": command}
            if not arguments.flat_only:
                steps |= {name: [name, str(run)] for name in ("validate", "report")} | {"compact": ["runs", "compact", str(run)]}
                steps |= {"score": ["score", str(run), "--estimators", "mean_nll"]}
            for name, step in steps.items():
                spent = watch(step, run / "trace" if name == "measure" else None)
                seen = spent.pop("seen")
                found[name] = spent | (flat(seen, arguments.items) if name == "measure" else {})
                print(name, found[name], file=sys.stderr, flush=True)
                if name == "measure" and not arguments.flat_only:
                    found["first_question_s"] = first_question(command, stub, run, arguments.items)
                    print("first question after", found["first_question_s"], "s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
