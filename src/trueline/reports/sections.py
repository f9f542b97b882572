"""The written sections of a report: what was measured, the table of estimators, warnings, titles."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.reports import charts
from trueline.reports.data import RunView
from trueline.reports.html import Html, el, join, plain, table, visible
from trueline.reports.wording import Notes, number, percent


@dataclass(frozen=True)
class Caps:
    """How much a report shows at most.

    items: item cards a list. text, question: characters of one text. samples: distinct samples a card. tokens: coloured tokens a card.
    points: points of a curve. dots: dots of a scatter plot. reasons: rows of a failure table. estimators: rows of an estimator table.
    """

    items: int = 6
    text: int = 2000
    question: int = 1500
    samples: int = 12
    tokens: int = 400
    points: int = 160
    dots: int = 400
    reasons: int = 20
    estimators: int = 60


def section(anchor: str, title: str, *content: object, level: int = 2) -> Html:
    """Return a titled part of a run's report; ``level`` is that of its heading."""
    return el("section", el(f"h{level}", title, cls="part"), *content, id=anchor)


def empty(reason: object) -> Html:
    """Return the line that stands in for an empty section."""
    return el("p", reason, cls="empty")


def code(text: object, limit: int = 300) -> Html:
    """Return a name in the code face, cut when it is very long."""
    raw = str(text)
    return el("code", visible(raw[:limit]), " \u2026" if len(raw) > limit else None)


def warnings_box(warnings: Sequence[object], title: str = "Warnings") -> Html | None:
    """Return what a reader must know first, 50 lines of it at most; nothing where there is none."""
    if not warnings:
        return None
    lines = [el("li", visible(str(w)[:1000])) for w in warnings[:50]]
    return el("div", el("strong", title), el("ul", *lines), cls="warnings", role="note")


def footer() -> Html:
    """Return who wrote the page."""
    from trueline import __version__

    return el("footer", f"Written by trueline {__version__}. This file holds everything it shows and asks nothing of any server.")


# -- method ---------------------------------------------------------------------------------------------------------


def method(view: RunView, truncated: str | None) -> Html:
    """Return what was measured and how."""
    s = view.setting
    law = s("settings", "law") or {}
    answer = "the greedy answer" if view.answer[0] == "greedy" else f"sample {view.answer[1]} (there is no greedy answer)"
    facts: list[tuple[str, object]] = [
        ("Model", join([code(s("model", "uri") or "not recorded"), _fingerprint(s("model", "fingerprint"))])),
        (
            "Task",
            join([code(s("task", "name") or "not recorded"), f", {view.n_items:,} items", _fingerprint(s("task", "hash"), "content")]),
        ),
        ("Answer measured", answer),
        ("Grader", code(view.metrics.get("grader") or s("task", "grader") or "none")),
        ("Equivalence judge", _judges(view)),
        ("Samples an item", _or_unknown(s("settings", "samples"))),
        ("Sampling law", _law(law, s("status") == "imported")),
        ("Seed", _or_unknown(s("settings", "seed"))),
        ("Longest answer", _longest(s("settings", "max_new_tokens"), truncated)),
        (
            "Intervals",
            f"{100 * view.level:g} %, each with its method in metrics.json; "
            + (_clustered(view) if view.clusters else "items are taken as independent"),
        ),
        ("Date", _or_unknown(s("created"))),
        ("Versions", _versions(view)),
        ("Status", _or_unknown(s("status"))),
        ("Command to repeat it", code(s("command") or command(view), 1000)),
    ]
    pairs = [part for name, value in facts for part in (el("dt", name), el("dd", value))]
    return el("dl", *pairs, cls="facts")


def command(view: RunView) -> str:
    """Return the command line that measures the same again."""
    s = view.setting
    if s("status") == "imported":
        return f"trueline import {shlex.quote(str(s('task', 'name')))} --out {shlex.quote(view.name)}"
    parts = ["trueline measure", shlex.quote(str(s("model", "uri"))), shlex.quote(str(s("task", "name")))]
    law = s("settings", "law") or {}
    options = {
        "samples": s("settings", "samples"),
        "seed": s("settings", "seed"),
        "temperature": law.get("temperature"),
        "top-p": law.get("top_p"),
        "top-k": law.get("top_k"),
        "max-new-tokens": s("settings", "max_new_tokens"),
        "limit": s("task", "limit"),
        "equivalence": s("judge"),
    }
    parts += [f"--{name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None]
    return " ".join([*parts, "--out", shlex.quote(view.name)])


def _fingerprint(value: Any, what: str = "fingerprint") -> Html | None:
    return None if not value else join([f", {what} ", code(short_fingerprint(value))])


def short_fingerprint(value: Any) -> str:
    """Return twelve hexadecimal digits: of a digest itself, or of the digest of a whole fingerprint (library versions apart)."""
    text = str(value).rpartition(":")[2]
    if isinstance(value, Mapping):
        kept = {k: v for k, v in value.items() if k != "versions"}
        text = json.dumps(kept, sort_keys=True, ensure_ascii=False, default=str)
    elif len(text) >= 12 and set(text) <= set("0123456789abcdef"):
        return text[:12]
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()[:12]


def _or_unknown(value: Any) -> Html:
    return el("span", "not recorded", cls="faint") if value is None else visible(str(value)[:500])


def _law(law: Mapping[str, Any], imported: bool) -> Html:
    if law.get("temperature") is None:
        return _or_unknown(None)
    top_p, top_k = law.get("top_p"), law.get("top_k")
    parts = [f"temperature {law.get('temperature')}"]
    parts.append("no nucleus cut" if top_p in (None, 1, 1.0) else f"top-p {top_p}")
    parts.append("no top-k cut" if not top_k else f"top-k {top_k}")
    return visible(", ".join(parts) + ("" if imported else "; log-probs are the model's own, whatever the law"))


def _longest(limit: Any, truncated: str | None) -> Html:
    return join([_or_unknown(None) if limit is None else f"{limit} new tokens", f"; {truncated}" if truncated else None])


def _judges(view: RunView) -> Html:
    judges = sorted({str(info["judge"]) for info in view.score_info.values() if isinstance(info, Mapping) and info.get("judge")})
    return join([code(j) for j in judges], ", ") if judges else el("span", "none needed", cls="faint")


def _clustered(view: RunView) -> str:
    """How many units there are, and what they are worth for accuracy: p (1 - p) over the squared standard error."""
    text = f"items of one cluster are kept together ({len(set(view.clusters or ())):,} clusters of {view.n_items:,} items)"
    e = view.estimate(None, "accuracy")
    if not (e.defined and e.se > 0 and 0 < e.value < 1):
        return text
    return f"{text}; accuracy is known as well as from about {min(e.n, round(e.value * (1 - e.value) / e.se**2)):,} independent items"


def _versions(view: RunView) -> Html:
    versions = dict(view.setting("versions") or {})
    own = view.setting("trueline")
    listed = ([f"trueline {own}"] if own else []) + [f"{name} {value}" for name, value in versions.items() if value]
    return visible(", ".join(listed)[:500]) if listed else _or_unknown(None)


# -- estimators -----------------------------------------------------------------------------------------------------

_COLUMNS = (
    ("auroc", "AUROC"),
    ("prr", "PRR"),
    ("aurc", "AURC"),
    ("smooth_ece", "Calibration error"),
    ("debiased_ece", "debiased"),
    ("brier", "Brier"),
    ("spearman_length", "\u03c1 with length"),
)


def estimators(view: RunView, caps: Caps, prefix: str) -> Html:
    """Return the table of estimators and the plots of their intervals."""
    names = view.ranked()
    if not names:
        return empty("No estimator has scored this run yet; `trueline score RUN` does.")
    shown, costs, notes = names[: caps.estimators], estimator_costs(), Notes()
    # answers of one length have no rank: the column would be empty for every estimator
    columns = [c for c in _COLUMNS if c[0] != "spearman_length" or any(view.estimate(n, c[0]).defined for n in shown)]
    rows: list[list[object]] = []
    for name in shown:
        cells: list[object] = [_detailed(view, name, metric, notes.cell(view.estimate(name, metric))) for metric, _ in columns]
        cost = costs.get(name.partition("(")[0], "").replace("^2", "\u00b2")
        named = join([code(name), el("span", f"cost {cost}", cls="cost") if cost else None])
        rows.append([named, *cells, _count(view, name)])
    head: list[object] = ["Estimator", *[title for _, title in columns], "n"]
    left = f" The last {len(names) - len(shown)} of {len(names)} are left out." if len(names) > len(shown) else ""
    caption = f"Estimators, best AUROC first; {100 * view.level:g} % intervals under each value.{left}"
    caption += " Calibration error: the smooth ECE; debiased: the binned error without what chance alone makes."
    costs_note = "Cost beyond the greedy answer: D decode, F forward pass, N judged pair, M samples." if any(costs.values()) else None
    below = [notes.html(), el("p", costs_note, cls="small faint") if costs_note else None]
    return join([table(head, rows, cls="wide", caption=caption, numeric=1), *below, _forests(view, shown, prefix)])


def _detailed(view: RunView, name: str, metric: str, cell: Html) -> Html:
    """A cell of the calibration error with the plug-in and the signed error behind it."""
    binned, signed = view.estimate(name, "ece"), view.estimate(name, "signed_ece")
    if metric not in ("smooth_ece", "debiased_ece") or not (binned.defined and signed.defined):
        return cell
    text = f"binned (plug-in) ECE {number(binned.value)}; confidence minus accuracy {number(signed.value)}"
    return el("span", cell, title=text)


def _count(view: RunView, name: str) -> Html:
    """How many items the ranking rests on, and below it how many are missing."""
    e, (missing, _) = view.estimate(name, "auroc"), view.missing(name)
    return join([f"{e.n:,}", el("span", f"{missing:,} missing", cls="interval") if missing else None])


def estimator_costs() -> dict[str, str]:
    """Return the cost of every estimator of the catalog, beyond the greedy answer."""
    from trueline.catalog import all_entries

    return {entry.name: entry.cost for entry in all_entries() if entry.kind == "estimator"}


def _forests(view: RunView, names: list[str], prefix: str) -> Html | None:
    figures = []
    for metric, title, mark in (("auroc", "AUROC", 0.5), ("prr", "PRR", 0.0)):
        found = [(n, view.estimate(n, metric)) for n in names]
        found = [(n, e) for n, e in found if e.defined]
        if len(found) < 2:
            continue
        chart = charts.forest(
            [n for n, _ in found],
            [e.value for _, e in found],
            [e.low for _, e in found],
            [e.high for _, e in found],
            title=title,
            mark=mark,
        )
        caption = (
            f"{title} of each estimator with its {100 * view.level:g} % interval, in the order of the table. Dashed: chance ({mark:g})."
        )
        if metric == "auroc":
            caption += (
                " All are computed on the same items: where intervals overlap, a paired comparison may still tell two estimators apart."
            )
        figures.append(charts.figure(chart, label=f"Interval plot of {title} by estimator", prefix=f"{prefix}-{metric}", caption=caption))
    return el("div", *figures, cls="charts") if figures else None


# -- warnings and titles --------------------------------------------------------------------------------------------


def warnings(view: RunView, truncated_share: float) -> Html | None:
    """Return what a reader must know before trusting a number, or None."""
    found = [str(w) for w in [*view.metrics.get("warnings", []), *(view.setting("notes") or [])]]
    status = view.setting("status")
    if status == "running":
        found.append("The run is not complete: it was stopped, or is still going on. Numbers are over the items done so far.")
    if truncated_share > 0.01 and not any("token limit" in w for w in found):
        found.append(
            f"{percent(truncated_share)} of the answers were cut off at the token limit; log-probs and verdicts are of unfinished answers."
        )
    failed = view.setting("counts", "failed") or 0
    if failed and not any("failed" in w for w in found):
        found.append(f"{failed:,} items failed; see failures below.")
    return warnings_box(list(dict.fromkeys(found)))


def title(view: RunView) -> str:
    """Return "model on task", short enough for a heading."""
    model, task = view.setting("model", "uri"), str(view.setting("task", "name") or view.name)[:120]
    if not model or str(model).startswith("imported:"):
        return plain(f"{task} (generations made elsewhere)")
    return plain(f"{_short(str(model))} on {_short(task)}")


def _short(uri: str) -> str:
    """A URI without the folders of a long path: what it is called, not where it lies."""
    scheme, colon, path = uri.rpartition(":")
    parts = path.split("/")
    return f"{scheme}{colon}\u2026/{parts[-1] or parts[-2]}"[:120] if len(path) > 40 and len(parts) > 2 else uri[:120]
