"""Curves with pointwise bands for reports: ROC, risk-coverage, reliability; small records of arrays.

Bands come from the same weighted replicates as the intervals (clusters are drawn whole where given); reliability bins of independent rows
have Wilson bands. Pointwise: each point holds its level, the whole curve does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.ece import ECE, BinKind, Bins, ece_metric
from trueline.metrics.ranking import AUROC, one_class
from trueline.metrics.risk_coverage import AURC, group_totals
from trueline.metrics.smooth_ece import SMOOTH_ECE
from trueline.stats.engine import CI, as_ci, check, estimates, weight_chunks
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import wilson_bands
from trueline.stats.sample import IntArray, NanPolicy, SortedSample, group_sums, sorted_sample

# Of the smooth reliability curve: cells that rows are put into, narrowest bandwidth chosen by itself, least weight under the Gaussian.
_CELLS, _NARROWEST, _FEWEST_NEAR = 501, 0.02, 5.0

CurveFunction = Callable[[SortedSample, FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class CurveBand:
    """A curve on a grid with a pointwise band.

    Attributes
    ----------
    x, y, low, high : (n_points,) float64
        Grid, curve, band; the band is NaN where ``ci`` is None.
    summary : Estimate
        The area that goes with the curve (AUROC, AURC).
    level : float
    n : int
    """

    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray
    summary: Estimate
    level: float
    n: int


@dataclass(frozen=True)
class Reliability:
    """Bins of a reliability diagram; empty bins are left out.

    Attributes
    ----------
    edges : (n_bins + 1,) float64
        All bin edges.
    lower, upper : (n_used,) float64
        Edges of each used bin.
    confidence, accuracy, low, high : (n_used,) float64
        Mean probability, share of truth 1, and the band of that share.
    count : (n_used,) int64
        Rows in each bin.
    weight : (n_used,) float64
        Their summed weight.
    summary : Estimate
        The ECE over these bins.
    method : str
        How the band was made.
    """

    edges: FloatArray
    lower: FloatArray
    upper: FloatArray
    confidence: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray
    count: IntArray
    weight: FloatArray
    summary: Estimate
    level: float
    method: str


def roc_curve_band(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    n_points: int = 101,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> CurveBand:
    """ROC curve: true-positive rate (y) at an even grid of false-positive rates (x), ties as straight lines.

    Arguments as in `auroc`. With one class only, every array but the grid is NaN and the summary says why.
    """
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, nan_policy=nan_policy)
    check(AUROC, sample)
    grid = _grid(0.0, n_points)
    settings = as_ci(ci)
    summary = estimates(sample, [AUROC], settings)["auroc"]
    if not summary.defined:
        nothing = np.full(n_points, np.nan)
        return CurveBand(grid, nothing, nothing, nothing, Estimate.undefined(one_class(sample), n=sample.n), settings.level, sample.n)
    return _band(sample, grid, _tpr_at, settings, summary)


def risk_coverage_band(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    n_points: int = 101,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> CurveBand:
    """Risk-coverage curve: mean loss (y) of the k most certain rows at coverage k/n (x), ties by expectation. Arguments as in `aurc`.

    The grid is even, each point moved up to the next whole row: k = max(1, ceil(c n)).
    """
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, nan_policy=nan_policy)
    settings = as_ci(ci)
    mass = float(sample.weights.sum())
    grid = np.unique(np.minimum(np.maximum(1.0, np.ceil(_grid(0.0, n_points) * mass - 1e-9)), mass) / mass)
    band = _band(sample, grid, _risk_at, settings, estimates(sample, [AURC], settings)["aurc"])
    if not sample.binary or settings.kind == "none":
        return band
    # Where every replicate agrees (the surest few all right) the bootstrap knows nothing: Wilson's band of that many units.
    count = np.maximum(1.0, grid * min(sample.n_effective, sample.n_clusters))
    low, high = wilson_bands(band.y * count, count, settings.level)
    flat = band.low == band.high
    return replace(band, low=np.where(flat, low, band.low), high=np.where(flat, high, band.high))


def reliability(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    n_bins: int = 10,
    bins: BinKind = "width",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Reliability:
    """Reliability diagram: accuracy against mean confidence by bin.

    The band is Wilson's with Kish's count for independent rows. With clusters it is the percentile band of the cluster bootstrap, or
    Wilson's with the number of clusters in the bin where all of them agree. Arguments as in `ece`.
    """
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, nan_policy=nan_policy)
    check(ECE, sample)
    settings, binning = as_ci(ci), Bins(n_bins, bins)
    starts, edges = binning.starts(sample), binning.edges(sample)
    used = binning.codes(sample)[starts]
    mass, ones = np.add.reduceat(sample.weights, starts), np.add.reduceat(sample.weights * sample.truth, starts)
    filled = mass > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = ones / mass
        confidence = np.add.reduceat(sample.weights * sample.scores, starts) / mass
    low, high, method = _bin_band(sample, starts, accuracy, settings)
    metric = ece_metric(binning)
    return Reliability(
        edges=edges,
        lower=edges[used][filled],
        upper=edges[used + 1][filled],
        confidence=confidence[filled],
        accuracy=accuracy[filled],
        low=low[filled],
        high=high[filled],
        count=np.add.reduceat(sample.multiplicity, starts)[filled].astype(np.int64),
        weight=mass[filled],
        summary=estimates(sample, [metric], settings)[metric.name],
        level=settings.level,
        method=method,
    )


def smooth_reliability(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    bandwidth: float | None = None,
    n_points: int = 101,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> CurveBand:
    """Reliability without bins: x plus the mean of truth minus confidence near x, under a Gaussian reflected at 0 and 1.

    The residual that a smooth ECE adds up (Blasiok and Nakkiran 2023); the mean truth near x instead would bend a perfect confidence off
    the diagonal.

    bandwidth: of the Gaussian; default Scott's rule, 1.06 sd n^(-1/5), at least 0.02: the bandwidth of the smooth ECE grows with the error
    and would smooth away its shape. Beyond the lowest and highest
    confidence, and where fewer than five rows' worth of weight lie under the Gaussian, curve and band are NaN. ``summary`` is the smooth
    ECE. Other arguments as in `ece`.

    Raises
    ------
    InputError
        On bad input, or a bandwidth that is not positive.
    """
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, nan_policy=nan_policy)
    check(SMOOTH_ECE, sample)
    if bandwidth is not None and not bandwidth > 0:
        raise InputError(f"bandwidth is {bandwidth}; it must be positive")
    settings = as_ci(ci)
    summary = estimates(sample, [SMOOTH_ECE], None)["smooth_ece"]
    if bandwidth is None:
        mean = np.average(sample.scores, weights=sample.weights)
        sd = float(np.sqrt(np.average((sample.scores - mean) ** 2, weights=sample.weights)))
        bandwidth = max(1.06 * sd * float(sample.weights.sum()) ** -0.2, _NARROWEST)
    grid, cell = _grid(0.0, n_points), np.rint(sample.scores * (_CELLS - 1)).astype(np.int64)
    at, centre = grid[:, None], np.linspace(0, 1, _CELLS)[None, :]
    kernel = np.sum([np.exp(-0.5 * ((at - image) / bandwidth) ** 2) for image in (centre, -centre, 2 - centre)], axis=0)

    def curve(_: SortedSample, weights: FloatArray, __: FloatArray) -> FloatArray:
        parts = weights, weights * (sample.truth - sample.scores)
        mass, gap = (np.stack([np.bincount(cell, row, _CELLS) for row in part]) @ kernel.T for part in parts)
        return np.asarray(np.clip(grid + np.divide(gap, mass, out=np.full_like(mass, np.nan), where=mass > 0), 0, 1))

    used = sample.scores[sample.weights > 0]
    near = np.bincount(cell, sample.weights, _CELLS) @ kernel.T
    shown = (near >= _FEWEST_NEAR) & (grid >= used.min() - 0.5 / n_points) & (grid <= used.max() + 0.5 / n_points)
    if not shown.any():
        nothing = np.full(n_points, np.nan)
        return CurveBand(grid, nothing, nothing, nothing, summary, settings.level, sample.n)
    y = np.where(shown, curve(sample, sample.weights[None, :], grid)[0], np.nan)
    low, high = np.full(n_points, np.nan), np.full(n_points, np.nan)
    if settings.kind != "none" and sample.n_clusters > 1:
        samples = np.concatenate([curve(sample, w, grid)[:, shown] for w in weight_chunks(sample, settings)])
        low[shown], high[shown] = np.nanquantile(samples, [0.5 - settings.level / 2, 0.5 + settings.level / 2], axis=0)
    return CurveBand(grid, y, np.minimum(low, y), np.maximum(high, y), summary, settings.level, sample.n)


def _bin_band(sample: SortedSample, starts: IntArray, accuracy: FloatArray, ci: CI) -> tuple[FloatArray, FloatArray, str]:
    if ci.kind == "none":
        return np.full(len(starts), np.nan), np.full(len(starts), np.nan), "none"
    mass = np.add.reduceat(sample.weights, starts)
    if sample.cluster is None:
        square = np.add.reduceat(sample.weights**2 / sample.multiplicity, starts)
        count = np.divide(mass**2, square, out=np.zeros_like(mass), where=square > 0)
        return *wilson_bands(accuracy * count, count, ci.level), "wilson"
    ends = np.append(starts[1:], sample.n_rows)
    count = np.array([len(np.unique(sample.cluster[a:b])) for a, b in zip(starts, ends, strict=True)], dtype=np.float64)
    low, high = wilson_bands(accuracy * count, count, ci.level)
    parts = [
        np.add.reduceat(w * sample.truth, starts, axis=1) / _positive(np.add.reduceat(w, starts, axis=1)) for w in weight_chunks(sample, ci)
    ]
    samples = np.concatenate(parts)
    for b in range(len(starts)):
        own = samples[np.isfinite(samples[:, b]), b]
        if len(own) > 1 and np.ptp(own) > 0:
            low[b], high[b] = np.quantile(own, [0.5 - ci.level / 2, 0.5 + ci.level / 2])
    return low, high, f"percentile, {ci.n_boot} cluster replicates; wilson over clusters where all agree"


def _positive(mass: FloatArray) -> FloatArray:
    return np.where(mass > 0, mass, np.nan)


def _grid(first: float, n_points: int) -> FloatArray:
    if n_points < 2:
        raise InputError(f"n_points is {n_points}; a curve needs at least 2")
    return np.linspace(first, 1, n_points)


def _band(sample: SortedSample, grid: FloatArray, curve: CurveFunction, ci: CI, summary: Estimate) -> CurveBand:
    y = curve(sample, sample.weights[None, :], grid)[0]
    if ci.kind == "none" or sample.n_clusters < 2:
        nothing = np.full(len(grid), np.nan)
        return CurveBand(grid, y, nothing, nothing, summary, ci.level, sample.n)
    samples = np.concatenate([curve(sample, w, grid) for w in weight_chunks(sample, ci)])
    samples = samples[np.isfinite(samples).all(axis=1)]
    low, high = np.quantile(samples, [0.5 - ci.level / 2, 0.5 + ci.level / 2], axis=0)
    return CurveBand(grid, y, np.minimum(low, y), np.maximum(high, y), summary, ci.level, sample.n)


def _tpr_at(sample: SortedSample, weights: FloatArray, grid: FloatArray) -> FloatArray:
    """True-positive rate at each false-positive rate; the upper end of a vertical step."""
    pos = group_sums(weights * sample.truth, sample.starts)[:, ::-1]
    neg = group_sums(weights * (1 - sample.truth), sample.starts)[:, ::-1]
    tp, fp = np.cumsum(pos, axis=1), np.cumsum(neg, axis=1)
    out = np.full((len(weights), len(grid)), np.nan)
    for b in np.flatnonzero((tp[:, -1] > 0) & (fp[:, -1] > 0)):
        at = grid * fp[b, -1]
        # The first group that ends beyond the wanted false positives; its step is shared out in proportion.
        nxt = np.minimum(np.searchsorted(fp[b], at + 1e-9, "right"), fp.shape[1] - 1)
        share = np.divide(fp[b, nxt] - at, neg[b, nxt], out=np.zeros_like(at), where=neg[b, nxt] > 0)
        out[b] = (tp[b, nxt] - np.clip(share, 0, 1) * pos[b, nxt]) / tp[b, -1]
    return out


def _risk_at(sample: SortedSample, weights: FloatArray, grid: FloatArray) -> FloatArray:
    """Mean loss of the most certain c of the weight, linear in summed loss inside a tied group."""
    w, s = group_totals(sample, weights)
    end, total = np.cumsum(w, axis=1), np.cumsum(s, axis=1)
    out = np.empty((len(weights), len(grid)))
    for b in range(len(weights)):
        at = grid * end[b, -1]
        inside = np.minimum(np.searchsorted(end[b], at - 1e-9), end.shape[1] - 1)
        rest = np.divide(s[b, inside], w[b, inside], out=np.zeros_like(at), where=w[b, inside] > 0) * (end[b, inside] - at)
        out[b] = (total[b, inside] - rest) / at
    return out
