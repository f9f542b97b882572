"""Every estimator of the catalog on one trace of the known world: what the capture costs, and what all the scores cost after it.

    python benchmarks/all_estimators.py [--items 500] [--samples 10]

world:chat answers questions of world:facts (trained estimators are fitted on other people's questions); the equivalence is the
oracle's. The scores are then computed again from the stored trace alone, in a fresh process. One JSON line a phase: CPU seconds, imports
within, and peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MOST_SECONDS, MOST_MB = 60, 1500
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def capture(folder: Path, items: int, samples: int) -> dict[str, Any]:
    """One run with every column that some estimator needs; the fitted names are left beside it."""
    import trueline as tl
    from trueline.capture.needs import BY_NAME
    from trueline.catalog import all_entries
    from trueline.estimators.loading import load_estimators
    from trueline.measuring import plan
    from trueline.standings import by_people

    loaded = load_estimators([entry.name for entry in all_entries() if entry.kind == "estimator"])
    trained = [name for name, estimator in loaded.items() if estimator.needs.unfitted]
    model, task = tl.load_model("world:chat"), tl.load_task("world:facts")
    fit = tl.measure(model, by_people(task, fit=True), trained, out=folder / "fit", samples=0, validate=False)
    others = by_people(task, fit=False)
    offered = plan(model, others, "all", samples=samples).left_out
    absent = {name for name in offered if name not in trained and not loaded[name].needs.probes & BY_NAME}
    absent |= {name for name, estimator in loaded.items() if "reasoning" in estimator.needs.greedy}
    names = [f"{name}(fit={fit.path})" if name in trained else name for name in loaded if name not in absent]
    tl.measure(model, others, names, out=folder / "run", samples=samples, limit=items, validate=False)
    (folder / "names.json").write_text(json.dumps(names))
    return {"estimators": len(names), "left_out": sorted(absent)}


def score(folder: Path) -> dict[str, Any]:
    """All scores from the stored trace."""
    import trueline as tl

    names = json.loads((folder / "names.json").read_text())
    frame = tl.open_run(folder / "run").score(names, equivalence="oracle", replace=True)
    return {"rows": len(frame), "columns": len(frame.columns) - 1}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--phase", choices=["capture", "score"])
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.phase:
        found = capture(args.folder, args.items, args.samples) if args.phase == "capture" else score(args.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"phase": args.phase, "cpu_s": round(time.process_time(), 1), "peak_mb": peak, **found}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        for phase in ("capture", "score"):
            command = [sys.executable, __file__, "--phase", phase, "--folder", temporary]
            command += ["--items", str(args.items), "--samples", str(args.samples)]
            done = subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True)
            result = json.loads(done.stdout.strip().splitlines()[-1])
            asked = {"cpu_s": MOST_SECONDS, "peak_mb": MOST_MB}
            print(json.dumps(result | {f"asked_{k}": v for k, v in asked.items() if phase == "score"}), flush=True)


if __name__ == "__main__":
    main()
