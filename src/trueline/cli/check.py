"""`trueline check`: a release gate that looks at intervals, for CI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import EXIT_GATE, Json, interval, out, plain, print_json

_STYLES = {"pass": "green", "fail": "red", "not shown": "yellow"}
_WORDS = {"pass": "pass", "fail": "shown false", "not shown": "not shown"}


def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory, scored and graded.", show_default=False)],
    require: Annotated[
        list[str], typer.Option(metavar="REQUIREMENT", help="METRIC(ESTIMATOR) >= NUMBER or <=, >, <. Repeatable; all must hold.")
    ],
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    on: Annotated[str, typer.Option(help="bound: the whole interval must clear the bar; point: the value alone.")] = "bound",
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the outcome as JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the outcome as a Markdown table.")] = None,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    json_: Json = False,
) -> None:
    """A release gate: exit code 0 only when the intervals show every requirement, 1 when one is shown false or not shown.

    Example: trueline check runs/facts --require "auroc(sequence_nll) >= 0.75" --require "ece <= 0.05" --junit gate.xml
    """
    from trueline.gating import check_run, junit_xml, markdown_summary

    document = check_run(run, require, level=level, on=on, n_boot=n_boot, seed=seed)  # type: ignore[arg-type]  # checked there
    for path, text in ((junit, junit_xml), (markdown, markdown_summary)):
        if path is not None:
            path.write_text(text(document), encoding="utf-8")
    print_json(document) if json_ else _print(document)
    if document["verdict"] != "pass":
        raise typer.Exit(EXIT_GATE)


def _print(document: Mapping[str, Any]) -> None:
    console = out()
    console.print(plain(f"{document['run']}: {document['model']} on {document['task']}", "bold"), soft_wrap=True)
    for entry in document["requirements"]:
        verdict = _WORDS[entry["verdict"]]
        missing = f", {entry['n_missing']} missing" if entry["n_missing"] else ""
        line = f"{entry['requirement']}: {interval(entry, 3)} (n = {entry['n']}{missing}); {entry['why']}"
        console.print(plain(f"{verdict:<11} ", _STYLES[entry["verdict"]]).append_text(plain(line)), soft_wrap=True)
    counts = ", ".join(f"{n} {_WORDS[verdict]}" for verdict, n in document["counts"].items() if n)
    console.print(plain(f"{_WORDS[document['verdict']]}: {counts}", f"bold {_STYLES[document['verdict']]}"))
