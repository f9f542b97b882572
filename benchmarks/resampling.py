"""1,000 replicates of AUROC and ECE against resampling with scikit-learn and netcal.

    python benchmarks/resampling.py [--peer-python PATH/bin/python] [--rows 100000] [--replicates 1000]

The peer has its own environment, made under benchmarks/.cache when none is named. It runs 20 replicates, whose cost is multiplied; trueline
runs all of them. `drawn_on_rows` is trueline without cells. One JSON line of CPU seconds, one thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from trueline.metrics import CI
from trueline.metrics.ece import ECE
from trueline.metrics.ranking import AUROC
from trueline.stats import estimates, sorted_sample

HERE = Path(__file__).parent
PEERS = ("netcal==1.4.0", "scikit-learn", "torch", "mapie==1.6.0", "relplot", "statsmodels")
SAMPLE = 20


def peer_environment() -> Path:
    """The interpreter of an environment with the peers in it; installed once."""
    folder = HERE / ".cache" / "calibration"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(HERE.parent / "constraints.txt")]
        subprocess.run([*pip, *PEERS], check=True)
        (folder / "installed").touch()
    return python


def own_seconds(rows: int, replicates: int, *, cells: bool) -> float:
    """CPU seconds of trueline, with sorting and the interval."""
    rng = np.random.default_rng(0)
    p = rng.beta(3, 2, rows)
    y = (rng.random(rows) < p**1.3).astype(np.int64)
    metrics = [m if cells else replace(m, cells=None) for m in (AUROC, ECE)]
    start = time.process_time()
    estimates(sorted_sample(p, y), metrics, CI("bca", n_boot=replicates))
    return time.process_time() - start


def main() -> None:
    """Run both and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--replicates", type=int, default=1000)
    given = parser.parse_args()
    peer = str(given.peer_python or peer_environment())
    command = [peer, str(HERE / "peers" / "resample.py"), str(given.rows), str(SAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    if done.returncode:
        raise SystemExit(f"the peer failed:\n{done.stderr[-2000:]}")
    theirs = json.loads(done.stdout.strip().splitlines()[-1])["cpu_s_a_replicate"] * given.replicates
    own_seconds(1000, 50, cells=True)  # late imports
    own, rows = (own_seconds(given.rows, given.replicates, cells=cells) for cells in (True, False))
    figures = {"rows": given.rows, "trueline_s": round(own, 2), "drawn_on_rows_s": round(rows, 2), "peer_s": round(theirs, 1)}
    print(json.dumps(figures | {"ratio": round(theirs / own, 1), "ratio_on_rows": round(theirs / rows, 1)}))


if __name__ == "__main__":
    main()
