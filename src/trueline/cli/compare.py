"""`trueline compare`: which of several runs of one task is better, and could this data tell?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, ReportFile, bare_table, interval, out, plain, print_json

_CORRECTIONS = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "no correction"}


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_A RUN_B...", help="Two or more run directories.", show_default=False)],
    metrics: Annotated[
        str, typer.Option(help="With commas, of accuracy, auroc, auprc, aurc, prr, debiased_ece, ece, brier.")
    ] = "accuracy,auroc,aurc,ece,brier",
    estimators: Annotated[
        str | None, typer.Option(help="Whose scores, with commas (default: the first of sequence_nll, semantic_entropy, ... in all runs).")
    ] = None,
    correction: Annotated[str, typer.Option(help="For the number of tests: holm, bh (Benjamini-Hochberg) or none.")] = "holm",
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    n_permutations: Annotated[int, typer.Option(help="Draws of a permutation test.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of bootstrap and permutations.")] = 0,
    report: ReportFile = None,
    json_: Json = False,
) -> None:
    """Paired differences between runs of one task, on the items that all of them answered; says so when the data cannot tell.

    Example: trueline compare runs/old runs/new --report comparison.html
    Example: trueline compare runs/a runs/b runs/c --metrics accuracy,auroc --estimators semantic_entropy,mean_nll --correction bh
    """
    from trueline.comparing import compare_runs

    document = compare_runs(
        runs,
        metrics.split(","),
        None if estimators is None else estimators.split(","),
        correction=correction,  # type: ignore[arg-type]  # checked there, with the names that are known
        level=level,
        n_boot=n_boot,
        n_permutations=n_permutations,
        seed=seed,
    )
    written = None
    if report is not None:
        from trueline.reports.comparison import write_comparison

        written = write_comparison(document, report)
    print_json(document) if json_ else _print(document)
    if written is not None and not json_:
        out().print(plain(f"report: {written}"), soft_wrap=True)


def _print(document: Mapping[str, Any]) -> None:

    console = out()
    for run in document["runs"]:
        console.print(plain(f"{run['label']}  {run['path']}: {run['model']} on {run['task']}, {run['n_items']} items"), soft_wrap=True)
    clusters = "" if document["n_clusters"] is None else f" in {document['n_clusters']} clusters"
    console.print(plain(f"{document['n_common']} items in common{clusters}", "bold"))
    table = bare_table()
    table.add_column("metric", overflow="fold")
    for heading in ("first", "second", "difference", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in document["differences"]:
        values = [interval({"value": entry[key]}) for key in ("first_value", "second_value")]
        table.add_row(plain(_name(entry)), *values, interval(entry, 3), _p(entry["p_adjusted"]))
    console.print(table)
    how = _CORRECTIONS[document["correction"]]
    counted = f"{how}, {document['n_tests']} test{'' if document['n_tests'] == 1 else 's'}" if document["correction"] != "none" else how
    console.print(plain(f"first minus second [{100 * document['level']:.4g} % interval]; p: {counted}", "dim"))
    for entry in document["differences"]:
        console.print(plain(f"{_name(entry)}: {entry['conclusion']}"), soft_wrap=True)
    for note in document["warnings"]:
        console.print(plain(note, "yellow"), soft_wrap=True)


def _name(entry: Mapping[str, Any]) -> str:
    metric = entry["metric"] if entry["estimator"] is None else f"{entry['metric']}({entry['estimator']})"
    return f"{entry['first']}-{entry['second']} {metric}"


def _p(value: float | None) -> str:
    return "\u2013" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"
