"""The report of a risk audit as one self-contained HTML file: ROC, calibration by group, histogram, confidence bias, fairness."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueline.reports import charts
from trueline.reports.html import Html, el, fold, join, page, plain, quote, table
from trueline.reports.saving import save_page
from trueline.reports.sections import code, section, warnings_box
from trueline.reports.wording import Notes, number
from trueline.stats.estimate import Estimate

Record = Mapping[str, Any]
_MOST_ROWS = 40
_METRICS = {
    "roc_auc": "AUC: a row with the outcome scores above one without it this often",
    "brier_score_loss": "Brier score, mean squared error; lower is better",
    "log_loss": "log loss, nats",
    "ece": "ECE, equal-width bins",
    "ece_quantile": "ECE, quantile bins",
    "smooth_ece": "smooth ECE, without bins",
    "signed_error": "signed error: mean score less share of outcomes",
    "confidence_bias": "confidence bias: above 0 over-confident, below 0 under-confident",
    "accuracy": "accuracy at the threshold",
    "balanced_accuracy": "balanced accuracy",
    "tpr": "true-positive rate",
    "fpr": "false-positive rate",
    "precision": "precision",
    "ppr": "share predicted positive",
    "base_rate": "share of outcomes",
    "mean_score": "mean score",
}
_OF_GROUPS = ("base_rate", "mean_score", "signed_error", "confidence_bias", "roc_auc", "accuracy", "tpr", "fpr", "ppr")
_COMPARED = ("accuracy", "tpr", "fpr", "ppr", "equalized_odds")


def write_risk_report(document: Record, path: str | os.PathLike[str]) -> Path:
    """Write the page of a risk audit's record; a directory gets ``risk.html``. Raises ``StorageError`` when it cannot be written."""
    return save_page(render_risk(document), path, "risk.html")


def render_risk(document: Record) -> str:
    """Return the page as text."""
    report = document["report"]
    blocks = [_header(document), warnings_box(document["warnings"]), section("scores", "Scores", _metrics(report), _charts(document))]
    if report["groups"]:
        blocks.append(
            section("groups", f"By {plain(document['task']['group'])}", _group_charts(document), _groups(report), _fairness(report))
        )
    if document["importance"]:
        blocks.append(section("importance", "What the scores depend on", _importance(document["importance"])))
    blocks += [
        section("prompt", "What the model was shown", fold("The prompt of one row", quote(document["task"]["prompt"], 6000))),
        _reading(),
    ]
    return page(f"trueline audit: risk scores of {plain(document['model'])}"[:200], el("main", *[b for b in blocks if b is not None]))


def _header(document: Record) -> Html:
    task, asked = document["task"], document["asked"]
    orders = asked["order_sensitivity"]
    facts: list[tuple[str, object]] = [
        ("Model", code(document["model"])),
        ("Table", join([code(task["name"]), f", {task['n']:,} rows of the {task['split']} split ({task['n_table']:,} in all)"])),
        ("Outcome", code(task["target"])),
        ("Question", join([f"{task['question']['kind']}: ", quote(task["question"]["text"], 400)])),
        (
            "Calls",
            f"{asked['calls']:,} asked, {asked['failed']:,} rows without an answer, {asked['parse_failures']:,} answers without a number",
        ),
        ("Orders of the options", f"{asked['orders']}"),
    ]
    if orders is not None:
        facts.append(("Order sensitivity", Notes().line(Estimate.from_json(orders), 3)))
    if asked["mean_mass"] is not None:
        facts.append(("Probability of the options together", number(asked["mean_mass"])))
    fitted = document["fitted"]
    how = "" if fitted is None else f", fitted on {fitted['n']} rows of the train split"
    facts.append(("Threshold", f"{number(document['report']['threshold'])}{how}"))
    pairs = [part for name, value in facts for part in (el("dt", name), el("dd", value))]
    return el("header", el("h1", "Risk scores"), el("dl", *pairs, cls="facts"))


def _metrics(report: Record) -> Html:
    notes = Notes()
    rows: list[list[object]] = [[text, notes.cell(Estimate.from_json(report["metrics"][name]))] for name, text in _METRICS.items()]
    caption = f"{report['n']:,} rows; scores at or above {number(report['threshold'])} are predicted positive."
    return join([table(["", "Value"], rows, cls="tight", caption=caption, numeric=1), notes.html()])


def _curve(name: str, found: Record) -> charts.Curve:
    parts = (np.array([np.nan if v is None else v for v in found[key]], dtype=np.float64) for key in ("x", "y", "low", "high"))
    return charts.Curve(name, *parts)


def _charts(document: Record) -> Html:
    curves = document["curves"]
    roc = charts.curves(
        [_curve("scores", curves["roc"])], x="false-positive rate", y="true-positive rate", chance=[(0, 0), (1, 1)], percent=False
    )
    calibration = charts.curves(
        [_curve("all rows", curves["calibration"]["all"])], x="mean score", y="share of outcomes", chance=[(0, 0), (1, 1)], percent=False
    )
    both = [a + b for a, b in zip(curves["histogram"]["label_0"], curves["histogram"]["label_1"], strict=True)]
    figures = [
        charts.figure(roc, label="ROC curve", prefix="roc", caption="ROC curve with a pointwise band."),
        charts.figure(
            calibration, label="Calibration curve", prefix="calibration", caption="Calibration in five bins of equally many rows."
        ),
        charts.figure(charts.histogram(both, x="score", y="rows"), label="Histogram of scores", prefix="histogram", caption="Scores."),
    ]
    return el("div", *figures, cls="charts three")


def _group_charts(document: Record) -> Html:
    groups = {name: found for name, found in document["curves"]["calibration"].items() if name != "all"}
    figures = []
    if groups:
        lines = [_curve(name[:60], found) for name, found in groups.items()]
        chart = charts.curves(lines, x="mean score", y="share of outcomes", chance=[(0, 0), (1, 1)], percent=False)
        text = "Calibration by group (at most five, those with 4 % of the rows or more)."
        above = charts.key([line.name for line in lines])
        figures.append(charts.figure(chart, label="Calibration by group", prefix="groups", caption=text, above=above))
    rows = {"all rows": document["report"]["metrics"], **document["report"]["groups"]}
    found = [(name[:60], Estimate.from_json(metrics["confidence_bias"])) for name, metrics in list(rows.items())[:_MOST_ROWS]]
    ends = ([getattr(e, key) for _, e in found] for key in ("value", "low", "high"))
    bars = charts.forest([name for name, _ in found], *ends, title="confidence bias", mark=0.0)
    figures.append(
        charts.figure(bars, label="Confidence bias by group", prefix="bias", caption="Right of 0: over-confident; left: under-confident.")
    )
    return el("div", *figures, cls="charts")


def _groups(report: Record) -> Html:
    notes = Notes()
    shown = list(report["groups"].items())[:_MOST_ROWS]
    rows: list[list[object]] = []
    for name, found in shown:
        estimates = [Estimate.from_json(found[metric]) for metric in _OF_GROUPS]
        rows.append([code(name, 80), f"{estimates[0].n:,}", *[notes.cell(e, 2) for e in estimates]])
    head: list[object] = ["Group", "Rows", *[metric.replace("_", " ") for metric in _OF_GROUPS]]
    left = len(report["groups"]) - len(shown)
    caption = f"Every group with its number of rows.{f' {left} more are left out.' if left else ''}"
    return join([table(head, rows, cls="wide", caption=caption, numeric=1), notes.html()])


def _fairness(report: Record) -> Html | None:
    found = report["fairness"]
    if found is None:
        return None
    notes = Notes()
    rows: list[list[object]] = []
    for name in _COMPARED:
        diff, ratio = (Estimate.from_json(found["values"][f"{name}_{kind}"]) for kind in ("diff", "ratio"))
        chance, p = found["chance"][f"{name}_diff"], found["p_values"][f"{name}_diff"]
        by_chance = [number(v) if v is not None else "\u2013" for v in (chance, p)]
        rows.append([name.replace("_", " "), notes.cell(diff), *by_chance, notes.cell(ratio)])
    left = ", ".join(f"{plain(name)[:40]} ({n})" for name, n in list(found["left_out"].items())[:10])
    caption = f"Between {len(found['groups'])} groups.{f' Too small to compare: {left}.' if left else ''}"
    head: list[object] = ["Rate", "Largest difference", "By chance", "p", "Smallest ratio"]
    return join([table(head, rows, cls="wide", caption=caption, numeric=1), notes.html()])


def _importance(found: Record) -> Html:
    ordered: Sequence[tuple[str, Estimate]] = sorted(((n, Estimate.from_json(e)) for n, e in found.items()), key=lambda p: -p[1].value)
    ordered = ordered[:_MOST_ROWS]
    ends = ([getattr(e, key) for _, e in ordered] for key in ("value", "low", "high"))
    chart = charts.forest([name[:60] for name, _ in ordered], *ends, title="fall of the AUC", mark=0.0)
    text = "Fall of the AUC when one column is shuffled among the rows; columns that say the same share it."
    return charts.figure(chart, label="Feature importance", prefix="importance", caption=text)


def _reading() -> Html:
    pairs = (
        ("Calibration", "Of the rows that score 0.3, three in ten should have the outcome. A good AUC says nothing about it."),
        (
            "Confidence bias",
            "Over-confident scores lie further from one half than the outcomes; a signed error moves all of them to one side.",
        ),
        (
            "Order sensitivity",
            "How far the score moves when the options change places. Above 0.2 the model reads the position, not the row.",
        ),
        ("By chance", "What the largest difference would be if the groups were shuffled; small groups differ by chance alone."),
    )
    words = el("dl", *[part for word, text in pairs for part in (el("dt", word), el("dd", text))], cls="facts")
    return section("reading", "How to read this", words)
