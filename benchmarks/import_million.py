"""Import and score a million generations made elsewhere; prints one JSON line with rows a second and peak memory.

    python benchmarks/import_million.py [--rows 1000000] [--tokens 20]

The file is made first (not timed). Import and scoring run in a fresh process each, whose CPU seconds, wall seconds and peak resident
memory are taken from the operating system.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

GENERATIONS_PER_ITEM = 10
LIKELIHOOD_FAMILY = "sequence_nll,mean_nll,perplexity,max_token_nll,predictive_entropy,predictive_entropy_ln"

IMPORT = "import sys, trueline as tl; tl.import_generations(sys.argv[1], sys.argv[2])"
SCORE = "import sys, trueline as tl; tl.open_run(sys.argv[2]).score(sys.argv[3])"


def write_file(path: Path, rows: int, tokens: int) -> None:
    """One row a generation: each item has a greedy answer and nine samples; log-probs with six decimals, as an API gives them."""
    rng = np.random.default_rng(0)
    words = ["alder", "birch", "cedar", "maple", "rowan", "willow"]
    with path.open("w", encoding="utf-8") as handle:
        for start in range(0, rows, 10_000):
            n = min(10_000, rows - start)
            logprobs = np.round(-rng.exponential(0.3, size=(n, tokens)), 6).tolist()
            said = rng.integers(0, len(words), size=(n, 2)).tolist()
            lines = []
            for k in range(n):
                item, draw = divmod(start + k, GENERATIONS_PER_ITEM)
                record = {"item_id": f"q{item}", "question": f"Which tree stands at place {item}?", "reference": words[item % 6]}
                record |= {"kind": "greedy"} if draw == 0 else {"kind": "sample", "draw": draw - 1, "temperature": 1.0}
                record |= {"text": f"{words[said[k][0]]} {words[said[k][1]]}", "token_logprobs": logprobs[k]}
                lines.append(json.dumps(record))
            handle.write("\n".join(lines) + "\n")


def timed(code: str, *arguments: str) -> dict[str, float]:
    """Wall and CPU seconds and peak resident memory (MB) of one fresh Python process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"the timed process failed with status {status}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def main() -> None:
    """Run the benchmark and print its one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tokens", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, run = Path(folder) / "generations.jsonl", Path(folder) / "run"
        write_file(source, given.rows, given.tokens)
        imported = timed(IMPORT, str(source), str(run))
        scored = timed(SCORE, str(source), str(run), LIKELIHOOD_FAMILY)
        record = {
            "benchmark": "import_million",
            "rows": given.rows,
            "tokens": given.tokens,
            "file_mb": round(source.stat().st_size / 1e6),
            "import": {name: round(value, 2) for name, value in imported.items()},
            "score": {name: round(value, 2) for name, value in scored.items()},
            "imported_rows_per_s": round(given.rows / imported["wall_s"]),
            "scored_rows_per_s": round(given.rows / scored["wall_s"]),
            "rows_per_s": round(given.rows / (imported["wall_s"] + scored["wall_s"])),
            "rows_per_cpu_s": round(given.rows / (imported["cpu_s"] + scored["cpu_s"])),
            "peak_mb": round(max(imported["peak_mb"], scored["peak_mb"])),
        }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
