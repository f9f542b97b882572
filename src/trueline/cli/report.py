"""`trueline report`: one self-contained HTML file from one run or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trueline.cli.terminal import Json, out, plain, print_json


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run directory or URL; several for one report.", show_default=False)],
    out_: Annotated[Path | None, typer.Option("--out", help="Where to write it (default: report.html in the first run).")] = None,
    json_: Json = False,
) -> None:
    """Write the report of one run, or of several together: one HTML file that opens offline.

    Example: trueline report runs/facts --out facts.html
    """
    from trueline.reports import write_report
    from trueline.run import open_run

    path = write_report([open_run(run) for run in runs], out_)
    if json_:
        print_json({"runs": [str(run) for run in runs], "report": str(path), "bytes": path.stat().st_size})
    else:
        out().print(plain(f"report: {path}"), soft_wrap=True)
