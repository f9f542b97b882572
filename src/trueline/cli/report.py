"""`trueline report`: one self-contained HTML file from one run or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trueline.cli.terminal import Json, Tracked, out, plain, print_json
from trueline.errors import InputError


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run directory or URL; several for one report.", show_default=False)],
    out_: Annotated[Path | None, typer.Option("--out", help="Where to write it (default: report.html in the first run).")] = None,
    model_card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Put the metrics of one run into this model card (README.md), made if not there.")
    ] = None,
    push: Annotated[str | None, typer.Option(metavar="REPO", help="Push that card to this model repository; token from HF_TOKEN.")] = None,
    mlflow: Tracked = None,
    json_: Json = False,
) -> None:
    """Write the report of one run, or of several together: one HTML file that opens offline.

    Example: trueline report runs/facts --out facts.html
    """
    from trueline.reports import write_report
    from trueline.run import open_run

    if push is not None and model_card is None:
        raise InputError("--push pushes a model card; name its file with --model-card")
    if (model_card is not None or mlflow is not None) and len(runs) > 1:
        raise InputError("a model card and MLflow take one run at a time")
    path = write_report([open_run(run) for run in runs], out_)
    done: dict[str, object] = {"runs": [str(run) for run in runs], "report": str(path), "bytes": path.stat().st_size}
    if model_card is not None:
        from trueline.interop.model_card import push_model_card, write_model_card

        done["model_card"] = str(write_model_card(open_run(runs[0]), model_card))
        if push is not None:
            done["pushed"] = push_model_card(model_card, push)
    if mlflow is not None:
        from trueline.interop.tracking import track_mlflow

        done["mlflow_run"] = track_mlflow(open_run(runs[0]), mlflow)
    if json_:
        print_json(done)
        return
    for name in ("report", "model_card", "pushed", "mlflow_run"):
        if name in done:
            out().print(plain(f"{name.replace('_', ' ')}: {done[name]}"), soft_wrap=True)
