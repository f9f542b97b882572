"""`write_report`: one self-contained HTML file on one run or on several."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trueline.errors import InputError
from trueline.reports import annotators, headline, items, missing, plots, sections
from trueline.reports.data import RunLike, RunView, read_run
from trueline.reports.glossary import glossary
from trueline.reports.html import Html, el, page, plain
from trueline.reports.saving import save_page

#: A report never grows beyond this many bytes.
MAX_BYTES = 5_000_000
#: What the runs of one report may take together; the rest is room for the page around them.
_BUDGET = 4_700_000


def write_report(run: RunLike | Sequence[RunLike], path: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of a run, or of several runs in one file with a summary on top.

    The file opens offline: no script, no request to anywhere, under 5 MB. What had to be left out for that is said where it is missing.

    Parameters
    ----------
    run : Run or sequence of Run
        Objects with ``path``, ``manifest``, ``items``, ``scores``, ``grades``, ``failures``, ``blocks()`` and ``validate()``.
    path : path, optional
        Where to write; ``report.html`` in the (first) run's directory by default. A directory gets ``report.html`` in it.

    Returns
    -------
    Path of the file.

    Raises
    ------
    InputError
        No run was given, or a file of a run is damaged.
    StorageError
        The file cannot be written.
    """
    runs: list[RunLike] = list(run) if isinstance(run, Sequence) else [run]
    if not runs:
        raise InputError("a report needs at least one run; got an empty list")
    if path is None and getattr(getattr(runs[0], "directory", None), "at_url", False):
        raise InputError("the run lies at a URL; say where on this machine the report goes (--out FILE)")
    return save_page(render(runs), path if path is not None else runs[0].path, "report.html")


def render(runs: Sequence[RunLike]) -> str:
    """Return the document of one or more runs."""
    views = [read_run(run) for run in runs]
    anchors = [f"run{i}" for i in range(1, len(views) + 1)]
    several = len(views) > 1
    parts: list[object] = []
    if several:
        parts.append(el("section", el("h2", "Summary"), headline.summary(views, anchors), id="summary"))
    left = _BUDGET - _size(parts)
    for k, (run, view, anchor) in enumerate(zip(runs, views, anchors, strict=True)):
        # each run may use its even share of what is left
        part = _fitting(run, view, anchor, left // (len(views) - k), several)
        left -= _size([part])
        parts.append(part)
    parts.insert(0, _header(views, anchors, parts))
    parts += [el("section", el("h2", "How to read this"), glossary(), id="glossary"), sections.footer()]
    name = sections.title(views[0]) if not several else f"{len(views)} runs"
    return page(f"trueline report: {name}", el("main", *parts))


def _size(parts: list[object]) -> int:
    return sum(len(str(p).encode("utf-8", errors="replace")) for p in parts)


def _fitting(run: RunLike, view: RunView, anchor: str, budget: int, several: bool) -> Html:
    """The fullest version of a run's part that fits into its budget."""
    full = sections.Caps()
    small = replace(full, items=2, text=400, question=300, samples=5, tokens=120, points=60, dots=100, reasons=5, estimators=30)
    for caps in (
        full,
        replace(full, items=4, text=800, question=600, samples=8, tokens=200),
        small,
        replace(small, items=0, points=30, dots=0),
    ):
        part = _run(run, view, anchor, caps, several)
        if _size([part]) <= budget:
            return part
    note = sections.empty("The rest of this run is left out to keep this file under 5 MB; write a report of it alone.")
    return el("section", el("h2", sections.title(view)), note, id=anchor)


def _header(views: list[RunView], anchors: list[str], parts: list[object]) -> Html:
    """Title, and links to what the parts hold."""
    one = views[0]
    if len(views) == 1:
        title, lead = sections.title(one), f"How far the answers can be trusted, and which score knows when not to. {one.n_items:,} items."
        links = [(f"{anchors[0]}-{key}", name) for key, name in _CONTENTS if f'id="{anchors[0]}-{key}"' in str(parts[0])]
    else:
        title, lead = f"{len(views)} runs", "How far the answers can be trusted, and which score knows when not to."
        links = [("summary", "Summary"), *[(a, sections.title(v)) for a, v in zip(anchors, views, strict=True)]]
    links.append(("glossary", "How to read this"))
    toc = [el("li", el("a", plain(name), href=f"#{anchor}")) for anchor, name in links[:60]]
    return el("header", el("h1", title), el("p", lead, cls="lead"), el("nav", el("ul", *toc, cls="toc"), aria_label="contents"))


_CONTENTS = (
    ("headline", "Headline"),
    ("method", "What was measured"),
    ("estimators", "Estimators"),
    ("calibration", "Calibration"),
    ("curves", "Curves"),
    ("truth", "True uncertainty"),
    ("annotators", "Annotators"),
    ("items", "Items"),
    ("failures", "Missing numbers"),
)


def _run(run: RunLike, view: RunView, anchor: str, caps: sections.Caps, several: bool) -> Html:
    choice = items.choose(view, caps)
    found = items.scan(run, {view.item_ids[i] for i in choice.all()})
    content: dict[str, tuple[str, list[object]]] = {
        "headline": ("Headline", [headline.headline(view), sections.warnings(view, found.truncated_share)]),
        "method": ("What was measured, and how", [sections.method(view, found.sentence)]),
        "estimators": ("Estimators", [sections.estimators(view, caps, anchor)]),
        "calibration": ("Calibration: does confidence mean what it says?", [plots.calibration(view, anchor)]),
        "curves": ("Telling right from wrong", [plots.discrimination(view, caps, anchor)]),
        "truth": ("True against estimated uncertainty", [plots.known_world(view, caps, anchor)]),
        "annotators": ("Annotators who disagree", _annotators(view, anchor)),
        "items": ("Most and least certain items", [items.items(view, choice, found, caps)]),
        "failures": ("Failures and missing numbers", [missing.failures(view, caps)]),
    }
    parts = [
        sections.section(f"{anchor}-{key}", title, *inside, level=3 if several else 2) for key, (title, inside) in content.items() if inside
    ]
    return el("section", el("h2", sections.title(view)) if several else None, *parts, id=anchor)


def _annotators(view: RunView, anchor: str) -> list[object]:
    summary = view.metrics.get("annotators")
    if summary is None:
        return []
    metrics = {name: entry["metrics"] for name, entry in view.metrics["estimators"].items()}
    return [annotators.annotators(summary, {n: metrics[n] for n in view.ranked() if n in metrics}, f"{anchor}-annotators")]
