"""`trueline audit quality`: how the scores of a run relate to the quality of its answers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, ReportFile, bare_table, interval, out, plain, print_json, say


def quality(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory with scores and grades.", show_default=False)],
    scores: Annotated[str | None, typer.Option(help="Names with commas. Default: all of the run.", show_default=False)] = None,
    of: Annotated[
        str, typer.Option("--quality", help="graded, or a distance to the references: rouge1, char3_cosine, token_f1, ...")
    ] = "graded",
    threshold: Annotated[
        float | None, typer.Option(help="Quality below this is low. Default: 1 if graded, else the median.", show_default=False)
    ] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of bootstrap and permutations.")] = 0,
    report: ReportFile = None,
    json_: Json = False,
) -> None:
    """Which score tells good answers from bad? Correlations, AUROC of low quality, prediction rejection; corrected for many tests.

    Example: trueline audit quality runs/code --scores sentence_max_nll,sample_vro --report quality.html
    """
    from trueline.audits.quality import audit_quality
    from trueline.estimators.loading import split_specs
    from trueline.run import open_run
    from trueline.stats import CI

    names = None if scores is None else split_specs(scores)
    found = audit_quality(open_run(run), names, quality=of, threshold=threshold, ci=CI(level=level, n_boot=n_boot, seed=seed))
    document = {"run": str(run), **found.to_json()}
    if report is not None:
        from trueline.reports.quality import write_quality_report

        say(f"report: {write_quality_report(document, report)}")
    if json_:
        print_json(document)
        return
    _print(found, str(run), level)


def _print(found: Any, title: str, level: float) -> None:

    console = out()
    missing = f", {found.n_missing} without" if found.n_missing else ""
    low = f"{found.n_low} below {found.threshold:g}"
    console.print(plain(f"{title}: {found.n} answers with a quality ({found.quality}){missing}, {low}", "bold"))
    table = bare_table()
    table.add_column("score", no_wrap=True)
    for name in ("Pearson r", "p", "Spearman rho", "p", "AUROC", "PRR"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        estimates = [interval(e.to_json()) for e in (row.pearson, row.spearman, row.auroc, row.prr)]
        p_values = ["\u2013" if math.isnan(p) else f"{p:.2g}" for p in (row.p_pearson, row.p_spearman)]
        table.add_row(plain(row.name), estimates[0], p_values[0], estimates[1], p_values[1], *estimates[2:])
    console.print(table)
    note = f"value [{level:.0%} interval]; p: two-sided, after Holm over {found.n_tests} tests; correlations of a useful score are negative"
    console.print(plain(note, "dim"))
