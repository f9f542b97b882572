"""The report of a grey-area audit: one self-contained HTML page with a forest plot by class and a table of all markers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueline.errors import InputError
from trueline.reports import charts
from trueline.reports.emission import corpus_parts, emission_parts
from trueline.reports.html import Html, el, join, page, plain, table, visible
from trueline.reports.saving import save_page
from trueline.reports.sections import code, footer, section, warnings_box
from trueline.reports.wording import Notes, number
from trueline.stats.estimate import Estimate

Record = Mapping[str, Any]
#: Heading of each metric.
HEADINGS = {
    "accuracy": "Accuracy",
    "sampled_accuracy": "Sampled accuracy",
    "prob_gold": "Probability of the right answer",
    "top3": "Right among three",
    "entropy": "Entropy (nats)",
    "entropy_rest": "Entropy without the first",
    "distinct": "Different answers",
}
_SHORT = {"accuracy": "Accuracy", "sampled_accuracy": "Sampled", "prob_gold": "P(right)", "top3": "Top 3", "entropy": "Entropy"}
_MAX_MARKERS = 200
_READING = (
    "Every item met every marker, so differences are paired. Classes overlap: a named source is most often evidential, and a verb that "
    "presupposes truth most often strengthens; the regression says what each label adds while the others are held. Fluency is the mean "
    "log-prob of the marker's own tokens: where it matters, the marker acts by its grammar too. A marker that changes accuracy is a "
    "property of the phrasing, not of the question: users' wording should not decide whether the answer is right."
)


def write_grey_area_report(document: Record, path: str | os.PathLike[str]) -> Path:
    """Write the page; it opens offline, without a script or a request to anywhere.

    document : the record of a `MarkerReport`. path : a file, or a directory that gets ``grey-area.html``.

    Raises ``InputError`` for another record, ``StorageError`` when the file cannot be written.
    """
    return save_page(render_grey_area(document), path, "grey-area.html")


def render_grey_area(document: Record) -> str:
    """Return the page as text."""
    if document.get("audit") != "grey_area":
        raise InputError(f"not the record of a grey-area audit: {document.get('audit')!r}")
    lead = "What expressions of certainty, uncertainty and source in the prompt do to the answers."
    header = el("header", el("h1", "Grey area"), el("p", lead, cls="lead"), _facts(document))
    parts = [
        section("contrasts", "Does the kind of marker matter?", *_contrasts(document)),
        section("classes", "Classes of markers", *_classes(document)),
        section("regression", "All labels at once", *_regression(document)),
        section("markers", "Each marker", *_markers(document)),
    ]
    if (numeric := document.get("numeric")) is not None:
        parts.append(section("numeric", "Numbers as markers", *_numeric(numeric)))
    if (emitted := document.get("emission")) is not None:
        parts.append(section("emission", "Does it mean what it says?", *emission_parts(emitted)))
    if (texts := document.get("corpus")) is not None:
        parts.append(section("corpus", "Markers in texts", *corpus_parts(texts)))
    parts.append(section("reading", "How to read this", el("p", _READING)))
    return page("trueline audit: grey area", el("main", header, warnings_box(document["warnings"]), *parts, footer()))


def _facts(document: Record) -> Html:
    placed = "before the answer" if document["position"] == "answer_prefix" else "before the question"
    spread = document["spread"]
    facts: list[tuple[str, object]] = [
        ("Model", code(document["model"])),
        ("Task", code(document["task"])),
        ("Items and markers", f"{document['n_items']:,} and {document['n_markers']:,}, markers {placed}"),
        ("Right is", visible(document["reading"])),
        ("Draws", f"{document['draws']} an item and marker, seed {document['seed']}" if document["draws"] else "greedy alone"),
        ("Best and worst marker", join([_phrase(spread["best"]), f" {number(spread['highest'])}, ", _phrase(spread["worst"]),
                                        f" {number(spread['lowest'])}"])),
        ("Intervals", f"{100 * document['level']:g} %, over items"),
    ]  # fmt: skip
    return el("dl", *[part for name, value in facts for part in (el("dt", name), el("dd", value))], cls="facts")


def _estimate(record: Record) -> Estimate:
    return Estimate.from_json({name: record[name] for name in Estimate.undefined("").to_json() if name in record})


def _p(value: float | None) -> str:
    return "" if value is None else "<.001" if value < 0.001 else number(value)


def _contrasts(document: Record) -> list[Html | None]:
    blocks: list[Html | None] = []
    for metric, found in document["contrasts"].items():
        notes = Notes()
        rows: list[list[object]] = []
        for name, record in found.items():
            row: list[object] = [name, document["meaning"][name], notes.cell(_estimate(record)), _p(record["p_holm"])]
            if document["legacy"]:
                old = record.get("legacy")
                row.append("" if old is None else f"t {number(old['unpaired_t'])}, p {_p(old['unpaired_p'])}")
            rows.append(row)
        head: list[object] = ["Contrast", "Meaning", "Difference", "p (Holm)", *(["Unpaired (published)"] if document["legacy"] else [])]
        blocks += [table(head, rows, caption=HEADINGS[metric], numeric=2), notes.html()]
        title = f"difference in {HEADINGS[metric].lower()}"
        blocks.append(_forest({name: _estimate(r) for name, r in found.items()}, title, f"contrast-{metric}", mark=0.0))
    return blocks


def _classes(document: Record) -> list[Html | None]:
    metrics = list(document["metrics"])
    notes = Notes()
    rows: list[list[object]] = []
    for name, record in document["classes"].items():
        error = notes.cell(_estimate(record["ece"])) if "ece" in record else ""
        rows.append([name.replace("_", " "), f"{record['n_markers']}", *(notes.cell(_estimate(record[m])) for m in metrics), error])
    head: list[object] = ["Class", "Markers", *[HEADINGS[m] for m in metrics], "Calibration error"]
    caption = "Means over items; every marker of a class weighs the same."
    figures = [
        _forest(
            {name.replace("_", " "): _estimate(record[m]) for name, record in document["classes"].items()},
            HEADINGS[m].lower(), f"class-{m}", mark=document["classes"].get("control", {}).get(m, {}).get("value"),
        )
        for m in metrics
        if m in ("accuracy", "sampled_accuracy", "prob_gold")
    ]  # fmt: skip
    shown = [figure for figure in figures if figure is not None]
    return [table(head, rows, cls="wide", caption=caption, numeric=1), notes.html(), el("div", *shown, cls="charts") if shown else None]


def _regression(document: Record) -> list[Html | None]:
    metrics = list(document["metrics"])
    names = list(document["regression"][metrics[0]])
    notes = Notes()
    rows: list[list[object]] = [
        [name.replace("_", " "), *(notes.cell(_estimate(document["regression"][m][name])) for m in metrics)] for name in names
    ]
    caption = "What a label adds while the others are held: least squares inside items; fluency is per nat."
    return [table(["Label", *[HEADINGS[m] for m in metrics]], rows, cls="wide", caption=caption, numeric=1), notes.html()]


def _markers(document: Record) -> list[Html | None]:
    metrics = [m for m in document["metrics"] if m in _SHORT]
    notes = Notes()
    main = "prob_gold" if "prob_gold" in document["metrics"] else "accuracy"
    order = sorted(document["markers"], key=lambda r: -_known(r["metrics"][main]["value"]))
    rows: list[list[object]] = []
    for record in order[:_MAX_MARKERS]:
        gap = record.get("difference", {}).get(main)
        fluency = record.get("fluency")
        labels = ", ".join(label.replace("_", " ") for label in record["labels"]) or ("control" if record["control"] else "none")
        rows.append(
            [_phrase(record["marker"]), labels, *(notes.cell(_estimate(record["metrics"][m])) for m in metrics),
             "" if gap is None else notes.cell(_estimate(gap)), "" if fluency is None else number(fluency)]
        )  # fmt: skip
    against = "no control" if document["baseline"] is None else f"less {visible(document['baseline'] or 'no marker')}"
    head: list[object] = ["Marker", "Labels", *[_SHORT[m] for m in metrics], f"{_SHORT[main]}, {against}", "Fluency"]
    left = len(order) - len(rows)
    hidden = f" {left} markers are left out." if left else ""
    caption = f"Highest first.{hidden} Differences of single markers are not corrected for their number."
    return [table(head, rows, cls="wide", caption=caption, numeric=2), notes.html()]


def _known(value: float | None) -> float:
    return -1.0 if value is None else float(value)


def _numeric(record: Record) -> list[Html | None]:
    notes = Notes()
    metrics = list(record["levels"][0]["metrics"])
    rows: list[list[object]] = [
        [f"{row['level']} %", *(notes.cell(_estimate(row["metrics"][m])) for m in metrics)] for row in record["levels"]
    ]
    entries = [(f"slope of {HEADINGS[m].lower()}, from 0 to 100 %", record["slope"][m]) for m in metrics]
    entries += [(f"{HEADINGS[m].lower()} at 0 and 100 % less between", record["extremes"][m]) for m in metrics]
    listed: list[list[object]] = [[name, notes.cell(_estimate(e))] for name, e in entries]
    return [
        table(["Stated level", *[HEADINGS[m] for m in metrics]], rows, caption="I am x % sure it is", numeric=1),
        table(["", "Value"], listed, numeric=1),
        notes.html(),
    ]


def _phrase(text: str) -> Html:
    return code(text, 80) if text else el("span", "no marker", cls="faint")


def _forest(estimates: Mapping[str, Estimate], title: str, prefix: str, mark: float | None) -> Html | None:
    shown = {name: e for name, e in estimates.items() if e.defined}
    if not shown:
        return None
    values: Sequence[Estimate] = list(shown.values())
    chart = charts.forest(
        [plain(n) for n in shown], [e.value for e in values], [e.low for e in values], [e.high for e in values], title=title, mark=mark
    )
    dashed = "no difference" if mark == 0.0 else "controls"
    caption = f"{title[:1].upper()}{title[1:]}, with intervals.{f' Dashed: {dashed}.' if mark is not None else ''}"
    return charts.figure(chart, label=caption, prefix=prefix, caption=caption)
