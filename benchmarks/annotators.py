"""Cost of aggregating annotators: inverse rank normalisation of real cases, against a plain loop over cases and a dense array.

    python benchmarks/annotators.py [--annotations FILE.jsonl] [--classes 419]

Prints one JSON line a figure: the best wall-clock seconds of several repetitions, all in this process; for the Plackett-Luce sampler, CPU
seconds of one run of all cases in batches, and a case at a time on the first 30, scaled up.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trueline.metrics.annotators import DirichletIRN, PartialRankings, PlackettLuce, irn, leave_one_reader_out_agreement

DATA = Path(__file__).parents[1] / "tests" / "golden" / "data" / "uncertain-ground-truth" / "annotations.jsonl"


def loop(annotations: Any, num_classes: int) -> Any:
    """The definition, case by case: readers, groups, classes."""
    rows = []
    for case in annotations:
        row = np.zeros(num_classes)
        for reader in case:
            for place, group in enumerate(reader, start=1):
                for label in group:
                    row[label] += 1.0 / place
        rows.append(row / row.sum())
    return np.array(rows)


def dense_loop(annotations: Any, num_classes: int) -> Any:
    """As published code lays it out: a (reader, class) array a case, one row a reader."""
    rows = []
    for case in annotations:
        weight = np.zeros((len(case), num_classes))
        for r, reader in enumerate(case):
            for place, group in enumerate(reader, start=1):
                weight[r] += np.isin(np.arange(num_classes), group) / place
        total = weight.sum(axis=0)
        rows.append(total / total.sum())
    return np.array(rows)


def best(work: Callable[[], Any], repetitions: int) -> float:
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, default=DATA)
    parser.add_argument("--classes", type=int, default=419)
    args = parser.parse_args()
    annotations = [json.loads(line)["annotations"] for line in args.annotations.read_text(encoding="utf-8").splitlines()]
    rankings = PartialRankings.from_lists(annotations, args.classes)
    own = irn(rankings)

    def show(what: str, **figures: Any) -> None:
        print(json.dumps({"cases": rankings.n_cases, "classes": args.classes, "what": what} | figures), flush=True)

    aggregate = best(lambda: irn(rankings), 10)
    whole = best(lambda: irn(PartialRankings.from_lists(annotations, args.classes)), 10)
    show("irn", s=round(aggregate, 4), with_reading_the_lists_s=round(whole, 4))
    for name, other in (("plain loop over cases", loop), ("loop with a dense array a case", dense_loop)):
        gap = float(np.abs(other(annotations, args.classes) - own).max())
        seconds = best(lambda other=other: other(annotations, args.classes), 3)
        show(
            name, s=round(seconds, 4), ratio=round(seconds / whole, 1), ratio_without_reading=round(seconds / aggregate, 1), largest_gap=gap
        )
    show("exact certainties, reliability 10", s=round(best(lambda: DirichletIRN(10).certainty(rankings), 3), 3))
    show("leave-one-reader-out agreement", s=round(best(lambda: leave_one_reader_out_agreement(rankings), 3), 3))

    cpu, largest = time.process_time(), 0.0
    for posterior in PlackettLuce().iterate(rankings, seed=0):
        posterior.mean(), posterior.certainty()
        largest = max(largest, posterior.r_hat)
    batched = time.process_time() - cpu
    some = min(30, rankings.n_cases)
    cpu = time.process_time()
    for i in range(some):
        (posterior,) = PlackettLuce().sample(rankings.cases(np.arange(rankings.n_cases) == i), seed=i)
        posterior.mean(), posterior.certainty()
    alone = (time.process_time() - cpu) * rankings.n_cases / some
    show(
        "Plackett-Luce, 20 chains of 200 + 1000",
        cpu_s=round(batched, 1),
        a_case_at_a_time_cpu_s=round(alone, 1),
        largest_r_hat=round(largest, 4),
    )


if __name__ == "__main__":
    main()
