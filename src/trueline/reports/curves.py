"""The numbers behind the charts: metrics of a run's scores, as `Curve` records, and plain summaries of groups of items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.reports.charts import Curve, curve
from trueline.reports.data import Floats, RunView
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate

Ints = NDArray[np.int64]
#: Replicates behind a band; fewer than behind a reported interval, since a band is looked at, not quoted.
_REPLICATES, _FEWEST, _CELLS = 500, 100, 10_000_000
_BINS = 10
_MEAN_BINS = 8


def _used(view: RunView, name: str) -> Any:
    return np.isfinite(view.correct) & ~np.isnan(view.scores[name])


def _clusters(view: RunView, rows: Any) -> Any:
    return None if view.clusters is None else np.array(view.clusters, dtype=object)[rows]


def _ci(view: RunView) -> CI:
    return CI(level=view.level, n_boot=max(_FEWEST, min(_REPLICATES, _CELLS // max(view.n_items, 1))))


def roc(view: RunView, name: str, points: int) -> Curve:
    """Return the ROC curve of a score, wrong answers being positive."""
    from trueline.metrics.curves import roc_curve_band

    rows = _used(view, name)
    band = roc_curve_band(view.scores[name][rows], view.wrong[rows], clusters=_clusters(view, rows), ci=_ci(view))
    # the curve starts at the origin; the band's first point is the upper end of the step there
    return curve(name, *(np.append(0.0, part) for part in (band.x, band.y, band.low, band.high)), cap=points)


def risk_coverage(view: RunView, name: str, points: int) -> Curve:
    """Return the risk-coverage curve of a score."""
    from trueline.metrics.curves import risk_coverage_band

    rows = _used(view, name)
    band = risk_coverage_band(view.scores[name][rows], view.wrong[rows], clusters=_clusters(view, rows), ci=_ci(view))
    return curve(name, band.x, band.y, band.low, band.high, cap=points)


def selective(view: RunView, name: str, coverage: float) -> Estimate:
    """Return the error rate among the most certain share of the answers."""
    from trueline.metrics import selective_risk

    rows = _used(view, name)
    if not rows.any():
        return Estimate.undefined("no item has both a score and a verdict")
    options = {"clusters": _clusters(view, rows), "ci": _ci(view)}
    return selective_risk(view.scores[name][rows], view.wrong[rows], coverage=coverage, **options)


def confidence(view: RunView, name: str) -> Floats | str:
    """Return a confidence an item, (n_items,) float64 in [0, 1], fitted on other folds of the items; or why there is none."""
    from trueline.metrics.confidence import calibrated_confidence

    rows = _used(view, name)
    if not rows.any():
        return "no item has both a score and a verdict"
    out = np.full(view.n_items, np.nan)
    try:
        out[rows] = calibrated_confidence(view.scores[name][rows], view.correct[rows], clusters=_clusters(view, rows), seed=0)
    except InputError as error:  # too few items of a class to fit on: the report says so in the chart's place
        return str(error)
    return out


def reliability(view: RunView, name: str, *, stated: bool) -> tuple[Curve, Floats, Curve] | str:
    """Return the bins of a reliability diagram, how many items each holds, and the smooth curve; or why there is none."""
    from trueline.metrics.curves import reliability as bins_of
    from trueline.metrics.curves import smooth_reliability

    found = 1 - view.scores[name] if stated else confidence(view, name)
    if isinstance(found, str):
        return found
    rows = np.isfinite(view.correct) & np.isfinite(found)
    if not rows.any():
        return "no item has both a stated confidence and a verdict"
    options: dict[str, Any] = {"clusters": _clusters(view, rows), "ci": _ci(view)}
    bins = bins_of(found[rows], view.correct[rows], n_bins=_BINS, **options)
    smooth = smooth_reliability(found[rows], view.correct[rows], **options)
    dots = curve(name, bins.confidence, bins.accuracy, bins.low, bins.high)
    return dots, np.asarray(bins.count, dtype=np.float64), curve(name, smooth.x, smooth.y, smooth.low, smooth.high)


def group_means(view: RunView, label: str, values: Floats, groups: Ints, n_groups: int) -> Curve:
    """Return the mean of a quantity in each group with its interval; x is the number of the group."""
    from trueline.metrics import accuracy

    rows = np.full((n_groups, 3), np.nan)
    for g in range(n_groups):
        here = (groups == g) & np.isfinite(values)
        if here.any():
            e = accuracy(values[here], clusters=_clusters(view, here), ci=_ci(view))
            rows[g] = e.value, e.low, e.high
    return curve(label, np.arange(n_groups), rows[:, 0], rows[:, 1], rows[:, 2])


def binned_means(view: RunView, x: Floats, y: Floats) -> Curve:
    """Return means of y in bins of x that hold equally many items, at the mean x of each bin."""
    both = np.isfinite(x) & np.isfinite(y)
    edges = np.unique(np.quantile(x[both], np.linspace(0, 1, _MEAN_BINS + 1)))
    bins = np.where(both, np.clip(np.searchsorted(edges, x, "right") - 1, 0, max(len(edges) - 2, 0)), -1).astype(np.int64)
    n = int(bins.max()) + 1
    means = group_means(view, "mean", y, bins, n)
    centre = np.array([x[bins == b].mean() if (bins == b).any() else np.nan for b in range(n)])
    return Curve("mean", centre, means.y, means.low, means.high)


def percentile_rank(score: Floats) -> Floats:
    """Return each score's mid-rank among the finite ones, in (0, 1); NaN where the score is."""
    out = np.full(len(score), np.nan)
    rows = np.flatnonzero(~np.isnan(score))
    if len(rows):
        _, inverse, counts = np.unique(score[rows], return_inverse=True, return_counts=True)
        out[rows] = ((np.cumsum(counts) - counts / 2) / len(rows))[inverse]
    return out


def thin(positions: Ints, cap: int) -> Ints:
    """Return at most ``cap`` positions, evenly spread."""
    if len(positions) <= cap:
        return positions
    return positions[np.linspace(0, len(positions) - 1, cap).astype(np.int64)] if cap else positions[:0]
