"""Means and ratios over items with intervals from one shared bootstrap: the item is what is drawn, never the run inside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import mean_influence
from trueline.stats.engine import Jackknife, Metric, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval, clopper_pearson, wilson
from trueline.stats.sample import IntArray, SortedSample, cluster_codes, sorted_sample, weighted_sum


def item_estimates(
    means: Mapping[str, FloatArray],
    ratios: Mapping[str, tuple[FloatArray, FloatArray, str]] | None = None,
    *,
    ci: CIArgument = "auto",
    clusters: ArrayLike | None = None,
    largest: float = 1.0,
    signed: Collection[str] = (),
) -> dict[str, Estimate]:
    """Return the mean of each column of `means`, and sum(a) / sum(b), held to [0, 1], of each ``(a, b, reason where b sums to 0)``.

    Replicates of a column that holds one value know nothing of what was not seen; where that value is 0 or the largest possible one,
    the ends then come from the number of items (Clopper-Pearson), elsewhere there are none.

    largest: the values of `means` lie in [0, largest], those named in `signed` in [-largest, largest]; infinity for no bound.
    """
    ratios = ratios or {}
    columns = [np.asarray(c, dtype=np.float64) for c in (*means.values(), *(part for a, b, _ in ratios.values() for part in (a, b)))]
    n = len(columns[0])
    if not n:
        raise InputError("no item was given; at least one is needed")
    codes = None if clusters is None else cluster_codes(clusters, n)
    order = np.lexsort(columns)  # replicates then do not depend on the order in which items came
    sample = sorted_sample(np.arange(n), np.zeros(n), clusters=None if codes is None else codes[order])
    metrics = [_mean(name, np.asarray(values, dtype=np.float64)[order], largest, name in signed) for name, values in means.items()]
    metrics += [_ratio(name, a[order], b[order], reason) for name, (a, b, reason) in ratios.items()]
    return estimates(sample, metrics, ci)


def _rows(sample: SortedSample) -> IntArray:
    return sample.scores.astype(np.int64)


def weights_by_item(sample: SortedSample, weights: FloatArray, n_items: int) -> FloatArray:
    """Weights (n_replicates, n_items) of all items in their order, for a sample whose scores number them; 0 where a subset has none."""
    if sample.n_rows == n_items:
        return weights
    full = np.zeros((len(weights), n_items))
    full[:, _rows(sample)] = weights
    return full


def _mean(name: str, values: FloatArray, largest: float, signed: bool) -> Metric:
    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        # From the first value on: rounding must not make replicates of equal values differ.
        return np.asarray(values[0] + weighted_sum(weights, values[_rows(sample)] - values[0]) / weights.sum(axis=1))

    def jackknife(sample: SortedSample) -> Jackknife | None:
        if sample.cluster is not None or sample.n < 2:
            return None
        return (values.sum() - values) / (sample.n - 1), np.ones(sample.n)

    def influence(sample: SortedSample, weights: FloatArray) -> FloatArray:
        return mean_influence(sample, weights, per_row=lambda rows: values[_rows(rows)])

    def analytic(sample: SortedSample, level: float) -> Interval | None:
        return wilson(float(values.sum()), sample.n, level) if np.isin(values, (0.0, 1.0)).all() else None

    return Metric(
        name,
        value,
        truth="real",
        jackknife=jackknife,
        analytic=analytic if largest == 1 and not signed else None,
        fallback=_unvaried(float(values[0]), largest, signed),
        influence=influence,
        bounds=(-largest if signed else min(0.0, values.min()), largest),
        reason=lambda _: "a value of at least one item is undefined",
    )


def _unvaried(held: float, largest: float, signed: bool) -> Callable[[SortedSample, float], Interval]:
    """Return the interval of a quantity that takes one value on every unit."""

    def interval(sample: SortedSample, level: float) -> Interval:
        n = sample.n_clusters
        if not math.isfinite(largest) or held not in (0.0, largest):
            return Interval(math.nan, math.nan, math.nan, "none: every item has the same value")
        ends = clopper_pearson(held / largest * n, n, level)
        low = -ends.high if signed and held == 0 else ends.low
        return Interval(low * largest, ends.high * largest, 0.0, ends.method)

    return interval


def _ratio(name: str, top: FloatArray, bottom: FloatArray, reason: str) -> Metric:
    def divide(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.asarray(np.clip(np.divide(a, b, out=np.full(len(a), np.nan), where=b > 0), 0.0, 1.0))

    held = float(divide(top.sum(keepdims=True), bottom.sum(keepdims=True))[0])

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        rows = _rows(sample)
        if np.ptp(top) == 0 and np.ptp(bottom) == 0:
            return np.full(len(weights), held)
        return divide(weighted_sum(weights, top[rows]), weighted_sum(weights, bottom[rows]))

    def jackknife(sample: SortedSample) -> Jackknife | None:
        return None if sample.cluster is not None else (divide(top.sum() - top, bottom.sum() - bottom), np.ones(sample.n))

    def influence(sample: SortedSample, weights: FloatArray) -> FloatArray:
        rows = _rows(sample)
        below = weighted_sum(weights, bottom[rows])[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((top[rows] - value(sample, weights)[:, None] * bottom[rows]) / below)

    return Metric(
        name, value, truth="real", jackknife=jackknife, fallback=_unvaried(held, 1.0, False), influence=influence, bounds=(0.0, 1.0),
        reason=lambda _: reason,
    )  # fmt: skip


def ratio_difference(
    first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray], reason: str, *, ci: CIArgument, clusters: ArrayLike | None
) -> Estimate:
    """Return sum(c) / sum(d) less sum(a) / sum(b), each held to [0, 1], for (a, b) and (c, d) over the same items; paired by item.

    An item that is part of one side only has zeros on the other. `reason` says why the difference is undefined where a side sums to 0.
    """
    columns = [np.asarray(c, dtype=np.float64) for c in (*first, *second)]
    n = len(columns[0])
    codes = None if clusters is None else cluster_codes(clusters, n)
    order = np.lexsort(columns)
    a, b, c, d = (column[order] for column in columns)

    def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
        return np.asarray(np.clip(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0), 0.0, 1.0))

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        rows = _rows(sample)
        sums = [weighted_sum(weights, column[rows]) for column in (a, b, c, d)]
        return np.asarray(ratio(sums[2], sums[3]) - ratio(sums[0], sums[1]))

    sample = sorted_sample(np.arange(n), np.zeros(n), clusters=None if codes is None else codes[order])
    metric = Metric("difference", value, truth="real", bounds=(-1.0, 1.0), reason=lambda _: reason)
    return estimates(sample, [metric], ci)["difference"]
