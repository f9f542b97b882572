"""The drawn sections of a report: calibration, discrimination, and the known world's truth against what was estimated."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from trueline.reports import charts, curves
from trueline.reports.data import Floats, RunView
from trueline.reports.html import Html, el, join, plain, table
from trueline.reports.sections import Caps, code, empty, estimator_costs
from trueline.reports.wording import Notes, has_interval, number
from trueline.stats.estimate import Estimate

_MAX_STRATA = 8
_MIN_DISTINCT = 5
_CALM = 0.1
_STATED_TIMES = "times the corpus states the fact"


def family(name: str) -> str:
    """Return what an estimator looks at: "likelihood" of the answer, "samples", or the model "asked" again; read off its cost."""
    cost = estimator_costs().get(name.partition("(")[0])
    if cost is None or "M" in cost:
        return "samples"
    return "likelihood" if cost == "0" else "asked"


def chosen(view: RunView) -> list[str]:
    """Return the best estimator of each family, best first: members of a family draw nearly the same curve."""
    found: dict[str, str] = {}
    for name in view.ranked():
        if name in view.scores and view.estimate(name, "auroc").defined:
            found.setdefault(family(name), name)
    return list(found.values())


# -- calibration ----------------------------------------------------------------------------------------------------


def calibration(view: RunView, prefix: str) -> Html:
    """Return reliability diagrams: of a calibrated likelihood score, and of confidence that the model itself states."""
    graded = int(np.isfinite(view.correct).sum())
    if not graded:
        return empty("No answer has a verdict, so no confidence can be compared with being right.")
    first = next((n for n in view.ranked() if n in view.scores and family(n) == "likelihood"), view.best)
    wanted = [] if first is None else [(first, False)]
    wanted += [(name, True) for name in view.scores if name.startswith("verbalized")]
    made = [_reliability(view, name, prefix, stated=stated) for name, stated in wanted]
    figures = [m for m in made if isinstance(m, Html)]
    reasons = [empty(m) for m in made if not isinstance(m, Html)]
    if not made:
        return empty("No estimator has a score to turn into a confidence.")
    return join([el("div", *figures, cls="charts three") if figures else None, *reasons])


def _reliability(view: RunView, name: str, prefix: str, *, stated: bool) -> Html | str:
    """A figure, or the reason why there is none."""
    result = curves.reliability(view, name, stated=stated)
    if isinstance(result, str):
        return f"No reliability diagram of {plain(name)}: {result}"
    bins, counts, smooth = result
    error = _errors(view, name, "_stated" if stated else "")
    if stated:
        caption = join(["Confidence that the model states, ", code(name), f", taken as it is.{error}"])
    else:
        caption = join(["Confidence from ", code(name), f", calibrated on other folds of the same items.{error}"])
    caption = join(
        [
            caption,
            f" Line: smoothed, without bins, with its pointwise {100 * view.level:g} % band, drawn where there are items enough. Dots: "
            f"{len(bins.x)} bin{'' if len(bins.x) == 1 else 's'} with {100 * view.level:g} % intervals, larger ones hold more items.",
        ]
    )
    chart = charts.reliability(bins, counts, smooth)
    return charts.figure(chart, label=f"Reliability diagram of {name}", prefix=f"{prefix}-rel-{name}", caption=caption)


def _errors(view: RunView, name: str, end: str) -> str:
    """The calibration errors in words, what is left of them without chance first."""
    smooth, debiased, signed, binned = (view.estimate(name, f"{m}{end}") for m in ("smooth_ece", "debiased_ece", "signed_ece", "ece"))
    parts = [f" Smooth calibration error {_between(smooth)}"] if smooth.defined else []
    parts += [f"debiased {_between(debiased)}"] if debiased.defined else []
    parts += [f"confidence minus accuracy {_between(signed)}"] if signed.defined else []
    parts += [f"binned (plug-in) {number(binned.value)}"] if binned.defined else []
    return f"{', '.join(parts)}." if parts else ""


def _between(e: Estimate) -> str:
    return f"{number(e.value)} ({number(e.low)} to {number(e.high)})" if has_interval(e) else number(e.value)


# -- discrimination -------------------------------------------------------------------------------------------------


def discrimination(view: RunView, caps: Caps, prefix: str) -> Html:
    """Return ROC and risk-coverage curves with bands."""
    names = chosen(view)
    if not names:
        return empty(_why_no_curves(view))
    band = f"bands are pointwise {100 * view.level:g} % intervals"
    roc = charts.curves(
        [curves.roc(view, n, caps.points) for n in names],
        x="right answers flagged (false-positive rate)",
        y="wrong answers flagged (true-positive rate)",
        chance=[(0, 0), (1, 1)],
    )
    risks = [curves.risk_coverage(view, n, caps.points) for n in names]
    # the first few answers make a wild curve; the scale is set by the rest
    tails = [np.where(np.isfinite(c.high), c.high, c.y)[(c.x >= _CALM) | (c.x == c.x.max())] for c in risks]
    top = max(float(np.nanmax(tail)) for tail in tails)
    error = 1 - view.estimate(None, "accuracy").value
    risk = charts.curves(
        risks,
        x="share of questions answered (coverage)",
        y="share wrong among them (risk)",
        y_domain=(0.0, min(1.0, max(0.05, top * 1.05))),
        chance=[(0, error), (1, error)] if np.isfinite(error) else None,
    )
    best = "Shown is the best of each family: likelihood of the answer, agreement of samples, and asking the model."
    key = charts.key(names)
    left = charts.figure(
        roc,
        label="ROC curves",
        prefix=f"{prefix}-roc",
        above=key,
        caption=f"ROC curves, wrong answers being what is sought; {band}. {best}",
    )
    text = f"Risk-coverage curves: the error rate when only the most certain answers are kept; {band}. Dashed: the error rate of all."
    return el("div", left, charts.figure(risk, label="Risk-coverage curves", prefix=f"{prefix}-rc", above=key, caption=text), cls="charts")


def _why_no_curves(view: RunView) -> str:
    if view.problem:
        return f"No curves: {plain(view.problem)}"
    if not view.scores:
        return "No curves: no estimator has scored this run."
    known = view.correct[np.isfinite(view.correct)]
    if not len(known):
        return "No curves: no answer has a verdict."
    if len(np.unique(known)) < 2:
        return f"No curves: all {len(known):,} judged answers are {'right' if known[0] else 'wrong'}, so there is nothing to tell apart."
    return "No curves: no estimator has a defined AUROC."


# -- known world ----------------------------------------------------------------------------------------------------

_TRUTHS = (("spearman_total", "total"), ("spearman_aleatoric", "aleatoric"), ("spearman_epistemic", "epistemic"))


def known_world(view: RunView, caps: Caps, prefix: str) -> Html:
    """Return true against estimated uncertainty, where the truth is known."""
    if not view.truth and not np.isfinite(view.probability).any():
        return empty(
            "The true uncertainty of these questions is not known. On the known world it is: measure world:facts or world:ambiguous."
        )
    figures = [f for f in (_by_exposure(view, prefix), _noticed(view, prefix), _against(view, caps, prefix)) if f is not None]
    layout = "charts three" if len(figures) > 2 else "charts"
    parts = [el("div", *figures, cls=layout) if figures else None, _correlations(view, caps)]
    shown = [p for p in parts if p is not None]
    return join(shown) if shown else empty("The truth is known but takes one value only, so there is nothing to compare.")


def _correlations(view: RunView, caps: Caps) -> Html | None:
    columns = [(metric, label) for metric, label in _TRUTHS if any(view.estimate(n, metric).defined for n in view.ranked())]
    if not columns:
        return None
    notes = Notes()
    names = [n for n in view.ranked(columns[0][0]) if any(view.estimate(n, m).defined for m, _ in columns)][: caps.estimators]
    rows: list[list[object]] = [[code(n), *[notes.line(view.estimate(n, m)) for m, _ in columns]] for n in names]
    caption = f"Rank correlation of each estimator with the true uncertainty, with {100 * view.level:g} % intervals"
    head: list[object] = ["Estimator", *[f"\u03c1 with {label}" for _, label in columns]]
    return join([table(head, rows, cls="tight", caption=caption, numeric=1), notes.html()])


def _exposure(view: RunView) -> tuple[list[str], Any] | None:
    """The strata of exposure, where there are at least two."""
    exposure = view.truth.get("exposure")
    if exposure is None or len(np.unique(exposure[np.isfinite(exposure)])) < 2:
        return None
    return _strata(exposure)


def _by_exposure(view: RunView, prefix: str) -> Html | None:
    """Accuracy and calibrated confidence by how often the corpus states the fact."""
    found = _exposure(view)
    if found is None or not np.isfinite(view.correct).any():
        return None
    labels, groups = found
    lines = [curves.group_means(view, "share right", view.correct, groups, len(labels))]
    name = view.best
    confidence = None if name is None else curves.confidence(view, name)
    if confidence is not None and not isinstance(confidence, str):
        lines.append(curves.group_means(view, f"confidence ({name})", confidence, groups, len(labels)))
    chart = charts.strata(lines, labels, x=_STATED_TIMES, y="share right, mean confidence", percent=True)
    caption = (
        "What the model knows and how sure it is, by how often it saw the fact. Where the confidence lies above the share right, it is "
        f"over-confident. Bars are {100 * view.level:g} % intervals."
    )
    key = charts.key([c.name for c in lines], shapes=True)
    return charts.figure(chart, label="Accuracy and confidence by exposure", prefix=f"{prefix}-exposure", caption=caption, above=key)


def _noticed(view: RunView, prefix: str) -> Html | None:
    """Mean rank of the best estimator of each family by exposure: which of them notices what the model never saw."""
    found, names = _exposure(view), chosen(view)
    if found is None or not names:
        return None
    labels, groups = found
    lines = [curves.group_means(view, n, curves.percentile_rank(view.scores[n]), groups, len(labels)) for n in names]
    chart = charts.strata(lines, labels, x=_STATED_TIMES, y="mean rank (0 most certain)", percent=False)
    caption = (
        "Which estimator notices what the model never saw: the mean rank that it gives to questions of each stratum. "
        "An estimator that falls to the right does; a level one does not."
    )
    key = charts.key(names, shapes=True)
    return charts.figure(chart, label="Estimated uncertainty by exposure", prefix=f"{prefix}-noticed", caption=caption, above=key)


def _strata(values: Floats) -> tuple[list[str], Any]:
    """Labels of the strata, and each item's stratum (-1 where unknown); many values are put into groups of equal size."""
    distinct = np.unique(values[np.isfinite(values)])
    if len(distinct) <= _MAX_STRATA:
        labels = [f"{v:g}" for v in distinct]
        groups = np.searchsorted(distinct, values)
    else:
        edges = np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, 6)))
        labels = [f"{a:g} to {b:g}" for a, b in pairwise(edges)]
        groups = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(labels) - 1)
    return labels, np.where(np.isfinite(values), groups, -1)


def _against(view: RunView, caps: Caps, prefix: str) -> Html | None:
    """Percentile rank of an estimator against the first true quantity that varies finely enough to be drawn."""
    options = (
        ("spearman_total", 1 - view.probability, "true chance of being wrong"),
        ("spearman_aleatoric", view.truth.get("aleatoric"), "true entropy of the answer (nats)"),
    )
    for metric, truth, title in options:
        if truth is None or len(np.unique(np.round(truth[np.isfinite(truth)], 6))) < _MIN_DISTINCT:
            continue
        name = next((n for n in view.ranked(metric) if n in view.scores and view.estimate(n, metric).defined), None)
        if name is not None:
            return _scatter(view, name, metric, truth, title, caps, prefix)
    return None


def _scatter(view: RunView, name: str, metric: str, truth: Floats, title: str, caps: Caps, prefix: str) -> Html:
    rank = curves.percentile_rank(np.where(np.isfinite(truth), view.scores[name], np.nan))
    both = np.flatnonzero(np.isfinite(truth) & np.isfinite(rank))
    kept = curves.thin(both, caps.dots)
    means = curves.binned_means(view, truth, rank)
    chart = charts.scatter(truth[kept], rank[kept], means, x_title=title, y_title="rank of the estimate (0 most certain)")
    rho = view.estimate(name, metric)
    left = f" {len(kept):,} of {len(both):,} items are drawn." if len(kept) < len(both) else ""
    text = (
        f" against the truth: one dot an item, large dots are means of bins with {100 * view.level:g} % intervals. "
        f"\u03c1 = {number(rho.value, 2)} ({number(rho.low, 2)} to {number(rho.high, 2)}).{left}"
    )
    caption = join([code(name), text])
    return charts.figure(chart, label=f"True uncertainty against {name}", prefix=f"{prefix}-truth", caption=caption)
