"""Parts of the grey-area page: what a model emits about itself, and where markers stand in a collection of texts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.errors import InputError
from trueline.reports.html import Html, el, join, page, quote, table, visible
from trueline.reports.saving import save_page
from trueline.reports.sections import code, footer, section, warnings_box
from trueline.reports.wording import Notes
from trueline.stats.estimate import Estimate

Record = Mapping[str, Any]
_VALUES = {
    "share": "Share",
    "accuracy": "Accuracy",
    "probability": "Probability of the answer",
    "entropy": "Entropy (nats)",
    "accuracy_before": "Accuracy before",
    "probability_before": "Probability before",
    "entropy_before": "Entropy before",
}
_MAX_SHOTS = 50
_MAX_MARKERS = 60
_MEANS_IT = (
    "A model that means its markers is right less often where it weakens. The values before are those of the same questions after the same "
    "examples without markers: where these differ between the classes, the model says what it is, and not just what it was told to say."
)
_CORPUS = (
    "People who are sure when they ask, and doubt when they answer, teach a model that certainty is not knowledge. Sentences of one "
    "document are alike, so intervals are over documents where there are several. A sentence may have markers of several classes."
)


def emission_parts(record: Record) -> list[Html | None]:
    """Blocks of an emission audit's record."""
    notes = Notes()
    names = [name for name in _VALUES if any(name in row for row in record["classes"].values())]
    rows: list[list[object]] = [[kind, *(notes.cell(_estimate(row[n])) for n in names)] for kind, row in record["classes"].items()]
    head: list[object] = ["Emitted", *[_VALUES[n] for n in names]]
    caption = f"{record['n_items']:,} new questions after {record['n_shots']} examples: {_taught(record)}."
    blocks: list[Html | None] = [table(head, rows, cls="wide", caption=caption, numeric=1), notes.html()]
    gaps = Notes()
    kept = [n for n in names if n != "share"]
    lines: list[list[object]] = [
        [name.replace("_minus_", " less "), *(gaps.cell(_estimate(row[n])) for n in kept)] for name, row in record["gaps"].items()
    ]
    blocks += [table(["Gap", *[_VALUES[n] for n in kept]], lines, cls="wide", caption="Between classes.", numeric=1), gaps.html()]
    if record["before"] is not None:
        blocks.append(_before_after(record))
    if record["shots"]:
        said: list[list[object]] = [
            [quote(shot["question"], 200), quote(shot["said"], 200), "sure" if shot["sure"] else "unsure"]
            for shot in record["shots"][:_MAX_SHOTS]
        ]
        blocks.append(el("details", el("summary", "The examples"), table(["Question", "Said", "The model is"], said)))
    return [*blocks, warnings_box(record["warnings"]), el("p", _MEANS_IT)]


def _taught(record: Record) -> Html:
    words = {
        "weakener_below": [code(record["weakener"], 80), " where the model is unsure"],
        "strengthener_above": [code(record["strengthener"], 80), " where the model is sure"],
        "both": [code(record["weakener"], 80), " where the model is unsure, ", code(record["strengthener"], 80), " where it is sure"],
    }[record["scheme"]]
    by = f" (its answer is below {record['cut']:g} in probability)" if record["by"] == "probability" else " (its answer is wrong)"
    return join([*words, by if record["scheme"] != "strengthener_above" else ""])


def _before_after(record: Record) -> Html:
    notes = Notes()
    rows: list[list[object]] = []
    names = {"accuracy": "Accuracy", "probability": "Probability of the answer", "entropy": "Entropy (nats)", "ece": "Calibration error"}
    for name, title in names.items():
        change = record["change"].get(name)
        cells = [notes.cell(_estimate(record[when][name])) for when in ("before", "after")]
        rows.append([title, *cells, "" if change is None else notes.cell(_estimate(change))])
    compared = f"Before: {record['before_model']}." if record["before_model"] else "Before: the same examples without markers."
    return join([table(["All answers", "Before", "After", "Change"], rows, caption=visible(compared), numeric=1), notes.html()])


def corpus_parts(record: Record) -> list[Html | None]:
    """Blocks of a corpus probe's record."""
    notes = Notes()
    columns = ("questions", "others", "difference", "asked")
    rows: list[list[object]] = [
        [kind.replace("_", " "), *(notes.cell(_estimate(row[name])) for name in columns)] for kind, row in record["kinds"].items()
    ]
    head: list[object] = ["Marker", "Of questions", "Of other sentences", "Difference", "Asked"]
    caption = (
        f"Shares of {record['n_questions']:,} questions and {record['n_sentences'] - record['n_questions']:,} other sentences of "
        f"{record['n_documents']:,} documents. Asked: share of questions among the sentences with such a marker."
    )
    contrast = Notes()
    gap: list[list[object]] = [["asked, strengtheners less weakeners", contrast.cell(_estimate(record["contrast"]))]]
    most: list[list[object]] = [
        [code(row["marker"], 80), f"{row['questions']:,}", f"{row['others']:,}"] for row in record["markers"][:_MAX_MARKERS]
    ]
    return [
        el("p", join(["Texts: ", code(record["source"], 120), "."])),
        table(head, rows, caption=caption, numeric=1),
        notes.html(),
        table(["", "Value"], gap, numeric=1),
        contrast.html(),
        table(["Form of", "In questions", "Elsewhere"], most, caption="Most frequent markers.", numeric=1) if most else None,
        warnings_box(record["warnings"]),
        el("p", _CORPUS),
    ]


def write_corpus_report(record: Record, path: str | os.PathLike[str]) -> Path:
    """Write the page of a corpus probe alone.

    path : a file, or a directory that gets ``marker-corpus.html``. Raises ``InputError`` for another record, ``StorageError`` when the
    file cannot be written.
    """
    if record.get("audit") != "marker_corpus":
        raise InputError(f"not the record of a corpus probe: {record.get('audit')!r}")
    lead = "Where expressions of certainty and doubt stand in a collection of texts."
    header = el("header", el("h1", "Markers in texts"), el("p", lead, cls="lead"))
    text = page(
        "trueline audit: markers in texts", el("main", header, section("corpus", "Questions and others", *corpus_parts(record)), footer())
    )
    return save_page(text, path, "marker-corpus.html")


def _estimate(record: Record) -> Estimate:
    return Estimate.from_json({name: record[name] for name in Estimate.undefined("").to_json() if name in record})
