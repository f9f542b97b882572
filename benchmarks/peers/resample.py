"""Resampling with scikit-learn and netcal, as anyone would write it: CPU seconds of one replicate of AUROC and ECE.

Runs in the peer environment.

    python benchmarks/peers/resample.py ROWS REPLICATES
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from netcal.metrics import ECE
from sklearn.metrics import roc_auc_score


def main() -> None:
    """Print one JSON line."""
    n, replicates = int(sys.argv[1]), int(sys.argv[2])
    rng = np.random.default_rng(0)
    p = rng.beta(3, 2, n)
    y = (rng.random(n) < p**1.3).astype(np.int64)
    measure = ECE(15)
    measure.measure(p[:100], y[:100])
    start = time.process_time()
    for _ in range(replicates):
        rows = rng.integers(0, n, n)
        roc_auc_score(y[rows], p[rows])
        measure.measure(p[rows], y[rows])
    print(json.dumps({"cpu_s_a_replicate": (time.process_time() - start) / replicates}))


if __name__ == "__main__":
    main()
