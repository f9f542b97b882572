"""The page of a quality audit: how the scores of a run relate to the quality of its answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.errors import InputError
from trueline.reports import charts
from trueline.reports.html import Html, el, page, plain, table
from trueline.reports.saving import save_page
from trueline.reports.sections import code, footer, section, warnings_box
from trueline.reports.wording import Notes, number
from trueline.stats.estimate import Estimate

Record = Mapping[str, Any]
_COLUMNS = {"pearson": "Pearson r", "spearman": "Spearman \u03c1", "auroc": "AUROC of low quality", "prr": "PRR"}
_MAX_SCORES = 80
_READING = (
    "A useful score is high where the quality is low: its correlations are negative, its AUROC is above one half, its prediction rejection "
    "ratio (PRR) is above 0. Pearson's correlation is the published measure; Spearman's does not care how a score is scaled. The p-values "
    "are two-sided and corrected for the number of tests (Holm)."
)


def write_quality_report(document: Record, path: str | os.PathLike[str]) -> Path:
    """Write the page; it opens offline, without a script or a request to anywhere.

    document : the record of a `QualityAudit`. path : a file, or a directory that gets ``quality.html``.

    Raises ``InputError`` for another record, ``StorageError`` when the file cannot be written.
    """
    return save_page(render_quality(document), path, "quality.html")


def render_quality(document: Record) -> str:
    """Return the page as text."""
    if document.get("audit") != "quality":
        raise InputError(f"not the record of a quality audit: {document.get('audit')!r}")
    lead = "Which score tells good answers from bad?"
    header = el("header", el("h1", "Scores and quality"), el("p", lead, cls="lead"), _facts(document))
    parts = [
        section("scores", "Each score", *_scores(document)),
        section("charts", "Side by side", el("div", *_charts(document), cls="charts")),
        section("reading", "How to read this", el("p", _READING)),
    ]
    return page("trueline audit: scores and quality", el("main", header, warnings_box(_warnings(document)), *parts, footer()))


def _facts(document: Record) -> Html:
    graded = document["quality"] == "graded"
    source = "the grader's score" if graded else f"likeness to the references ({document['quality']})"
    missing = f", {document['n_missing']:,} without" if document["n_missing"] else ""
    facts: list[tuple[str, object]] = [
        ("Run", code(document["run"])),
        ("Model", code(document["model"])),
        ("Task", code(document["task"])),
        ("Quality", source),
        ("Answers", f"{document['n']:,} with a quality{missing}"),
        ("Low", f"below {document['threshold']:g}: {document['n_low']:,}"),
        ("Intervals", f"{100 * document['level']:g} %"),
    ]
    return el("dl", *[part for name, value in facts for part in (el("dt", name), el("dd", value))], cls="facts")


def _warnings(document: Record) -> list[str]:
    said = []
    if not document["n_low"] or document["n_low"] == document["n"]:
        side = "no answer is" if not document["n_low"] else "every answer is"
        said.append(f"{side[0].upper()}{side[1:]} of low quality: AUROC is undefined. Choose another threshold.")
    if left := len(document["scores"]) - _MAX_SCORES:
        said += [f"{left} scores are left out of this page."] if left > 0 else []
    return said


def _scores(document: Record) -> list[Html | None]:
    notes = Notes()
    rows: list[list[object]] = []
    for name, record in list(document["scores"].items())[:_MAX_SCORES]:
        cells: list[object] = []
        for key in _COLUMNS:
            cells.append(notes.cell(_estimate(record[key])))
            if key in ("pearson", "spearman"):
                cells.append(_p(record[f"p_{key}"]))
        rows.append([code(name, 100), *cells])
    head: list[object] = ["Score"]
    for key, title in _COLUMNS.items():
        head += [title, "p (Holm)"] if key in ("pearson", "spearman") else [title]
    caption = f"{document['n_tests']} tests of no correlation."
    return [table(head, rows, cls="wide", caption=caption, numeric=1), notes.html()]


def _charts(document: Record) -> list[Html]:
    found = []
    for key, mark, meaning in (("spearman", 0.0, "no relation"), ("auroc", 0.5, "chance")):
        known = {name: _estimate(r[key]) for name, r in list(document["scores"].items())[:_MAX_SCORES]}
        shown = {name: e for name, e in known.items() if e.defined}
        if not shown:
            continue
        order = sorted(shown, key=lambda name: shown[name].value, reverse=key == "auroc")
        ends = [[getattr(shown[name], end) for name in order] for end in ("value", "low", "high")]
        chart = charts.forest([plain(name) for name in order], *ends, title=_COLUMNS[key], mark=mark)
        caption = f"{_COLUMNS[key]} with intervals, the most useful score first. Dashed: {meaning}."
        found.append(charts.figure(chart, label=caption, prefix=f"quality-{key}", caption=caption))
    return found


def _p(value: float | None) -> str:
    return "" if value is None else "<.001" if value < 0.001 else number(value)


def _estimate(record: Record) -> Estimate:
    return Estimate.from_json({name: record[name] for name in Estimate.undefined("").to_json() if name in record})
