"""`trueline demo`: the shipped model measured on the shipped world, with a report, in under a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.progress import progress
from trueline.cli.terminal import EXIT_FAILED_ITEMS, Json, out, plain, print_json, print_metrics

MODEL = "world:chat"
#: Task and how many of its items: a fixed sample that two cores measure in well under a minute.
TASKS = (("world:facts", 200), ("world:ambiguous", 100))
#: Estimators shown in the terminal; the report has all.
TOP = 10


def demo(
    out_: Annotated[Path, typer.Option("--out", help="Where the runs and report.html go.")] = Path("runs/demo"),
    samples: Annotated[int, typer.Option(help="Sampled answers an item.")] = 10,
    json_: Json = False,
) -> None:
    """Measure the shipped model on the shipped world with every estimator, and write a report. Nothing is downloaded.

    Example: trueline demo --out runs/demo
    """
    from trueline.measuring import measure
    from trueline.reports import write_report

    runs: list[Any] = []
    with progress() as step:
        for task, limit in TASKS:
            name = task.partition(":")[2]

            def said(label: str, done: int, total: int, name: str = name) -> None:
                step(f"{name}: {label}", done, total)

            runs.append(measure(MODEL, task, samples=samples, limit=limit, out=out_ / name, batch_size=256, progress=said))
        path = write_report(runs, out_ / "report.html")
    failed = sum(run.manifest["counts"]["failed"] for run in runs)
    if json_:
        parts = [{"run": str(run.path), "task": run.manifest["task"]["name"], "metrics": run.metrics} for run in runs]
        print_json({"runs": parts, "report": str(path), "failed": failed})
    else:
        for run in runs:
            counts = run.manifest["counts"]
            print_metrics(run.metrics, f"{MODEL} on {run.manifest['task']['name']}: {counts['items']} items, {samples} samples each", TOP)
            out().print()
        out().print(plain(f"report: {path}", "bold"), soft_wrap=True)
    if failed:
        raise typer.Exit(EXIT_FAILED_ITEMS)
