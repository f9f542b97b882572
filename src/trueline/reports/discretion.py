"""The report of a discretion audit: one self-contained HTML file, or its sections for a page of one's own."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueline.reports import charts
from trueline.reports.html import Html, el, join, page, plain, table, visible
from trueline.reports.saving import save_page
from trueline.reports.sections import code, empty, section
from trueline.reports.wording import Notes, number, percent
from trueline.stats.estimate import Estimate

_STATUS = {
    "always_wins": "wins every conflict",
    "always_loses": "loses every conflict",
    "no_games": "never in conflict",
    "other_component": "cannot be placed",
}
#: A supremacy table shows its numbers up to so many principles; beyond, shades alone are legible.
_NUMBERED = 24


def write_discretion_report(document: Mapping[str, Any], path: str | os.PathLike[str], *, title: str = "preferences") -> Path:
    """Write the report of a discretion audit; it opens offline, without a script or a request to anywhere.

    Parameters
    ----------
    document : mapping
        The record of `discretion_summary`, or that of an audit.
    path : path
        A file, or a directory that gets ``discretion.html``.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    lead = "Where principles agree, disagree or say nothing, and what the annotators then do."
    header = el("header", el("h1", plain(f"Discretion in {title}")), el("p", f"{lead} {document['n']:,} pairs of responses.", cls="lead"))
    text = page(plain(f"trueline audit: {title}"), el("main", header, *discretion_sections(document)))
    return save_page(text, path, "discretion.html")


def discretion_sections(document: Mapping[str, Any], prefix: str = "discretion") -> list[Html]:
    """Return the sections of an audit's record; ``prefix`` keeps anchors apart from those of other parts of a page."""
    parts = {
        "regions": ("How often do the principles decide?", _regions),
        "oracle": ("The judge of the principles", _oracle),
        "arbitrariness": ("Who goes against every principle?", _arbitrariness),
        "priorities": ("Which principle wins?", _priorities),
        "discrepancies": ("How different are the annotators' orders?", _discrepancies),
        "agreement": ("Which principles say the same?", _agreement),
    }
    warnings = document["warnings"]
    lines = el("ul", *[el("li", visible(str(w)[:1000])) for w in warnings[:50]])
    top = [el("div", el("strong", "Warnings"), lines, cls="warnings", role="note")] if warnings else []
    return [*top, *(section(f"{prefix}-{key}", title, build(document, f"{prefix}-{key}")) for key, (title, build) in parts.items())]


def _regions(document: Mapping[str, Any], prefix: str) -> Html:
    meaning = {
        "consensus": "all principles that speak agree",
        "conflict": "at least two disagree: the annotator has to choose",
        "indifference": "no principle speaks: the annotator is free",
    }
    shares = {name: Estimate.from_json(document["regions"][name]) for name in meaning}
    notes = Notes()
    rows: list[list[object]] = [[name, meaning[name], notes.cell(share)] for name, share in shares.items()]
    caption = f"Regions of the {document['n']:,} pairs; {100 * document['level']:g} % intervals under each share."
    chart = _forest(shares, "share of the pairs", prefix, "Share of the pairs in each region, with intervals.")
    return join([table(["Region", "Meaning", "Share"], rows, caption=caption, numeric=2), notes.html(), chart])


def _oracle(document: Mapping[str, Any], prefix: str) -> Html:
    del prefix
    cells, flips = document["cells"], Estimate.from_json(document["flip_rate"])
    k, effective = len(document["principles"]), document["effective_principles"]
    facts: list[tuple[str, object]] = []
    if (oracle := document.get("oracle")) is not None:
        first = Estimate.from_json(oracle["first_shown"])
        orders = "both orders of the responses" if oracle["both_orders"] else "one order of the responses"
        facts += [
            ("Judge", join([code(oracle["uri"]), f", read by {oracle['reading']}, {orders}"])),
            ("Calls", f"{oracle['calls']:,}; {oracle['failed']:,} failed, {oracle['invalid']:,} without a valid answer"),
            ("Chose the response shown first", join(["undefined" if not first.defined else percent(first.value), _ends(first)])),
        ]
    flip = "undefined" if not flips.defined else percent(flips.value)
    facts += [
        ("Judgements", f"{cells['first']:,} first response, {cells['second']:,} second, {cells['silent']:,} neither or not relevant"),
        ("Followed the position", join([f"{cells['position']:,}, {flip} of those that chose", _ends(flips)])),
        ("Principles", f"{k}; as they overlap, about {number(effective, 1)} unrelated ones" if not math.isnan(effective) else str(k)),
    ]
    return el("dl", *[part for name, value in facts for part in (el("dt", name), el("dd", value))], cls="facts")


def _ends(estimate: Estimate) -> str | None:
    if not estimate.defined or math.isnan(estimate.low):
        return None
    return f" ({percent(estimate.low)} to {percent(estimate.high)})"


def _arbitrariness(document: Mapping[str, Any], prefix: str) -> Html:
    notes = Notes()
    rows: list[list[object]] = []
    for name, entry in document["annotators"].items():
        shares = [Estimate.from_json(e) for e in entry["arbitrariness"].values()]
        rows.append([code(name), f"{entry['n_usable']:,}", f"{shares[0].n:,}", *(notes.cell(share) for share in shares)])
    caption = (
        "Share of the pairs on which all principles that speak agree, and the annotator goes against them. The judge errs too: what "
        "remains where two or three principles agree is the annotator's own."
    )
    head: list[object] = ["Annotator", "Preferences", "Consensus", "1 or more agree", "2 or more", "3 or more"]
    least = {name: Estimate.from_json(entry["arbitrariness"]["1"]) for name, entry in document["annotators"].items()}
    chart = _forest(least, "arbitrariness", prefix, "Arbitrariness of each annotator. Dashed: a coin.", mark=0.5)
    return join([table(head, rows, caption=caption, numeric=1), notes.html(), chart])


def _priorities(document: Mapping[str, Any], prefix: str) -> Html:
    principles: Sequence[str] = document["principles"]
    names = list(document["annotators"])
    fits = [document["annotators"][name]["priority"] for name in names]
    order = np.argsort([-_rankable(w) for w in fits[0]["w"]], kind="stable")
    rows: list[list[object]] = [[code(principles[c]), *(_priority(fit, c) for fit in fits)] for c in order]
    caption = f"Priority (log-odds, with standard error), highest of {plain(names[0])} first. A difference of 1 wins 73 % of the conflicts."
    figures = []
    for i, (name, fit) in enumerate(zip(names, fits, strict=True)):
        w, se = np.array(fit["w"], dtype=np.float64), np.array(fit["se"], dtype=np.float64)
        shown = [c for c in order if math.isfinite(w[c])]
        if len(shown) > 1:
            half = 1.96 * se[shown]
            chart = charts.forest([principles[c] for c in shown], w[shown], w[shown] - half, w[shown] + half, title="priority", mark=0.0)
            label = f"Priorities of the principles for {name}"
            figures.append(
                charts.figure(chart, label=label, prefix=f"{prefix}-w{i}", caption=join([code(name), ": priorities, 95 % intervals."]))
            )
        supremacy = np.array(document["annotators"][name]["supremacy"], dtype=np.float64)[np.ix_(order, order)]
        if np.isfinite(supremacy).any():
            listed = [principles[c] for c in order]
            chart = charts.heatmap(listed, listed, supremacy, domain=(0, 1), numbers=len(listed) <= _NUMBERED)
            text = join([code(name), ": how often the principle of the row wins over that of the column. Empty: they never conflict."])
            figures.append(charts.figure(chart, label=f"Who prevails over whom, for {name}", prefix=f"{prefix}-ps{i}", caption=text))
    head: list[object] = ["Principle", *[code(name) for name in names]]
    return join([table(head, rows, cls="wide", caption=caption, numeric=1), el("div", *figures, cls="charts") if figures else None])


def _rankable(w: float) -> float:
    return -math.inf if math.isnan(w) else w


def _priority(fit: Mapping[str, Any], c: int) -> Html:
    status = fit["status"][c]
    if status in _STATUS:
        return el("span", _STATUS[status], cls="faint")
    return join([number(fit["w"][c], 2), el("span", f"\u00b1 {number(fit['se'][c], 2)}", cls="interval")])


def _discrepancies(document: Mapping[str, Any], prefix: str) -> Html:
    pairs = document["discrepancies"]
    if not pairs:
        return empty("There is one annotator only: nothing to compare.")
    notes = Notes()
    found: dict[str, Estimate] = {}
    rows: list[list[object]] = []
    for pair in pairs:
        estimate = Estimate.from_json({k: v for k, v in pair.items() if k not in ("a", "b", "n_principles")})
        found[f"{pair['a']} \u2013 {pair['b']}"] = estimate
        rows.append([join([code(pair["a"]), " and ", code(pair["b"])]), notes.cell(estimate), f"{pair['n_principles']}"])
    caption = (
        "Discrepancy of two annotators' orders of the principles: 0 the same, 0.5 unrelated, 1 reversed. Intervals are wide on purpose: "
        "each pair of principles may stand in either order that the data allow."
    )
    chart = _forest(found, "discrepancy", prefix, "Discrepancy of each two annotators. Dashed: unrelated orders.", mark=0.5)
    return join([table(["Annotators", "Discrepancy", "Principles"], rows, caption=caption, numeric=1), notes.html(), chart])


def _agreement(document: Mapping[str, Any], prefix: str) -> Html:
    agreement = np.array(document["agreement"], dtype=np.float64)
    np.fill_diagonal(agreement, np.nan)
    if not np.isfinite(agreement).any():
        return empty("No two principles ever speak about the same pair.")
    names = document["principles"]
    chart = charts.heatmap(names, names, agreement, domain=(0, 1), numbers=len(names) <= _NUMBERED)
    text = "Share of the pairs on which two principles both speak in which they agree. Near-copies speak several times in every conflict."
    return charts.figure(chart, label="Agreement of the principles", prefix=prefix, caption=text)


def _forest(estimates: Mapping[str, Estimate], title: str, prefix: str, caption: str, mark: float | None = None) -> Html | None:
    defined = {name: e for name, e in estimates.items() if e.defined}
    if not defined:
        return None
    values = list(defined.values())
    chart = charts.forest(
        list(defined), [e.value for e in values], [e.low for e in values], [e.high for e in values], title=title, mark=mark
    )
    return charts.figure(chart, label=caption, prefix=prefix, caption=caption)
