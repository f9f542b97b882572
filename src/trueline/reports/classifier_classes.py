"""The parts of a classifier's report that go class by class: risk and level of each, and what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trueline.reports import charts
from trueline.reports.html import Html, el, join, plain, table
from trueline.reports.sections import empty
from trueline.reports.wording import Notes
from trueline.stats.estimate import Estimate

Record = Mapping[str, Any]
#: Classes that a table and a chart show, classes of a confusion table (with numbers in its cells).
_MAX_CLASSES, _MAX_DRAWN, _MAX_GRID, _NUMBERED = 60, 30, 24, 12
_MAX_NAME = 32


def class_names(names: Sequence[str]) -> list[str]:
    """Return names as a chart can show them: hidden characters spelt out, long ones cut, no two alike."""
    shown: list[str] = []
    seen: set[str] = set()
    for k, name in enumerate(names):
        text = plain(name) or "(no name)"
        text = text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}\u2026"
        text = f"{text} (class {k})" if text in seen else text
        seen.add(text)
        shown.append(text)
    return shown


def class_parts(document: Record, names: Sequence[str]) -> list[Html | None]:
    """Return the table of all classes, the riskiest first, and its two charts."""
    off = document["miscalibration"]
    risk = [Estimate.from_json(e) for e in document["class_risk"]]
    called = [Estimate.from_json(e) for e in document["predicted_risk"]]
    level, of_true = ([Estimate.from_json(e) for e in off[key]] for key in ("predicted_class_signed", "class_signed"))
    order = sorted(range(len(names)), key=lambda k: -_known(risk[k].value))
    notes = Notes()
    rows: list[list[object]] = []
    for k in order[:_MAX_CLASSES]:
        cells = [notes.cell(e[k]) for e in (risk, called, level, of_true)]
        rows.append([names[k], f"{off['class_n'][k]:,}", cells[0], f"{called[k].n:,}", *cells[1:]])
    left = len(order) - len(rows)
    caption = f"Highest share of missed items first.{f' {left:,} classes are left out.' if left else ''} {_pooled(document)}"
    head: list[object] = ["Class", "Items", "Missed", "Predicted", "Wrong among them", "Signed level, predicted", "Signed level, true"]
    figures = [
        _forest(names, risk, order, "share of the class that is missed", "class-risk", 1 - document["accuracy"]["value"], "all items"),
        _forest(names, level, order, "signed level of items predicted so", "class-level", 0.0, "neither side"),
    ]
    drawn = [figure for figure in figures if figure is not None]
    return [table(head, rows, cls="wide", caption=caption, numeric=1), notes.html(), el("div", *drawn, cls="charts") if drawn else None]


def _pooled(document: Record) -> str:
    n = sum(1 for count in document["miscalibration"]["class_n"] if 0 < count < 20)
    return f"{n:,} classes have fewer than 20 items: look at their intervals." if n > 1 else "Intervals are of each class alone."


def _known(value: float) -> float:
    return -1.0 if np.isnan(value) else value


def _forest(
    names: Sequence[str], values: Sequence[Estimate], order: Sequence[int], title: str, prefix: str, mark: float, meaning: str
) -> Html | None:
    defined = [k for k in order if values[k].defined]
    shown = defined[:_MAX_DRAWN]
    if not shown:
        return None
    ends = ([getattr(values[k], key) for k in shown] for key in ("value", "low", "high"))
    chart = charts.forest([names[k] for k in shown], *ends, title=title, mark=mark)
    first = f" The first {len(shown)} of {len(defined):,} classes." if len(shown) < len(defined) else ""
    caption = f"{title[:1].upper()}{title[1:]}, with intervals. Dashed: {meaning}.{first}"
    return charts.figure(chart, label=f"{title[:1].upper()}{title[1:]}, by class", prefix=prefix, caption=caption)


def confusion_parts(document: Record, mixups: Sequence[Record], names: Sequence[str]) -> list[Html | None]:
    """Return the confusion table as shades, and the most frequent mix-ups with intervals."""
    pairs = np.array(document["confusion"], dtype=np.int64).reshape(-1, 3)
    mixed = pairs[pairs[:, 0] != pairs[:, 1]]
    if not len(mixed):
        return [empty("No test item is taken for another class.")]
    k = len(names)
    of_true = np.bincount(pairs[:, 0], pairs[:, 2], k)
    involved = np.bincount(mixed[:, 0], mixed[:, 2], k) + np.bincount(mixed[:, 1], mixed[:, 2], k)
    kept = np.sort(np.argsort(-involved, kind="stable")[:_MAX_GRID])
    place = {int(c): i for i, c in enumerate(kept)}
    grid = np.where(of_true[kept, None] > 0, 0.0, np.nan) * np.ones((1, len(kept)))
    for true, predicted, n in pairs:
        if true in place and predicted in place:
            grid[place[true], place[predicted]] = n / of_true[true]
    shown = [names[c] for c in kept]
    chart = charts.heatmap(shown, shown, grid, domain=(0, 1), numbers=len(shown) <= _NUMBERED)
    first = f" The {len(shown)} of {k:,} classes with most mix-ups." if len(shown) < k else ""
    caption = f"Of the items of the class of the row, the share predicted as the class of the column; the diagonal is right.{first}"
    figure = charts.figure(chart, label="Confusion of the classes", prefix="confusion-grid", caption=caption)
    return [figure, _mixups(mixups, names, len(mixed))]


def _mixups(found: Sequence[Record], names: Sequence[str], n_pairs: int) -> Html:
    notes = Notes()
    rows: list[list[object]] = [
        [names[m["true"]], names[m["predicted"]], f"{m['n']:,}", notes.line(Estimate.from_json(m["share"]), 3)] for m in found
    ]
    rarer = f" {n_pairs - len(rows):,} rarer pairs are left out." if len(rows) < n_pairs else ""
    caption = f"Most frequent mix-ups; shares are of the items of the true class.{rarer}"
    head: list[object] = ["True class", "Predicted as", "Items", "Share"]
    return join([table(head, rows, cls="tight", caption=caption, numeric=2), notes.html()])
