"""trueline against LM-Polygraph 0.7: nine estimators, 200 prompts x (1 greedy + 10 samples) of at most 20 tokens, same model and judge.

    python benchmarks/polygraph.py [--peer-python PATH/bin/python] [--batch-size 8 32] [--repeats 3]

The peer has its own environment, made under benchmarks/.cache when none is named, with the torch of constraints.txt on both sides.
Runs alternate; the figures are medians of CPU seconds of the run alone (imports and loading left out on both sides), one thread each.
trueline's time includes 1,000-replicate intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PEER = "lm-polygraph==0.7.0"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def run(python: str, script: str, *arguments: str) -> dict[str, Any]:
    """The last line of a script's output as JSON."""
    done = subprocess.run([python, str(HERE / "peers" / script), *arguments], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def peer_environment() -> Path:
    """The interpreter of an environment with the peer in it: the one TRUELINE_PEER_PYTHON names, or one that is installed once."""
    if named := os.environ.get("TRUELINE_PEER_PYTHON"):
        return Path(named)
    folder = HERE / ".cache" / "peer"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pinned = (HERE.parent / "constraints.txt").read_text(encoding="utf-8").splitlines()
        torch = next(line for line in pinned if line.startswith("torch=="))  # the peer chooses everything else itself
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", torch, PEER], check=True)
        (folder / "installed").touch()
    return python


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--fixture", type=Path, default=HERE / ".cache" / "peers")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if not (args.fixture / "cross" / "config.json").exists():
        subprocess.run([sys.executable, str(HERE / "peers" / "fixture.py"), str(args.fixture)], env=ENVIRONMENT, check=True)
    peer = str(args.peer_python or peer_environment())
    for batch in args.batch_size:
        options = (str(args.fixture), "--batch-size", str(batch))
        pairs = [
            (run(sys.executable, "run_trueline.py", *options), run(peer, "run_lm_polygraph.py", *options)) for _ in range(args.repeats)
        ]
        row = {"batch": batch}
        for key in ("cpu_s", "wall_s", "peak_mb"):
            ours, theirs = (statistics.median(p[side][key] for p in pairs) for side in (0, 1))
            row |= {f"trueline_{key}": ours, f"lm_polygraph_{key}": theirs, f"ratio_{key}": round(ours / theirs, 3)}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
