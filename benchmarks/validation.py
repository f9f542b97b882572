"""Validation: every default metric with intervals for many estimators, and what a very long run costs.

    python benchmarks/validation.py [--items 10000] [--estimators 40] [--long 1000000]

First a table and a run of ``--items`` answers with ``--estimators`` scores each, as `trueline validate` reads them; then a run of
``--long`` imported answers with two scores: `validate` and `report`. One JSON line a figure: CPU seconds and peak memory of a fresh
process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

TABLE = "import sys; from trueline.scoretable import validate_table; validate_table(sys.argv[1], sys.argv[2].split(','), 'correct')"
VALIDATE = "import sys, trueline as tl; tl.open_run(sys.argv[1]).validate()"
REPORT = "import sys, trueline as tl; tl.open_run(sys.argv[1]).report()"
IMPORT = "import sys, trueline as tl; tl.import_generations(sys.argv[1], sys.argv[2])"


def world(items: int, estimators: int) -> tuple[Any, dict[str, Any]]:
    """Correctness and uncertainties, continuous, of rising quality."""
    rng = np.random.default_rng(0)
    correct = rng.random(items) < 0.7
    return correct, {f"score_{k:02d}": rng.normal(size=items) - correct * 2 * k / estimators for k in range(estimators)}


def write_table(path: Path, items: int, estimators: int) -> list[str]:
    """A Parquet table of scores and correctness; returns the names of the scores."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    correct, scores = world(items, estimators)
    pq.write_table(pa.table({"correct": correct, **scores}), path)
    return list(scores)


def make_run(path: Path, items: int, estimators: int) -> None:
    """A run of imported answers, one an item, graded on import, with `estimators` scores of continuous values."""
    import pyarrow as pa

    from trueline.traces.rundir import RunDirectory

    correct, scores = world(items, estimators)
    source = path.with_suffix(".jsonl")
    with source.open("w", encoding="utf-8") as handle:
        for k, right in enumerate(correct.tolist()):
            answer = "alder " * (1 + k % 17) + ("birch" if right else "cedar")
            record = {"item_id": f"q{k}", "question": f"Which tree stands at place {k}?", "reference": "alder " * (1 + k % 17) + "birch"}
            handle.write(json.dumps(record | {"kind": "greedy", "text": answer, "token_logprobs": [-0.1] * (2 + k % 17)}) + "\n")
    cost("import", IMPORT, str(source), str(path))
    ids = pa.array([f"q{k}" for k in range(items)])
    RunDirectory(path).write_table("scores.parquet", pa.table({"item_id": ids, **scores}))


def cost(what: str, code: str, *arguments: str) -> None:
    """Print CPU seconds and peak resident memory of one fresh Python process."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{what} failed with status {status}")
    figures = {"cpu_s": round(usage.ru_utime + usage.ru_stime, 2), "peak_mb": round(usage.ru_maxrss / 1024)}
    print(json.dumps({"what": what} | figures), flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--estimators", type=int, default=40)
    parser.add_argument("--long", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, run, long = (Path(folder) / name for name in ("table.parquet", "run", "long"))
        names = write_table(table, given.items, given.estimators)
        cost(f"table, {given.estimators} scores x {given.items}", TABLE, str(table), ",".join(names))
        make_run(run, given.items, given.estimators)
        cost(f"run, {given.estimators} estimators x {given.items}", VALIDATE, str(run))
        if given.long:
            make_run(long, given.long, 2)
            cost(f"validate a run of {given.long}", VALIDATE, str(long))
            cost(f"report of a run of {given.long}", REPORT, str(long))
            size = (long / "report.html").stat().st_size
            print(json.dumps({"what": "size of the report", "mb": round(size / 1e6, 2)}), flush=True)


if __name__ == "__main__":
    main()
