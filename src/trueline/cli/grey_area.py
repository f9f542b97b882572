"""`trueline audit grey-area`: what expressions of certainty, uncertainty and source in the prompt do to a model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.measure import BaseUrl, MaxCost, ModelArgument, ModelOption, TaskArgument, options_of
from trueline.cli.terminal import (
    EXIT_FAILED_ITEMS,
    Json,
    Mapped,
    SkipBad,
    bare_table,
    clean,
    interval,
    mapping_of,
    out,
    plain,
    print_json,
    progress,
    say,
)

_NAMES = {"entropy": "entropy", "accuracy": "accuracy", "sampled_accuracy": "sampled", "prob_gold": "P(right)"}
#: Metrics that fit beside a name into 80 columns.
_WIDEST = 3


_Markers = Annotated[Path | None, typer.Option(help="CSV of markers with their labels (default: the shipped 54).", show_default=False)]
_Position = Annotated[str, typer.Option(help="answer_prefix or question_prefix: where the marker stands.")]
_Items = Annotated[int, typer.Option(help="A fixed sample of so many items.")]
_MultiToken = Annotated[bool, typer.Option("--multi-token", help="Answers of any length, scored as sequences.")]
_Draws = Annotated[int, typer.Option(help="Sampled answers an item and marker, beside the greedy one.")]
_TokenPath = Annotated[str, typer.Option(help="greedy, or sampled (as published): the answer whose tokens are read.")]
_Numeric = Annotated[bool, typer.Option("--numeric", help="Also 'I am x% sure it is', x = 0, 10, ..., 100.")]
_Tokens = Annotated[int, typer.Option(help="Tokens of an answer that are read.")]
_TopK = Annotated[int, typer.Option(help="Most likely tokens read at each position.")]
_Legacy = Annotated[bool, typer.Option("--legacy", help="Also the published unpaired tests.")]
_Grader = Annotated[str | None, typer.Option(help="Judges answers with --multi-token. Default: the task's own.", show_default=False)]
_Out = Annotated[
    Path | None, typer.Option("--out", help="Run directory that keeps the answers; the same command goes on there.", show_default=False)
]
_Report = Annotated[Path | None, typer.Option(help="Write an HTML report there.", show_default=False)]
_Plan = Annotated[bool, typer.Option("--plan", help="Print how many model calls it takes, then stop.")]


def grey_area(
    model: ModelArgument,
    task: TaskArgument,
    markers: _Markers = None,
    position: _Position = "answer_prefix",
    items: _Items = 200,
    multi_token: _MultiToken = False,
    draws: _Draws = 0,
    path: _TokenPath = "greedy",
    numeric: _Numeric = False,
    max_new_tokens: _Tokens = 10,
    top_k: _TopK = 50,
    legacy: _Legacy = False,
    grader: _Grader = None,
    mapping: Mapped = None,
    skip_bad: SkipBad = False,
    out_: _Out = None,
    report: _Report = None,
    plan: _Plan = False,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of draws and bootstrap.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Generations decoded together; changes speed, never content.")] = 64,
    base_url: BaseUrl = None,
    model_option: ModelOption = None,
    max_cost: MaxCost = None,
    json_: Json = False,
) -> None:
    """Does "I think it is" or "I am sure it is" before the answer change whether it is right?

    Every item meets every marker; classes of markers are compared item by item.

    Example: trueline audit grey-area world:base world:facts --multi-token --items 50 --out runs/grey --report grey.html
    """
    from trueline.audits.marker_audit import MarkerAudit
    from trueline.models.loading import load_model
    from trueline.stats import CI
    from trueline.tasks.loading import load_task
    from trueline.tasks.markers import load_markers

    asked = load_markers(markers)
    chosen = load_task(task, mapping=mapping_of(mapping) or None, skip_bad=skip_bad, grader=grader)
    shared: dict[str, Any] = {
        "position": position, "n_items": items, "max_new_tokens": max_new_tokens, "top_k": top_k, "draws": draws, "path": path,
        "multi_token": multi_token, "ci": CI(level=level, n_boot=n_boot, seed=seed), "seed": seed, "batch_size": batch_size,
        "max_cost": max_cost,
    }  # fmt: skip
    audit = MarkerAudit(chosen, asked, legacy=legacy, **shared)
    loaded = load_model(model, **(options_of(model_option) | ({"base_url": base_url} if base_url else {})))
    if plan:
        counts = audit.plan(loaded)
        print_json(counts) if json_ else out().print(plain(", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items())))
        return
    _finish(_run(audit, loaded, out_, shared if numeric else None), report, json_)


def _run(audit: Any, model: Any, where: Path | None, numeric: Mapping[str, Any] | None) -> Any:
    """The audit, with the stated levels in its record where they were asked for."""
    from trueline.audits.numeric_markers import NumericMarkerAudit

    with progress() as step:
        found = audit.run(model, out=where, progress=step)
        if numeric is not None:
            folder = None if where is None else where / "numeric"
            found.document["numeric"] = NumericMarkerAudit(audit.task, **numeric).run(model, out=folder, progress=step)
    return found


def _finish(found: Any, report: Path | None, json_: bool) -> None:
    """Write and print what was found; the exit code says whether prompts failed."""
    if report is not None:
        say(f"report: {found.write(report)}")
    print_json(found.document) if json_ else _print(found.document)
    if found.document["failed_prompts"]:
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _table(first: str, columns: list[str]) -> Any:

    table = bare_table()
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(plain(name), justify="right", no_wrap=True)
    return table


def _print(document: Mapping[str, Any]) -> None:
    console = out()
    metrics = [m for m in _NAMES if m in document["metrics"]][-_WIDEST:]
    console.print(plain(f"{document['model']} on {document['task']}", "bold"), soft_wrap=True)
    console.print(plain(f"{document['n_items']} items under {document['n_markers']} markers; right: {document['reading']}"), soft_wrap=True)
    table = _table("contrast", [_NAMES[m] for m in metrics])
    for name in document["meaning"]:
        table.add_row(name, *(_contrast(document["contrasts"][m][name]) for m in metrics))
    console.print(table)
    for name, meaning in document["meaning"].items():
        console.print(plain(f"{name}: {meaning}", "dim"))
    classes = _table("class", [_NAMES[m] for m in metrics])
    for name, record in document["classes"].items():
        classes.add_row(plain(f"{name.replace('_', ' ')} ({record['n_markers']})"), *(interval(record[m]) for m in metrics))
    console.print(classes)
    spread = document["spread"]
    ends = [f"{spread[end]!r}" if spread[end] else "no marker" for end in ("best", "worst")]
    line = f"accuracy from {spread['lowest']:.2f} ({ends[1]}) to {spread['highest']:.2f} ({ends[0]})"
    console.print(plain(line if spread["difference"] else f"accuracy {spread['highest']:.2f} under every marker"), soft_wrap=True)
    if (numeric := document.get("numeric")) is not None:
        slope, ends_ = (numeric[key]["accuracy"] for key in ("slope", "extremes"))
        console.print(plain(f"stated level: accuracy slope {interval(slope)}, at 0 and 100 % less between {interval(ends_)}"))
    console.print(plain(f"value [{document['level']:.0%} interval]; * differs from 0, corrected for three contrasts (Holm)", "dim"))
    for warning in document["warnings"]:
        console.print(plain(warning, "yellow"), soft_wrap=True)


def _contrast(record: Mapping[str, Any]) -> str:
    p = record["p_holm"]
    return clean(interval(record) + ("*" if p is not None and p < 0.05 else ""))
