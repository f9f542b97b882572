"""`trueline validate`: how good are the scores of a run, or of any table?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, Tracked, print_json, print_metrics, track


def validate(
    target: Annotated[str, typer.Argument(metavar="RUN|TABLE", help="Run directory or URL, or a .csv, .jsonl or .parquet table.")],
    score: Annotated[
        str | None, typer.Option(help="Table: the column of uncertainties, higher = less certain. Several with commas.")
    ] = None,
    correct: Annotated[str | None, typer.Option(help="Table: the column that says whether the answer was right (1/0, true/false).")] = None,
    cluster: Annotated[str | None, typer.Option(help="Table: rows that share this value are not independent.")] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    mlflow: Tracked = None,
    json_: Json = False,
) -> None:
    """Rank, calibration and selective-prediction metrics of every score, each with its interval.

    Example: trueline validate runs/facts
    Example: trueline validate scores.csv --score entropy --correct right --cluster patient
    """
    from trueline.errors import InputError
    from trueline.traces.storage import is_url

    options: dict[str, Any] = {"level": level, "n_boot": n_boot, "seed": seed}
    if is_url(target) or Path(target).is_dir():
        if score or correct or cluster:
            raise InputError("--score, --correct and --cluster name columns of a table; a run directory has its own")
        from trueline.run import open_run

        run = open_run(target)
        document = run.validate(**options)
        track(run, mlflow)
    else:
        if not Path(target).exists() and not Path(target).suffix:
            raise InputError(f"no run directory or table at {target}")
        if mlflow is not None:
            raise InputError(f"--mlflow logs runs; {target} is a table")
        if not (score and correct):
            raise InputError(f"{target} is a table: name its columns with --score COL --correct COL")
        from trueline.scoretable import validate_table

        document = validate_table(Path(target), score.split(","), correct, cluster, **options)
    print_json(document) if json_ else print_metrics(document, target)
