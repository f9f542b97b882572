"""What a number does not rest on: failed generations, answers without a verdict, missing scores, estimators that a run cannot serve."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from trueline.reports.data import RunView
from trueline.reports.html import Html, el, join, plain, quote, table, visible
from trueline.reports.sections import Caps, code, empty


def failures(view: RunView, caps: Caps) -> Html:
    """Return what failed, what could not be judged and what has no score, with counts and reasons."""
    graded = view.grades["kind"].is_not_null()
    without = view.grades["reason"].filter(graded & view.grades["correct"].is_null())
    ungraded = Counter(str(reason or "no reason recorded") for reason in without.to_list())
    never = int((~graded).sum())
    if never:
        ungraded["never graded: no answer, or no grader was run"] += never
    refused = int(view.grades["refused"].sum())
    parts = [
        _table_of_reasons("Failed generations", "Reason", _reasons(view.failures), caps),
        _table_of_reasons("Answers without a verdict", "Reason", ungraded, caps),
        el("p", f"The model refused to answer {refused:,} of {view.n_items:,} questions.") if refused else None,
        missing_values(view, caps),
        _unserved(view),
    ]
    whole = not view.failures and not ungraded and view.scores and not any(view.missing(n)[0] for n in view.scores)
    nothing = empty(f"Nothing failed: all {view.n_items:,} items have an answer, a verdict and every score.") if whole else None
    shown = [p for p in (nothing, *parts) if p is not None]
    return join(shown) if shown else empty("No estimator has scored this run yet.")


def missing_values(view: RunView, caps: Caps) -> Html | None:
    """Return what each estimator's numbers rest on: items used, items missing by cause, effective count; like ones share a row."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name in view.ranked():
        missing, reasons = view.missing(name)
        e = view.estimate(name, "auroc")
        why = tuple(sorted(reasons.items(), key=lambda x: (-x[1], x[0])))
        worth = round(e.n_effective) if math.isfinite(e.n_effective) else None
        groups.setdefault((e.n, missing, max(view.n_items - e.n - missing, 0), worth, why), []).append(name)
    if not groups:
        return None
    rows: list[list[object]] = []
    for (n, missing, unjudged, worth, why), names in groups.items():
        counts = [f"{view.n_items:,}", f"{missing:,}", f"{unjudged:,}", f"{n:,}", "\u2013" if worth is None else f"{worth:,}"]
        listed = "; ".join(f"{plain(r)[:200]} ({k:,})" for r, k in why[:5])
        text = listed or ("no reason recorded" if missing else "\u2013")
        rows.append([join([code(n) for n in names[:40]], ", "), *counts, text])
    head: list[object] = ["Estimators", "Items", "No score", "Score, no verdict", "Used (n)", "Effective n", "Why there is no score"]
    text = (
        "Missing values: what the ranking metrics of each estimator rest on. Nothing is filled in; a missing item is left out and counted."
    )
    return table(head, rows[: caps.estimators], cls="missing", caption=text)


def _unserved(view: RunView) -> Html | None:
    """Estimators that the run cannot serve, together where the reason is the same."""
    names: dict[str, list[str]] = {}
    for name, reason in sorted(view.left_out.items()):
        names.setdefault(reason.removeprefix(f"{name}: ")[:400], []).append(name)
    if not names:
        return None
    rows: list[list[object]] = [[visible(reason), join([code(n) for n in group[:40]], ", ")] for reason, group in names.items()]
    return table(["Why", "Estimators"], rows, caption="Estimators that this run cannot serve")


def _reasons(rows: list[Mapping[str, Any]]) -> Counter[str]:
    return Counter(str(row.get("error") or row.get("reason") or "no reason recorded") for row in rows)


def _table_of_reasons(title: str, column: str, reasons: Counter[str], caps: Caps) -> Html | None:
    if not reasons:
        return None
    common = reasons.most_common(caps.reasons)
    rest = sum(reasons.values()) - sum(k for _, k in common)
    rows: list[list[object]] = [[quote(reason, 300), f"{count:,}"] for reason, count in common]
    if rest:
        rows.append([f"{len(reasons) - len(common):,} further reasons, left out", f"{rest:,}"])
    return table([column, "Count"], rows, caption=title, numeric=1)
