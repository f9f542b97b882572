"""The same battery in trueline, timed: capture, judging, scores, grades and metrics with intervals. Prints one JSON line."""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import trueline as tl
from trueline.estimators.similarity import CrossEncoder

#: Imported when first used; here before the clock starts, as the peer's imports are. pyarrow loads pandas where it is installed.
LAZY = (
    "polars",
    "pandas",
    "trueline.measuring",
    "trueline.scoring",
    "trueline.grading",
    "trueline.validation",
    "trueline.metrics.evaluate",
)

BATTERY = [
    "mean_nll",
    "mean_token_entropy",
    "sequence_nll",
    "semantic_entropy_mc",
    "lexical_similarity",
    "deg_nli",
    "eigv_nli",
    "p_true",
    "sar",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fixture", type=Path)
    parser.add_argument("--batch-size", type=int, default=8, help="prompts decoded together; each has 1 + 10 rows")
    args = parser.parse_args()
    model = tl.load_model(f"hf:{args.fixture / 'model'}")
    task = dataclasses.replace(tl.load_task(str(args.fixture / "items.jsonl")), template="Q: {question}\nA:")
    judge = tl.load_equivalence(f"nli(prefix_question=false):{args.fixture / 'nli'}")  # the peer shows its judge the bare answers
    comparer = CrossEncoder(str(args.fixture / "cross"))
    judge.judge([("a", "b")])  # loads it, as the peer does before its run
    comparer.compare([("a", "b")])
    for name in LAZY:
        if find_spec(name) is not None:
            import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        run = tl.measure(
            model,
            task,
            BATTERY,
            samples=10,
            max_new_tokens=20,
            equivalence=judge,
            similarity=comparer,
            out=Path(folder) / "run",
            batch_size=11 * args.batch_size,
        )
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        accuracy = run.metrics["headline"]["accuracy"]["value"] if run.metrics else None
    print(
        json.dumps(
            {
                "cpu_s": round(cpu, 2),
                "wall_s": round(wall, 2),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "accuracy": accuracy,
            }
        )
    )


if __name__ == "__main__":
    main()
