"""Cost of intervals: the shared weighted bootstrap against resampling with scikit-learn.

    python benchmarks/intervals.py [--rows 100000] [--replicates 1000]

Prints one JSON line a figure: CPU seconds and peak memory of this process.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

import numpy as np

from trueline.metrics import CI, evaluate
from trueline.metrics.ranking import AUROC
from trueline.stats import sorted_sample
from trueline.stats.engine import replicate

EIGHT = ["accuracy", "auroc", "auprc", "aurc", "augrc", "ece", "brier", "nll"]


def data(rows: int, digits: int) -> tuple[Any, Any]:
    """Probabilities, rounded to `digits`, and labels that they over-state."""
    rng = np.random.default_rng(0)
    p = rng.beta(3, 2, rows).round(digits)
    return p, (rng.random(rows) < p**1.3).astype(np.int64)


def cpu(work: Any) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--replicates", type=int, default=1000)
    args = parser.parse_args()
    ci = CI("bca", n_boot=args.replicates)

    def show(what: str, **figures: Any) -> None:
        print(json.dumps({"rows": args.rows, "what": what} | figures), flush=True)

    for digits in (15, 4):
        p, y = data(args.rows, digits)
        kind = "continuous" if digits == 15 else "4 digits"
        show(f"auroc + ece, {kind}", cpu_s=round(cpu(lambda p=p, y=y: evaluate(p, y, ["auroc", "ece"], ci=ci)), 2))
        seconds = cpu(lambda p=p, y=y: evaluate(p, y, EIGHT, ci=ci))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        show(f"{len(EIGHT)} metrics, {kind}", cpu_s=round(seconds, 2), peak_mb=round(peak))

    p, y = data(args.rows, 15)
    sample = sorted_sample(p, y)
    own = cpu(lambda: replicate(sample, [AUROC], CI("bca", n_boot=50))) / 50
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)

    def resample() -> None:
        for _ in range(10):
            rows = rng.integers(0, len(p), len(p))
            roc_auc_score(y[rows], p[rows])

    theirs = cpu(resample) / 10
    show("one auroc replicate", own_ms=round(1e3 * own, 2), scikit_learn_ms=round(1e3 * theirs, 2), ratio=round(theirs / own, 1))


if __name__ == "__main__":
    main()
