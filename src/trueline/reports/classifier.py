"""The report of a classifier audit: one self-contained HTML page from its record and its curves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueline.reports import charts
from trueline.reports.classifier_classes import class_names, class_parts, confusion_parts
from trueline.reports.html import Html, el, join, page, plain, table
from trueline.reports.saving import save_page
from trueline.reports.sections import code, empty, footer, section, warnings_box
from trueline.reports.wording import Notes, number
from trueline.stats.estimate import Estimate

Record = Mapping[str, Any]
_FAILURES = {"auroc": "AUROC", "trust_index": "Trust index", "excess_optimal_risk": "Excess optimal risk", "aurc": "AURC"}
_FOREIGN = {"auroc": "AUROC", "auprc_out": "Average precision", "fpr_at_95_in": "Foreign accepted", "fpr_at_95_out": "Own rejected"}
_QUANTITIES = {"accuracy": "accuracy", "signed_level": "signed level", "failure_auroc": "AUROC of errors"}
_SCALINGS = {"unscaled": "as given", "temperature": "with one temperature", "classwise": "with a temperature by class"}
#: Curves that one chart tells apart, and rows of a table at most; what is left out is counted.
_MAX_LINES, _MAX_ROWS = 6, 60


def write_classifier_report(
    document: Record, curves: Record, path: str | os.PathLike[str], *, title: str = "classifier", level: float = 0.95
) -> Path:
    """Write the page of a classifier audit; it opens offline, without a script or a request to anywhere.

    Parameters
    ----------
    document : mapping
        `SafetyReport.document`, and ``classes``: the names of the classes.
    curves : mapping
        What `classifier_curves` found in the same table.
    path : path
        A file, or a directory that gets ``classifier.html``.
    title : str
        What was audited, such as the name of the table.
    level : float
        Coverage of the intervals.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    return save_page(render_classifier(document, curves, title=title, level=level), path, "classifier.html")


def render_classifier(document: Record, curves: Record, *, title: str = "classifier", level: float = 0.95) -> str:
    """Return the page as text; arguments as in `write_classifier_report`."""
    names = class_names(document["classes"])
    attention = warnings_box(document["findings"], "What the intervals show")
    parts = [
        section("calibration", "Is it as sure as it is right?", *_calibration(document, curves, level)),
        section("classes", "Risk by class", *class_parts(document, names)),
        section("confusion", "What is taken for what", *confusion_parts(document, curves["mixups"], names)),
        section("errors", "Which score finds the errors?", *_errors(document, curves)),
        section("recalibration", "What a temperature mends", *_recalibration(document, names)),
        section("foreign", "Inputs of another kind", *_foreign(document, curves)),
        section("overfit", "Was it trained on this?", *_overfit(document)),
        section("perturbations", "Under rising perturbation", *_perturbations(document)),
        section("reading", "How to read this", _reading()),
    ]
    quiet = None if attention else empty("No interval clears its bar: nothing is shown to be wrong. With few items that says little.")
    body = el("main", _header(document, title, level), attention, quiet, *parts, footer())
    return page(f"trueline audit: classifier {plain(title)}"[:200], body)


def _header(document: Record, title: str, level: float) -> Html:
    off, notes = document["miscalibration"], Notes()
    counts = ", ".join(f"{n:,} {name}" for name, n in document["counts"].items() if n)
    facts: list[tuple[str, object]] = [
        ("Table", code(title)),
        ("Rows", f"{counts}, without those under a perturbation"),
        ("Classes", f"{len(document['classes']):,}"),
        ("Accuracy", notes.line(Estimate.from_json(document["accuracy"]), 3)),
        ("Confidence less accuracy", join([notes.line(Estimate.from_json(off["signed"]), 3), " (signed level; above 0 over-confident)"])),
        ("ECE", notes.line(Estimate.from_json(off["ece"]), 3)),
        ("Intervals", f"{100 * level:g} %"),
    ]
    lead = "How far can its answers be trusted? Everything on this page is of the test rows, unless it says so."
    pairs = [part for name, value in facts for part in (el("dt", name), el("dd", value))]
    return el("header", el("h1", "Classifier"), el("p", lead, cls="lead"), el("dl", *pairs, cls="facts"), notes.html())


# -- calibration ------------------------------------------------------------------------------------------------------


def _calibration(document: Record, curves: Record, level: float) -> list[Html]:
    figures = []
    for name, found in curves["reliability"].items():
        bins, smooth = _curve(name, found["bins"], "confidence", "accuracy"), _curve(name, found["smooth"])
        off = document["miscalibration"] if name == "unscaled" else document["scaled"][name]["miscalibration"]
        signed, ece = Estimate.from_json(off["signed"]), Estimate.from_json(off["ece"])
        text = (
            f"Confidence {_SCALINGS[name]}: signed level {_between(signed)}, ECE {_between(ece)}. Line: smoothed, with its pointwise "
            f"{100 * level:g} % band. Dots: bins, larger ones hold more items."
        )
        chart = charts.reliability(bins, np.asarray(found["bins"]["count"], dtype=np.float64), smooth)
        figures.append(charts.figure(chart, label=f"Reliability diagram, {_SCALINGS[name]}", prefix=f"rel-{name}", caption=text))
    counts = charts.histogram(curves["confidence"], x="largest probability", y="items")
    text = "How sure it says it is: items by their largest probability, as given."
    figures.append(charts.figure(counts, label="Histogram of the confidence", prefix="confidence", caption=text))
    return [el("div", *figures, cls="charts")]


def _between(e: Estimate) -> str:
    return f"{number(e.value)} ({number(e.low)} to {number(e.high)})" if np.isfinite(e.low) else number(e.value)


def _curve(name: str, found: Record, x: str = "x", y: str = "y") -> charts.Curve:
    """A curve from lists in which None is undefined."""
    return charts.Curve(name, *(np.array([np.nan if v is None else v for v in found[key]], float) for key in (x, y, "low", "high")))


# -- errors and foreign inputs ----------------------------------------------------------------------------------------


def _scored(rows: Record, columns: Mapping[str, str], caption: str) -> list[Html | None]:
    notes = Notes()
    cells: list[list[object]] = [[code(name), *(notes.cell(Estimate.from_json(found[c])) for c in columns)] for name, found in rows.items()]
    return [table(["Score", *columns.values()], cells, caption=caption, numeric=1), notes.html()]


def _errors(document: Record, curves: Record) -> list[Html | None]:
    caption = "How well each score tells wrong answers from right ones; a lower excess risk and AURC are better."
    blocks = _scored(document["failures"], _FAILURES, caption)
    drawn = [_curve(name, found) for name, found in curves["roc"].items()]
    drawn = [c for c in drawn if np.isfinite(c.y).any()]
    if not drawn:
        reason = Estimate.from_json(next(iter(document["failures"].values()))["auroc"]).reason
        return [*blocks, empty(f"No curves: {plain(reason)}.")]
    risks = [_curve(name, found) for name, found in curves["risk"].items()]
    key = charts.key([c.name for c in drawn])
    roc = charts.curves(drawn, x="right answers flagged", y="wrong answers flagged", chance=[(0, 0), (1, 1)])
    error = 1 - Estimate.from_json(document["accuracy"]).value
    # the first few answers make a wild curve; the scale is set by the rest
    top = max(float(np.nanmax(np.where(np.isfinite(c.high), c.high, c.y)[c.x >= min(0.1, c.x.max())])) for c in risks)
    risk = charts.curves(
        risks,
        x="share answered (coverage)",
        y="share wrong among them (risk)",
        y_domain=(0.0, min(1.0, max(0.05, 1.05 * top))),
        chance=[(0, error), (1, error)],
    )
    left = len(document["failures"]) - len(drawn)
    same = f" {left} more put the items in the same order as one of these." if left else ""
    pair = [
        charts.figure(roc, label="ROC curves of errors", prefix="roc", above=key, caption=f"ROC curves with pointwise bands.{same}"),
        charts.figure(
            risk,
            label="Risk-coverage curves",
            prefix="risk",
            above=key,
            caption="The error rate when only the most certain items are answered. Dashed: the error rate of all.",
        ),
    ]
    return [*blocks, el("div", *pair, cls="charts")]


def _foreign(document: Record, curves: Record) -> list[Html | None]:
    if not document["foreign"]:
        return [empty(_why(document, "foreign"))]
    share = next(iter(document["foreign"].values()))["share_out"]
    caption = (
        f"How well each score tells rows of split ood from test rows; {100 * share:.0f} % are foreign. Accepted: of the foreign, where "
        "95 % of the own ones are; rejected: of the own, where 95 % of the foreign ones are."
    )
    drawn = [_curve(name, found) for name, found in curves["foreign"].items()]
    roc = charts.curves(drawn, x="own inputs flagged", y="foreign inputs flagged", chance=[(0, 0), (1, 1)])
    key = charts.key([c.name for c in drawn])
    figure = charts.figure(
        roc, label="ROC curves of foreign inputs", prefix="foreign-roc", above=key, caption="ROC curves with pointwise bands."
    )
    return [*_scored(document["foreign"], _FOREIGN, caption), el("div", figure, cls="charts")]


def _why(document: Record, part: str) -> str:
    return f"Left out: {plain(document['left_out'].get(part, 'the table holds nothing for it'))}."


# -- recalibration and overfitting ------------------------------------------------------------------------------------


def _recalibration(document: Record, names: Sequence[str]) -> list[Html | None]:
    fitted = document["recalibration"]
    if fitted is None:
        return [empty(_why(document, "recalibration"))]
    notes = Notes()
    rows: list[list[object]] = []
    for name, found in document["scaled"].items():
        off = found["miscalibration"]
        rows.append(
            [_SCALINGS[name], *(notes.cell(Estimate.from_json(e)) for e in (found["accuracy"], off["signed"], off["ece"], off["gap"]))]
        )
    caption = (
        f"Fitted on {document['counts']['validation']:,} validation rows, chosen by {fitted['selected_by'].upper()}; the numbers are of "
        f"the test rows. The common temperature is {number(fitted['base'], 2)}: above 1 it lowers confidence."
    )
    head: list[object] = ["Logits", "Accuracy", "Signed level", "ECE", "Sum of class levels"]
    order = np.argsort(-np.abs(np.log(np.array(fitted["temperatures"]) / fitted["base"])), kind="stable")[:_MAX_ROWS]
    by_class: list[list[object]] = [[names[k], number(fitted["temperatures"][k], 2), _level(fitted["levels"][k])] for k in order]
    left = len(names) - len(by_class)
    text = f"Temperature of each class, furthest from the common one first.{f' {left:,} more are left out.' if left else ''}"
    listed = table(["Class", "Temperature", "Signed level at the common one"], by_class, cls="tight", caption=text, numeric=1)
    return [table(head, rows, caption=caption, numeric=1), notes.html(), listed]


def _level(value: float | None) -> object:
    return el("span", "no items", cls="faint") if value is None else number(value)


def _overfit(document: Record) -> list[Html | None]:
    found, notes = document["overfit"], Notes()
    if found is None:
        return [empty(_why(document, "overfit"))]
    rows: list[list[object]] = [["A training row scores above a test row (AUROC)", "", "", notes.cell(Estimate.from_json(found["auroc"]))]]
    for text, part in (("Accuracy", "accuracy"), ("Signed level", "signed")):
        cells = [notes.cell(Estimate.from_json(found[f"{side}_{part}"])) for side in ("train", "heldout")]
        rows.append([text, *cells, notes.cell(Estimate.from_json(found[f"{part}_gap"]))])
    caption = "By the probability of the given label. An AUROC of 0.5 is no trace of the training set."
    return [table(["", "Training rows", "Test rows", "Together, or difference"], rows, caption=caption, numeric=1), notes.html()]


# -- perturbations ----------------------------------------------------------------------------------------------------


def _perturbations(document: Record) -> list[Html | None]:
    found = document["perturbations"]
    if found is None:
        return [empty(_why(document, "perturbations"))]
    areas = found["areas"]
    order = sorted(areas, key=lambda name: _height(areas[name]["accuracy"]))
    names = dict(zip(order, class_names(order), strict=True))
    shown = order[:_MAX_LINES]
    figures = [_by_severity(found, quantity, {s: names[s] for s in shown}) for quantity in _QUANTITIES]
    left = f" Drawn are the {_MAX_LINES} of {len(order)} that cost most accuracy." if len(order) > _MAX_LINES else ""
    text = f"By severity, 0 being the clean inputs, with intervals.{left}"
    made = [figure for figure in figures if figure is not None]
    key = charts.key([names[s] for s in shown])
    drawn = [el("p", text, cls="small faint"), key, el("div", *made, cls="charts three")] if made else []
    return [*drawn, *_heights(areas, names), *_severities(found, names)]


def _height(record: Record) -> float:
    return float(np.inf if record["value"] is None else record["value"])


def _by_severity(found: Record, quantity: str, names: Mapping[str, str]) -> Html | None:
    lines = []
    for shift, name in names.items():
        at = [found["clean"], *(p for p in found["perturbed"] if p["shift"] == shift)]
        values = [Estimate.from_json(p["values"][quantity]) for p in at]
        columns = ([p["severity"] for p in at], *([getattr(e, end) for e in values] for end in ("value", "low", "high")))
        lines.append(charts.Curve(name, *(np.array(column, dtype=np.float64) for column in columns)))
    if not any(np.isfinite(c.y).any() for c in lines):
        return None
    last = max(float(c.x.max()) for c in lines)
    mark = {"signed_level": (0.0, "neither side"), "failure_auroc": (0.5, "chance")}.get(quantity)
    ends = np.concatenate([part[np.isfinite(part)] for c in lines for part in (c.y, c.low, c.high)])
    marked = ends if mark is None else np.append(ends, mark[0])
    low, high = float(marked.min()), float(marked.max())
    chart = charts.curves(
        lines,
        x="severity",
        y=_QUANTITIES[quantity],
        x_domain=(0, last),
        y_domain=(low - 0.03, min(1.0, high + 0.03)),
        chance=None if mark is None else [(0, mark[0]), (last, mark[0])],
        percent=False,
        whole=True,
    )
    text = f"{_capital(_QUANTITIES[quantity])}.{'' if mark is None else f' Dashed: {mark[1]}.'}"
    return charts.figure(chart, label=f"{_QUANTITIES[quantity]} by severity", prefix=f"severity-{quantity}", caption=text)


def _heights(areas: Record, names: Mapping[str, str]) -> list[Html | None]:
    notes = Notes()
    rows: list[list[object]] = [
        [name, *(notes.cell(Estimate.from_json(areas[s][q])) for q in _QUANTITIES)] for s, name in list(names.items())[:_MAX_ROWS]
    ]
    caption = f"Mean height of each curve, the clean inputs included, lowest accuracy first.{_left(len(names))}"
    return [table(["Perturbation", *map(_capital, _QUANTITIES.values())], rows, caption=caption, numeric=1), notes.html()]


def _severities(found: Record, names: Mapping[str, str]) -> list[Html | None]:
    notes = Notes()
    rows: list[list[object]] = []
    for p in found["perturbed"][:_MAX_ROWS]:
        pairs = [notes.cell(Estimate.from_json(p[kind][q])) for q in _QUANTITIES for kind in ("values", "changes")]
        rows.append([f"{names[p['shift']]} {p['severity']}", *pairs])
    head: list[object] = ["Severity", *(part for text in _QUANTITIES.values() for part in (_capital(text), "change"))]
    caption = f"Each severity, and its change from the clean inputs, paired by item.{_left(len(found['perturbed']))}"
    return [table(head, rows, cls="wide", caption=caption, numeric=1), notes.html()]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _left(n: int) -> str:
    return f" {n - _MAX_ROWS:,} more are left out." if n > _MAX_ROWS else ""


def _reading() -> Html:
    pairs = (
        ("Signed level", "Mean confidence less accuracy: above 0 over-confident, below 0 under-confident. Sides of classes can cancel."),
        ("Risk", "Share of wrong answers. Of a class: of the items that belong to it (missed). Of a prediction: of the items called so."),
        ("ECE", "Mean distance of confidence and accuracy over bins; never below 0, and never quite 0 for a finite sample."),
        ("Sum of class levels", "Distances of the signed levels of all true classes from 0, added up: 0 only where no class is off."),
        ("Trust index", "Accuracy among the k most certain items, k being the number of right ones; 1 is a perfect order."),
        ("Excess optimal risk", "Area between the risk-coverage curve and the best possible one, from k items on; 0 is a perfect order."),
        ("AUROC", "How often a wrong (or foreign) item scores above a right (or own) one; 0.5 is chance."),
    )
    return el("dl", *[part for word, text in pairs for part in (el("dt", word), el("dd", text))], cls="facts")
