"""`trueline audit grey-area`, two of its parts: what a model emits about itself, and markers in texts (`trueline audit marker-corpus`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.progress import progress
from trueline.cli.terminal import Json, ReportFile, SkipBad, bare_table, interval, out, plain, print_json, say

Emission = Annotated[
    bool | None,
    typer.Option(
        "--emission/--no-emission",
        help="Does the model mean the markers that examples teach it to emit? Default: where the task has questions enough.",
        show_default=False,
    ),
]
Shots = Annotated[int, typer.Option(help="Examples with markers in the prompt; 0: what the model says by itself.")]
Scheme = Annotated[str, typer.Option(help="weakener_below (weaken when unsure), strengthener_above, or both.")]
Cut = Annotated[float, typer.Option(help="An example is unsure below this probability of its answer.")]
SureBy = Annotated[
    str | None, typer.Option(help="probability or correctness of the example's answer. Default: probability, if shown.", show_default=False)
]
Corpus = Annotated[
    str | None,
    typer.Option(help="Texts to look for markers in: a file, a folder, a table, hf-dataset:NAME.", show_default=False),
]
Column = Annotated[str | None, typer.Option(help="Column of the texts. Default: text, content or body.", show_default=False)]
_Texts = Annotated[
    str, typer.Argument(metavar="TEXTS", help="A text file, a folder, a .jsonl, .csv or .parquet table, or hf-dataset:NAME.")
]


#: Settings that it has in common with the audit of markers.
_SHARED = ("n_items", "top_k", "ci", "seed", "batch_size", "max_cost")
_LEFT_OUT = "What the model emits about itself is left out: {}."


@dataclass(frozen=True)
class Taught:
    """An emission audit, and whether it was asked for: if not, it may fail."""

    audit: Any
    asked: bool


def emission_audit(
    model: Any, task: Any, wanted: bool | None, shared: Mapping[str, Any], own: Mapping[str, Any]
) -> tuple[Taught | None, str | None]:
    """The audit, or None and why it is left out. wanted: None leaves it out where the task has too few questions."""
    from trueline.audits.emission import EmissionAudit
    from trueline.errors import InputError

    if wanted is False:
        return None, None
    settings: dict[str, Any] = {name: shared[name] for name in _SHARED} | dict(own)
    settings["by"] = settings["by"] or ("probability" if "logprobs" in model.capabilities else "correctness")
    audit = EmissionAudit(task, **settings)
    try:
        audit.plan(model)
    except InputError as error:
        if wanted:
            raise
        return None, _LEFT_OUT.format(error)
    return Taught(audit, bool(wanted)), None


def add_emission(document: dict[str, Any], taught: Taught, model: Any, where: Path | None, step: Any) -> None:
    """Run it and put its record, or why there is none, into that of the grey-area audit."""
    from trueline.errors import InputError, SettingsMismatch

    try:
        document["emission"] = taught.audit.run(model, out=None if where is None else where / "emission", progress=step).document
    except SettingsMismatch:
        raise
    except InputError as error:
        if taught.asked:
            raise
        document["warnings"].append(_LEFT_OUT.format(error))


def print_emission(record: Mapping[str, Any]) -> None:
    """Classes and gaps of an emission record."""
    console = out()
    console.print(plain(f"emitted after {record['n_shots']} examples ({record['scheme']}), {record['n_items']} new questions", "bold"))
    table = bare_table()
    table.add_column("emitted", no_wrap=True)
    for name in ("share", "accuracy", "P(answer)", "entropy"):
        table.add_column(plain(name), justify="right", no_wrap=True)
    for kind, row in record["classes"].items():
        entropy = row.get("entropy", {}).get("value")
        shown = [interval(row[name]) for name in ("share", "accuracy", "probability")]
        table.add_row(plain(kind), *shown, "\u2013" if entropy is None else f"{entropy:.2f}")
    console.print(table)
    for name, row in record["gaps"].items():
        if row["accuracy"]["value"] is not None:
            console.print(plain(f"accuracy, {name.replace('_minus_', ' less ')}: {interval(row['accuracy'])}"))
    if record["before"] is not None:
        when = [f"{interval(record[w]['ece'])} {w}" for w in ("before", "after")]
        console.print(plain(f"calibration error {', '.join(when)}"))
    for warning in record["warnings"]:
        console.print(plain(warning, "yellow"), soft_wrap=True)


def print_corpus(record: Mapping[str, Any]) -> None:
    """Shares of a corpus record."""
    console = out()
    sizes = f"{record['n_documents']:,} documents, {record['n_sentences']:,} sentences, {record['n_questions']:,} of them questions"
    console.print(plain(f"{record['source']}: {sizes}", "bold"), soft_wrap=True)
    table = bare_table()
    table.add_column("marker", no_wrap=True)
    for name in ("of questions", "of others", "asked"):
        table.add_column(plain(name), justify="right", no_wrap=True)
    for kind, row in record["kinds"].items():
        table.add_row(plain(kind.replace("_", " ")), *(interval(row[name], 3) for name in ("questions", "others", "asked")))
    console.print(table)
    console.print(plain(f"asked, strengtheners less weakeners: {interval(record['contrast'], 3)}"))
    console.print(plain("asked: share of questions among the sentences with such a marker", "dim"))
    for warning in record["warnings"]:
        console.print(plain(warning, "yellow"), soft_wrap=True)


def marker_corpus(
    texts: _Texts,
    column: Column = None,
    markers: Annotated[Path | None, typer.Option(help="CSV of markers (default: the shipped 54).", show_default=False)] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first documents.", show_default=False)] = None,
    skip_bad: SkipBad = False,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    report: ReportFile = None,
    json_: Json = False,
) -> None:
    """Where do "I think" and "certainly" stand in these texts: in questions, or in other sentences?

    Example: trueline audit marker-corpus posts.jsonl --column body
    """
    from trueline.audits.marker_corpus import probe_corpus
    from trueline.reports.emission import write_corpus_report
    from trueline.tasks.markers import load_markers

    with progress() as step:
        record = probe_corpus(
            texts, column=column, markers=load_markers(markers), limit=limit, skip_bad=skip_bad, level=level, progress=step
        )
    if report is not None:
        say(f"report: {write_corpus_report(record, report)}")
    print_json(record) if json_ else print_corpus(record)
