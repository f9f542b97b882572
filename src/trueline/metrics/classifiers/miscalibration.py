"""Signed miscalibration of a classifier, overall and by class: who is too sure, and who is not sure enough.

Ao et al., arXiv 2308.03172 ("Two Sides of Miscalibration"). Their code rounds a level to 3 digits before use and has NaN means where one
side is empty; here nothing is rounded, and the mean of an empty side is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics._items import weights_by_item
from trueline.metrics.multiclass import check_probabilities, top_label_ece, top_label_signed_ece
from trueline.metrics.scaling import check_labels
from trueline.stats.engine import Metric, as_ci, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray, SortedSample, sorted_sample


@dataclass(frozen=True)
class Miscalibration:
    r"""What `miscalibration_score` found. A level L is mean confidence minus accuracy: above 0 over-confident, below 0 under-confident.

    Attributes
    ----------
    signed, ece : Estimate
        Over all items.
    class_signed, class_ece : tuple of K Estimates
        Over the items whose *true* class is k; this mixes recall into the level. Undefined for a class without items.
    predicted_class_signed : tuple of K Estimates
        Over the items *predicted* as k: the level that a user of the prediction meets.
    overall : Estimate
        (n_over sum of the levels >= 0 + n_under sum of the levels < 0) / K, over the K classes with items.
    over_mean, under_mean, share_over, share_under : Estimate
        Mean level and share of the over- and of the under-confident classes; the mean of an empty side is 0.
    gap : Estimate
        Sum over classes of abs(L_k): 0 only where no class is off.
    class_n : (K,) int64
        Items by true class.
    """

    signed: Estimate
    ece: Estimate
    class_signed: tuple[Estimate, ...]
    class_ece: tuple[Estimate, ...]
    predicted_class_signed: tuple[Estimate, ...]
    overall: Estimate
    over_mean: Estimate
    under_mean: Estimate
    share_over: Estimate
    share_under: Estimate
    gap: Estimate
    class_n: IntArray

    def __str__(self) -> str:
        lines = [f"signed level {self.signed} ({_side(self.signed)}); ECE {self.ece}", f"sum of abs(class levels) {self.gap}"]
        for k, (true, predicted) in enumerate(zip(self.class_signed, self.predicted_class_signed, strict=True)):
            lines.append(f"class {k}: level of its items {true}; of those predicted so {predicted}")
        return "\n".join(lines)


def miscalibration_score(
    probabilities: ArrayLike, labels: ArrayLike, n_bins: int = 15, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto"
) -> Miscalibration:
    r"""Signed and unsigned calibration error of the largest probability, overall and by class.

    .. math:: L = \sum_b \frac{n_b}{n} (conf_b - acc_b), \qquad ECE = \sum_b \frac{n_b}{n} |acc_b - conf_b|

    over bins (lower, upper]; by class the same on the items of each true class.

    Parameters
    ----------
    probabilities : (n, K) float64
        Rows sum to 1 within 1e-6; softmax logits first.
    labels : (n,) int64 in 0..K-1
    n_bins : int
        Bins of equal width on [0, 1]; they matter for the ECE alone.
    clusters, ci
        As in `auroc`. With many classes ``ci=None`` saves time: each class has three intervals.

    Raises
    ------
    InputError
        On NaN, rows that are no distribution, or labels outside 0..K-1, naming the first index.

    Examples
    --------
    >>> found = miscalibration_score([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]], [0, 1, 1, 1], ci=None)
    >>> round(found.signed.value, 3), [round(e.value, 3) for e in found.class_signed]
    (0.0, [-0.1, 0.033])
    """
    p = check_probabilities(probabilities)
    y = check_labels(labels, p)
    units = None if clusters is None else np.asarray(clusters)
    if units is not None and units.shape != y.shape:
        raise InputError(f"clusters must have shape {y.shape}; got {units.shape}")

    def part(function: Callable[..., Estimate], rows: IntArray, what: str, **settings: int) -> Estimate:
        if not len(rows):
            return Estimate.undefined(f"no item {what}", level=as_ci(ci).level)
        return function(p[rows], y[rows], clusters=None if units is None else units[rows], ci=ci, **settings)

    k, everything = p.shape[1], np.arange(len(y))
    of_true = [np.flatnonzero(y == c) for c in range(k)]
    of_predicted = [np.flatnonzero(p.argmax(axis=1) == c) for c in range(k)]
    return Miscalibration(
        part(top_label_signed_ece, everything, ""),
        part(top_label_ece, everything, "", n_bins=n_bins),
        tuple(part(top_label_signed_ece, rows, f"of class {c}") for c, rows in enumerate(of_true)),
        tuple(part(top_label_ece, rows, f"of class {c}", n_bins=n_bins) for c, rows in enumerate(of_true)),
        tuple(part(top_label_signed_ece, rows, f"predicted as class {c}") for c, rows in enumerate(of_predicted)),
        **_summaries(p, y, units, ci),
        class_n=np.bincount(y, minlength=k),
    )


def class_levels(probabilities: FloatArray, labels: IntArray) -> FloatArray:
    """Signed level of each true class, (K,) float64; NaN for a class without items. For checked input."""
    off = probabilities.max(axis=1) - (probabilities.argmax(axis=1) == labels)
    k = probabilities.shape[1]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(labels, off, k) / np.bincount(labels, minlength=k))


def _side(level: Estimate) -> str:
    if level.low > 0 or level.high < 0:
        return "over-confident" if level.value > 0 else "under-confident"
    return "neither side shown"


def _summaries(p: FloatArray, y: IntArray, clusters: ArrayLike | None, ci: CIArgument) -> dict[str, Estimate]:
    """Summaries over classes, their intervals from one set of replicates of the items."""
    top, right = np.minimum(p.max(axis=1), 1.0), p.argmax(axis=1) == y
    order = np.lexsort((y, right, top))  # replicates then do not depend on the order in which items came
    codes, off = y[order], (top - right)[order]
    by_class = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[by_class]) > 0])

    def levels(weights: FloatArray) -> FloatArray:
        w = weights[:, by_class]
        mass = np.add.reduceat(w, starts, axis=1)
        total = np.add.reduceat(w * off[by_class], starts, axis=1)
        return np.asarray(np.divide(total, mass, out=np.full_like(mass, np.nan), where=mass > 0))

    def metric(name: str, of_levels: Callable[[FloatArray], FloatArray], bound: tuple[float, float]) -> Metric:
        def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
            held = sample.cache.get("levels")
            if held is None or held[0] is not weights:
                held = sample.cache["levels"] = weights, levels(weights_by_item(sample, weights, len(y)))
            return of_levels(held[1])

        return Metric(name, value, bounds=bound)

    sample = sorted_sample(np.arange(len(y)), np.zeros(len(y)), clusters=None if clusters is None else np.asarray(clusters)[order])
    k = float(p.shape[1])
    return estimates(
        sample,
        [
            metric("overall", _overall, (-k, k)),
            metric("over_mean", lambda x: _side_mean(x, x >= 0), (0, 1)),
            metric("under_mean", lambda x: _side_mean(x, x < 0), (-1, 0)),
            metric("share_over", lambda x: _share(x, x >= 0), (0, 1)),
            metric("share_under", lambda x: _share(x, x < 0), (0, 1)),
            metric("gap", lambda x: np.nansum(np.abs(x), axis=1), (0, k)),
        ],
        ci,
    )


def _overall(x: FloatArray) -> FloatArray:
    over, under = x >= 0, x < 0
    parts = over.sum(axis=1) * np.where(over, x, 0).sum(axis=1) + under.sum(axis=1) * np.where(under, x, 0).sum(axis=1)
    return np.asarray(parts / (~np.isnan(x)).sum(axis=1))


def _side_mean(x: FloatArray, side: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    return np.asarray(np.where(side, x, 0).sum(axis=1) / np.maximum(side.sum(axis=1), 1))


def _share(x: FloatArray, side: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    return np.asarray(side.sum(axis=1) / (~np.isnan(x)).sum(axis=1))
