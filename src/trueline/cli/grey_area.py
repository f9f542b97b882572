"""`trueline audit grey-area`: what expressions of certainty, uncertainty and source in the prompt do to a model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.emission import (
    Column,
    Corpus,
    Cut,
    Emission,
    Scheme,
    Shots,
    SureBy,
    add_emission,
    emission_audit,
    print_corpus,
    print_emission,
)
from trueline.cli.measure import BaseUrl, MaxCost, ModelArgument, ModelOption, TaskArgument, options_of
from trueline.cli.progress import progress
from trueline.cli.terminal import (
    EXIT_FAILED_ITEMS,
    Json,
    Mapped,
    ReportFile,
    SkipBad,
    bare_table,
    clean,
    interval,
    mapping_of,
    out,
    plain,
    print_json,
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
    emission: Emission = None,
    shots: Shots = 8,
    scheme: Scheme = "weakener_below",
    cut: Cut = 0.5,
    sure_by: SureBy = None,
    corpus: Corpus = None,
    column: Column = None,
    max_new_tokens: _Tokens = 10,
    top_k: _TopK = 50,
    legacy: _Legacy = False,
    grader: _Grader = None,
    mapping: Mapped = None,
    skip_bad: SkipBad = False,
    out_: _Out = None,
    report: ReportFile = None,
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
    """Does "I think it is" or "I am sure it is" before the answer change whether it is right? Does the model mean what it says itself?

    Every item meets every marker; classes of markers are compared item by item. Then examples teach the model to emit markers.

    Example: trueline audit grey-area world:base world:facts --multi-token --items 50 --out runs/grey --report grey.html
    """
    asked = _asked(
        (model, options_of(model_option, base_url=base_url)),
        (task, {"mapping": mapping_of(mapping) or None, "skip_bad": skip_bad, "grader": grader}), markers,
    )  # fmt: skip
    shared: dict[str, Any] = {
        "position": position, "n_items": items, "max_new_tokens": max_new_tokens, "top_k": top_k, "draws": draws, "path": path,
        "multi_token": multi_token, "ci": _intervals(level, n_boot, seed), "seed": seed, "batch_size": batch_size, "max_cost": max_cost,
    }  # fmt: skip
    texts = None if corpus is None else {"source": corpus, "column": column, "skip_bad": skip_bad, "level": level}
    taught, why = emission_audit(asked.model, asked.task, emission, shared, {"shots": shots, "scheme": scheme, "cut": cut, "by": sure_by})
    if plan:
        _print_plan(asked, shared, taught, json_)
        return
    _finish(_run(asked, shared, legacy, numeric, (taught, why), texts, out_), report, json_)


@dataclass(frozen=True)
class _Asked:
    model: Any
    task: Any
    markers: Any

    def audit(self, shared: Mapping[str, Any], legacy: bool = False) -> Any:
        from trueline.audits.marker_audit import MarkerAudit

        return MarkerAudit(self.task, self.markers, legacy=legacy, **shared)


def _asked(model: tuple[str, dict[str, Any]], task: tuple[str, dict[str, Any]], markers: Path | None) -> _Asked:
    """Model, questions and markers, loaded; markers first, which cost nothing."""
    from trueline.models.loading import load_model
    from trueline.tasks.loading import load_task
    from trueline.tasks.markers import load_markers

    phrases, questions = load_markers(markers), load_task(task[0], **task[1])
    return _Asked(load_model(model[0], **model[1]), questions, phrases)


def _intervals(level: float, n_boot: int, seed: int) -> Any:
    from trueline.stats import CI

    return CI(level=level, n_boot=n_boot, seed=seed)


def _print_plan(asked: _Asked, shared: Mapping[str, Any], taught: Any, json_: bool) -> None:
    counts = asked.audit(shared).plan(asked.model) | ({} if taught is None else {"emission": taught.audit.plan(asked.model)})
    print_json(counts) if json_ else out().print(plain(_counted(counts)), soft_wrap=True)


def _counted(counts: Mapping[str, Any]) -> str:
    parts = [f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items() if not isinstance(n, Mapping)]
    return ", ".join(parts) + "".join(f"; {name}: {_counted(n)}" for name, n in counts.items() if isinstance(n, Mapping))


def _run(
    asked: _Asked,
    shared: Mapping[str, Any],
    legacy: bool,
    numeric: bool,
    emission: Any,
    texts: Mapping[str, Any] | None,
    where: Path | None,
) -> Any:
    """The audit, with its other parts in its record where they were asked for."""
    from trueline.audits.marker_corpus import probe_corpus
    from trueline.audits.numeric_markers import NumericMarkerAudit

    with progress() as step:
        spoken = None if texts is None else probe_corpus(**texts, markers=asked.markers, progress=step)
        found = asked.audit(shared, legacy).run(asked.model, out=where, progress=step)
        if numeric:
            folder = None if where is None else where / "numeric"
            found.document["numeric"] = NumericMarkerAudit(asked.task, **shared).run(asked.model, out=folder, progress=step)
        taught, why = emission
        found.document["warnings"] += [] if why is None else [why]
        if taught is not None:
            add_emission(found.document, taught, asked.model, where, step)
        if spoken is not None:
            found.document["corpus"] = spoken
    return found


def _finish(found: Any, report: Path | None, json_: bool) -> None:
    """Write and print what was found; the exit code says whether prompts failed."""
    if report is not None:
        say(f"report: {found.write(report)}")
    print_json(found.document) if json_ else _print(found.document)
    if found.document["failed_prompts"] or found.document.get("emission", {}).get("failed_prompts"):
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
    if (emitted := document.get("emission")) is not None:
        print_emission(emitted)
    if (texts := document.get("corpus")) is not None:
        print_corpus(texts)


def _contrast(record: Mapping[str, Any]) -> str:
    p = record["p_holm"]
    return clean(interval(record) + ("*" if p is not None and p < 0.05 else ""))
