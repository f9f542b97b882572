"""Annotators who disagree, drawn: how certain their labels are, accuracy against them by how far they are trusted, who agrees with whom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueline.reports import charts
from trueline.reports.html import Html, el, join, page, plain, table
from trueline.reports.saving import save_page
from trueline.reports.sections import code, empty
from trueline.reports.wording import Notes, bracket, percent
from trueline.stats.estimate import Estimate

_MOST = 40
_SCORES = (("auroc", "ua_auroc", "AUROC"), ("aurc", "ua_aurc", "AURC"), ("smooth_ece", "ua_smooth_ece", "cal. error"))


def annotators(summary: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], prefix: str) -> Html:
    """Return the section on annotators: sentences, plots and tables of `annotator_summary`; ``metrics``: by estimator, may be empty."""
    if "problem" in summary:
        return empty(f"Nothing is computed against the annotations: {plain(summary['problem'])}.")
    figures = [f for f in (_certainty(summary, prefix), _accuracy(summary, prefix), _people(summary, prefix)) if f is not None]
    parts = [_sentences(summary), el("div", *figures, cls="charts three"), _predictions(summary), _scores(metrics)]
    return join([p for p in parts if p is not None])


def write_annotators(summary: Mapping[str, Any], path: str | os.PathLike[str], title: str) -> Path:
    """Write a page of its own on a table of annotations. Raises ``StorageError`` when the file cannot be written."""
    lead = f"{summary['n_answers']:,} answers of annotators on {summary['n_cases']:,} items, {len(summary['classes']):,} labels."
    body = el(
        "main",
        el("header", el("h1", plain(f"Annotators of {title}"[:200])), el("p", lead, cls="lead")),
        el("section", annotators(summary, {}, "annotators")),
        el("section", el("h2", "How to read this"), _words()),
    )
    return save_page(page(f"trueline annotators: {plain(title)[:200]}", body), path, "annotators.html")


def _estimate(record: Mapping[str, Any]) -> Estimate:
    return Estimate.from_json({k: v for k, v in record.items() if k not in ("first", "second")})


def _sentences(s: Mapping[str, Any]) -> Html:
    certainty, ambiguous, agreement = (_estimate(s[k]) for k in ("certainty", "ambiguous", "agreement"))
    lines = []
    if ambiguous.defined:
        text = f"{percent(ambiguous.value, ambiguous.n)} of the items are ambiguous "
        rest = f": their annotations leave the label less than 99\u202f% certain. Mean certainty {percent(certainty.value, certainty.n)} "
        lines.append(join([el("strong", text), bracket(ambiguous, share=True), rest, bracket(certainty, share=True), "."]))
    if agreement.defined:
        text = f"An annotator names the label most voted by the others {percent(agreement.value, agreement.n)} of the time "
        lines.append(join([el("strong", text), bracket(agreement, share=True), "."]))
    lone, none = s["n_single"], s["n_cases"] - s["n_annotated"]
    if lone:
        lines.append(join([f"{lone:,} items have one annotator only: nobody could disagree there, so their certainty is too high."]))
    if none:
        lines.append(join([f"{none:,} items have no annotations and are left out."]))
    return el("ul", *[el("li", line) for line in lines], cls="headline")


def _certainty(s: Mapping[str, Any], prefix: str) -> Html | None:
    if not sum(s["histogram"]):
        return None
    chart = charts.histogram(s["histogram"], x="certainty of the label", y="items")
    trust = (
        "each annotator counting for one vote"
        if s["reliability"] is None
        else f"the annotators counting for {s['reliability']:g} votes together"
    )
    text = (
        f"How certain the annotations leave the label of an item: the chance that the top label is the top one of all annotators; {trust}."
    )
    return charts.figure(chart, label="Distribution of annotation certainty", prefix=f"{prefix}-certainty", caption=text)


def _accuracy(s: Mapping[str, Any], prefix: str) -> Html | None:
    """Plain beside adjusted accuracy, by how far the annotators are trusted."""
    entries = dict(list(s["predictions"].items())[:6])
    if not entries:
        return None
    labels = ["voted", "fresh", *[f"{row['reliability']:g}" for row in s["sweep"]]]
    lines = []
    for name, e in entries.items():
        found = [_estimate(r) for r in (e["standard"], e["votes"], *[row["adjusted"] for row in e["sweep"]])]
        lines.append(charts.curve(name, np.arange(len(found)), *([getattr(f, k) for f in found] for k in ("value", "low", "high"))))
    chart = charts.strata(lines, labels, x="truth: votes the annotators count for", y="accuracy", percent=True)
    text = (
        "Accuracy against the most voted label, agreement with a fresh annotator (share of votes), and accuracy that the annotations alone "
        "support when they count for 1, 3, 10 or 30 votes. The supported one is not the true accuracy: few votes cannot support much."
    )
    key = charts.key(list(entries), shapes=True)
    return charts.figure(chart, label="Plain and adjusted accuracy", prefix=f"{prefix}-adjusted", caption=text, above=key)


def _people(s: Mapping[str, Any], prefix: str) -> Html | None:
    found = [(a["annotator"], _estimate(a["agreement"])) for a in s["annotators"]]
    found = sorted([(n, e) for n, e in found if e.defined], key=lambda x: -x[1].value)
    if not found:
        return None
    shown = found if len(found) <= _MOST else [*found[: _MOST // 2], *found[-_MOST // 2 :]]
    ends = ([getattr(e, k) for _, e in shown] for k in ("value", "low", "high"))
    chart = charts.forest([n for n, _ in shown], *ends, title="names a top label of the others")
    left = f" The {len(found) - len(shown):,} in the middle of {len(found):,} are left out." if len(shown) < len(found) else ""
    text = f"Reliability: how often each annotator names a top label of the others on the same item, with intervals.{left}"
    return charts.figure(chart, label="Reliability of annotators", prefix=f"{prefix}-people", caption=text)


def _predictions(s: Mapping[str, Any]) -> Html | None:
    if not s["predictions"]:
        return None
    notes = Notes()
    rows: list[list[object]] = [
        [code(n), *[notes.cell(_estimate(e[k])) for k in ("standard", "votes", "adjusted")], f"{e['n_unnamed']:,}"]
        for n, e in list(s["predictions"].items())[:_MOST]
    ]
    head: list[object] = ["Prediction", "Most voted label", "Fresh annotator", "Supported", "No annotator's label"]
    parts = [table(head, rows, cls="tight", caption="Accuracy against annotators who disagree", numeric=1), notes.html()]
    gaps: list[list[object]] = [[f"{d['first']} minus {d['second']}"[:120], notes.line(_estimate(d), 3)] for d in s["differences"][:_MOST]]
    if gaps:
        parts.append(table(["Pair", "Difference in supported accuracy"], gaps, cls="tight", caption="Paired differences", numeric=1))
    return join([p for p in parts if p is not None])


def _scores(metrics: Mapping[str, Mapping[str, Any]]) -> Html | None:
    """Each score against the plain verdict and against the annotations."""
    rows: list[list[object]] = []
    notes = Notes()
    have: Sequence[str] = [name for name, m in metrics.items() if "ua_auroc" in m][:60]
    for name in have:
        m = metrics[name]
        cells = [notes.cell(_estimate(m[k])) if k in m else "\u2013" for plain_, own, _ in _SCORES for k in (plain_, own)]
        rows.append([code(name), *cells])
    if not rows:
        return None
    head: list[object] = ["Estimator", *[title for _, _, t in _SCORES for title in (t, f"{t}, adjusted")]]
    text = "Scores against the plain verdict and, adjusted, against a truth that is right with the chance that the annotations give it"
    return join([table(head, rows, cls="wide", caption=text, numeric=1), notes.html()])


def _words() -> Html:
    pairs = (
        (
            "Certainty",
            "How sure the annotations leave us of an item's label, from 1 / number of labels to 1 (Stutz et al., arXiv 2307.02191).",
        ),
        ("Supported accuracy", "The uncertainty-adjusted accuracy: the mean chance that the predicted label is the top one."),
        ("Fresh annotator", "The share of votes for the predicted label: how often one more annotator would agree, without bias."),
        (
            "Reliability",
            "How often an annotator names a label that is most voted by the others; a low one may be careless, or right alone.",
        ),
    )
    return el("dl", *[part for word, text in pairs for part in (el("dt", word), el("dd", text))], cls="facts")
