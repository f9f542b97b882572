"""`write_comparison`: what `compare_runs` found, as one self-contained HTML file with a forest plot for each pair of runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueline.reports import charts
from trueline.reports.html import Html, el, join, page, plain, table, visible
from trueline.reports.saving import save_page
from trueline.reports.sections import code, footer, warnings_box
from trueline.reports.wording import number

_CORRECTIONS = {"holm": "Holm's correction", "bh": "the correction of Benjamini and Hochberg", "none": "no correction"}
#: Pairs of runs that get a plot and a table.
_PAIRS = 60


def write_comparison(document: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write the document of `compare_runs` as HTML that opens offline; a directory gets ``comparison.html`` in it.

    Raises ``StorageError`` when the file cannot be written.
    """
    return save_page(render_comparison(document), path, "comparison.html")


def render_comparison(document: Mapping[str, Any]) -> str:
    """Return the HTML document of a comparison."""
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in document["differences"]:
        pairs.setdefault((entry["first"], entry["second"]), []).append(entry)
    shown = list(pairs.items())[:_PAIRS]
    left = len(pairs) - len(shown)
    clusters = "" if document["n_clusters"] is None else f" in {document['n_clusters']:,} clusters"
    lead = f"Paired differences on the {document['n_common']:,} items{clusters} that all runs answered. Could this data tell them apart?"
    title = f"{' and '.join(r['label'] for r in document['runs'][:6])} compared"
    body = el(
        "main",
        el("header", el("h1", title), el("p", lead, cls="lead")),
        el("section", _runs(document), warnings_box(document["warnings"])),
        *[_pair(a, b, entries, document) for (a, b), entries in shown],
        el("p", f"{left:,} further pairs are left out.", cls="empty") if left else None,
        el("section", el("h2", "How to read this"), _words(document)),
        footer(),
    )
    return page(f"trueline comparison: {plain(title)}", body)


def _runs(document: Mapping[str, Any]) -> Html:
    rows: list[list[object]] = [
        [run["label"], code(run["model"]), code(run["task"]), code(run["path"]), f"{run['n_items']:,}"] for run in document["runs"]
    ]
    return table(["Run", "Model", "Task", "Directory", "Items"], rows, caption="The runs")


def _pair(a: str, b: str, entries: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> Html:
    """The forest plot, the table and the conclusions of one pair of runs."""
    anchor = f"pair-{a}-{b}"
    found = [e for e in entries if e["better"]]
    verdict = f"{len(found)} of {len(entries)} differences are shown." if found else "Nothing is shown to differ."
    lines = [el("li", el("strong", code(_name(e)), ": "), visible(e["conclusion"]), ".") for e in entries]
    plot, words = _forest(a, b, entries, document, anchor), el("ul", *lines, cls="headline")
    heading = el("h2", f"{a} against {b}")
    return el("section", heading, el("p", el("strong", verdict)), plot, words, _table(a, b, entries, document), id=anchor)


def _forest(a: str, b: str, entries: Sequence[Mapping[str, Any]], document: Mapping[str, Any], anchor: str) -> Html | None:
    drawn = [e for e in entries if e["value"] is not None and e["low"] is not None]
    if not drawn:
        return None
    ends = [tuple(-e[k] if e["less_is_better"] else e[k] for k in ("value", "low", "high")) for e in drawn]
    values = [v for v, _, _ in ends]
    lows, highs = [min(x, y) for _, x, y in ends], [max(x, y) for _, x, y in ends]
    names = [f"{_name(e)} {_p(e['p_adjusted'])}" for e in drawn]
    chart = charts.forest(names, values, lows, highs, title=f"{b} better  \u2190  difference  \u2192  {a} better", mark=0.0)
    text = (
        f"Paired differences with their {100 * document['level']:g} % intervals and adjusted p-values. Right of the dashed line {a} is "
        "better; where less is better (errors, AURC, Brier) the sign is turned. An interval is of one difference alone: with several "
        "tests, the adjusted p decides."
    )
    return el("div", charts.figure(chart, label=f"Forest plot of {a} against {b}", prefix=anchor, caption=text), cls="charts")


def _table(a: str, b: str, entries: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> Html:
    rows: list[list[object]] = []
    for e in entries:
        needed = "\u2013" if e["n_needed"] is None else f"{e['n_needed']:,}"
        cells = [
            _number(e["first_value"]),
            _number(e["second_value"]),
            _difference(e),
            _p(e["p"]).removeprefix("p = "),
            _p(e["p_adjusted"]).removeprefix("p = "),
        ]
        missing = el("span", f"{e['n_missing']:,} missing", cls="interval") if e["n_missing"] else None
        rows.append(
            [el("span", code(_name(e)), title=e["method"]), *cells, _number(e["detectable"]), needed, join([f"{e['n']:,}", missing])]
        )
    head: list[object] = ["Metric", a, b, f"{a} minus {b}", "p", "adjusted p", "Detectable", "n needed", "n"]
    text = (
        f"p by {_CORRECTIONS[document['correction']]} over {document['n_tests']} tests. Detectable: the smallest difference that this data "
        "finds with 80 % power. n needed: items that would find the observed difference with that power."
    )
    return table(head, rows, cls="wide", caption=text, numeric=1)


def _difference(e: Mapping[str, Any]) -> Html:
    if e["value"] is None:
        return el("span", "undefined", cls="faint", title=e["reason"])
    ends = "no interval" if e["low"] is None else f"{_number(e['low'])} to {_number(e['high'])}"
    return join([_number(e["value"]), el("span", ends, cls="interval")])


def _number(value: float | None) -> str:
    return "\u2013" if value is None else number(float(value))


def _p(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "\u2013"
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".", 1)


def _name(e: Mapping[str, Any]) -> str:
    return str(e["metric"] if e["estimator"] is None else f"{e['metric']}({e['estimator']})")


def _words(document: Mapping[str, Any]) -> Html:
    pairs = (
        (
            "Paired",
            "The runs answered the same items, so what makes an item hard cancels: a paired interval is mostly far narrower than "
            "the two intervals of the single runs suggest.",
        ),
        ("Cannot tell apart", "Not the same as equal. A difference smaller than the detectable one would mostly stay unseen in this data."),
        (
            "Adjusted p",
            f"With {document['n_tests']} tests some small p comes up by luck. The adjusted one counts for that; a difference is called "
            f"shown where it is at most {1 - document['level']:.2g}.",
        ),
        ("n needed", "If the observed difference were the true one. It is a rough figure: the observed difference is uncertain itself."),
    )
    return el("dl", *[part for word, text in pairs for part in (el("dt", word), el("dd", text))], cls="facts")
