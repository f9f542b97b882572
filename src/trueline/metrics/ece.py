"""Binned calibration errors: ECE, MCE, signed error, Kumar's debiased squared error, and the error that chance alone would give.

Naeini et al. 2015 and Guo et al. 2017 (ECE), Kumar et al. 2019 (debiased). The plug-in ECE of a perfectly calibrated model is about 0.07 at
n = 300 with 15 bins: report `debiased_ece` or `null_ece` beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument, call
from trueline.metrics.accuracy import additive_jackknife, mean_influence
from trueline.stats.cells import Cells, bin_cells, rank_cells
from trueline.stats.engine import Jackknife, Metric, check, point
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray, NanPolicy, SortedSample, sorted_sample, weighted_sum

BinKind = Literal["width", "mass"]
_MAX_TABLE = 20_000_000


@dataclass(frozen=True)
class Bins:
    """How probabilities are binned.

    Attributes
    ----------
    n : int
        Number of bins.
    kind : {"width", "mass"}
        Equal width on [0, 1], or equal mass: quantiles of the unweighted sample (duplicates merge), which stay fixed in replicates.
    closed : {"right", "left"}
        (lower, upper] with 0 in the first bin, or [lower, upper) with 1 in the last.
    """

    n: int = 15
    kind: BinKind = "width"
    closed: Literal["right", "left"] = "right"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"n_bins is {self.n}; at least one bin is needed")
        if self.kind not in ("width", "mass"):
            raise InputError(f"bins {self.kind!r} are unknown; expected 'width' or 'mass'")
        if self.closed not in ("right", "left"):
            raise InputError(f"closed is {self.closed!r}; expected 'right' or 'left'")

    def edges(self, sample: SortedSample) -> FloatArray:
        """Return the rising bin edges for a sample."""
        grid = np.linspace(0, 1, self.n + 1)
        if self.kind == "width":
            return grid
        items = np.repeat(sample.scores, sample.multiplicity.astype(np.int64))
        edges = np.unique(np.quantile(items, grid))
        return edges if len(edges) > 1 else np.repeat(edges, 2)  # all scores equal: one bin without width

    def codes(self, sample: SortedSample) -> IntArray:
        """Return each row's bin, 0 to n - 1."""
        side: Any = "left" if self.closed == "right" else "right"
        return np.asarray(np.searchsorted(self.edges(sample)[1:-1], sample.scores, side), dtype=np.int64)

    def starts(self, sample: SortedSample) -> IntArray:
        """Return the first row of each non-empty bin (rows are sorted by score); remembered on the sample."""
        if self not in sample.cache:
            codes = self.codes(sample)
            sample.cache[self] = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        found: IntArray = sample.cache[self]
        return found

    def cells(self, sample: SortedSample) -> Cells | None:
        """Return cells that keep to the bins; remembered on the sample."""
        key = "cells", self
        if key not in sample.cache:
            starts = self.starts(sample)
            made = bin_cells(sample, starts)
            if made is not None:
                made.sample.cache[self] = np.searchsorted(made.sample.scores, sample.scores[starts])
            sample.cache[key] = made
        found: Cells | None = sample.cache[key]
        return found


def ece(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    n_bins: int = 15,
    bins: BinKind = "width",
    norm: float = 1,
    closed: Literal["right", "left"] = "right",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    r"""Expected calibration error :math:`(\sum_b \frac{W_b}{W} |\bar y_b - \bar p_b|^q)^{1/q}`.

    Parameters
    ----------
    scores : (n,) float64 in [0, 1]
        Probability (confidence) that the truth is 1.
    truth : (n,) in {0, 1}
    n_bins, bins, closed
        See `Bins`; ``bins="mass"`` is the adaptive ECE.
    norm : float
        q >= 1; ``inf`` is the maximum calibration error.
    weights, clusters, ci, nan_policy
        As in `auroc`.

    Raises
    ------
    InputError
        On bad input; a probability outside [0, 1]; a truth that is neither 0 nor 1. Names the first index.

    Examples
    --------
    >>> round(ece([0.9, 0.9, 0.2, 0.2], [1, 0, 0, 0], ci=None).value, 3)
    0.3
    """
    return call(ece_metric(Bins(n_bins, bins, closed), norm), scores, truth, weights, clusters, ci, nan_policy)


def mce(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    n_bins: int = 15,
    bins: BinKind = "width",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Maximum calibration error: the largest gap over non-empty bins. Arguments as in `ece`."""
    return call(ece_metric(Bins(n_bins, bins), math.inf), scores, truth, weights, clusters, ci, nan_policy)


def signed_ece(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean confidence minus accuracy: above 0 is over-confident. No bins. Arguments as in `ece`."""
    return call(SIGNED_ECE, scores, truth, weights, clusters, ci, nan_policy)


def debiased_ece(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    n_bins: int = 15,
    bins: BinKind = "width",
    squared: bool = False,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Kumar's debiased L2 calibration error: sum_b (n_b/n)[(ybar_b - pbar_b)^2 - ybar_b(1 - ybar_b)/(n_b - 1)].

    ``squared=True`` gives the signed squared value (0 on average for a calibrated model, so often negative); otherwise its root, 0 where it
    is negative. Bins of fewer than two rows add nothing. Other arguments as in `ece`.
    """
    return call(debiased_metric(Bins(n_bins, bins), squared), scores, truth, weights, clusters, ci, nan_policy)


@dataclass(frozen=True)
class NullECE:
    """What chance alone gives: mean and 95 % quantile of ECE on labels redrawn from the scores, and P(null >= observed)."""

    observed: float
    mean: float
    quantile95: float
    p_value: float
    n_draws: int


def null_ece(
    scores: ArrayLike, truth: ArrayLike, *, n_bins: int = 15, bins: BinKind = "width", n_draws: int = 200, seed: int = 0
) -> NullECE:
    """Compare the ECE with that of a model whose scores are exactly right; p = (1 + #{null >= ECE}) / (1 + n_draws)."""
    metric = ece_metric(Bins(n_bins, bins))
    sample = sorted_sample(scores, truth, merge=False)
    check(metric, sample)
    observed = point(metric, sample)
    starts = Bins(n_bins, bins).starts(sample)
    rng = np.random.default_rng(seed)
    null = np.empty(n_draws)
    for i in range(n_draws):
        labels = rng.random(sample.n_rows) < sample.scores
        null[i] = np.abs(np.add.reduceat(labels - sample.scores, starts)).sum() / sample.n
    p = (1 + int((null >= observed - 1e-12).sum())) / (1 + n_draws)
    return NullECE(observed, float(null.mean()), float(np.quantile(null, 0.95)), p, n_draws)


def ece_metric(bins: Bins | None = None, norm: float = 1) -> Metric:
    """Return the metric record of `ece`."""
    if not norm >= 1:
        raise InputError(f"norm is {norm}; expected q >= 1, or inf for the maximum")
    bins = bins or Bins()
    name = "mce" if norm == math.inf else "ece"
    return Metric(
        name,
        partial(_ece_value, bins=bins, norm=norm),
        scores="probability",
        jackknife=partial(_ece_jackknife, bins=bins, norm=norm),
        bounds=(0, 1),
        prefers="basic",
        null=partial(_ece_of_noise, bins=bins, norm=norm),
        cells=bins.cells,
    )


def debiased_metric(bins: Bins | None = None, squared: bool = False) -> Metric:
    """Return the metric record of `debiased_ece`."""
    bins = bins or Bins()
    value = partial(_debiased_value, bins=bins)
    name, link = ("debiased_squared_ece", None) if squared else ("debiased_ece", _root)
    return Metric(name, value, scores="probability", bounds=(-1, 1), prefers="centred", link=link, cells=bins.cells)


def _ece_value(sample: SortedSample, weights: FloatArray, *, bins: Bins, norm: float) -> FloatArray:
    starts = bins.starts(sample)
    gap = np.add.reduceat(weights * (sample.truth - sample.scores), starts, axis=1)
    mass = weights.sum(axis=1) if norm == 1 else np.add.reduceat(weights, starts, axis=1)
    return _norm(gap, mass, norm)


def _ece_of_noise(sample: SortedSample, weights: FloatArray, *, bins: Bins, norm: float) -> FloatArray:
    """Error of each bin's mean gap minus the sample's own: what the bins would show if the true gaps were zero."""
    starts = bins.starts(sample)
    delta = sample.truth - sample.scores
    own_mass = np.add.reduceat(sample.weights, starts)
    own = np.add.reduceat(sample.weights * delta, starts) / np.where(own_mass > 0, own_mass, 1.0)
    mass = np.add.reduceat(weights, starts, axis=1)
    gap = np.add.reduceat(weights * delta, starts, axis=1) - mass * own
    return _norm(gap, mass.sum(axis=1) if norm == 1 else mass, norm)


def _norm(gap: FloatArray, mass: FloatArray, norm: float) -> FloatArray:
    """Error from summed gaps (.., bins) and masses: (..,) of the whole for q = 1, (.., bins) otherwise."""
    if norm == 1:
        return np.asarray(np.abs(gap).sum(axis=-1) / mass)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(mass > 0, np.abs(gap) / mass, 0.0)
    if norm == math.inf:
        return np.asarray(mean.max(axis=-1))
    return np.asarray(((mass * mean**norm).sum(axis=-1) / mass.sum(axis=-1)) ** (1 / norm))


def _ece_jackknife(sample: SortedSample, *, bins: Bins, norm: float) -> Jackknife | None:
    """Leave-one-unit-out errors by updating the bins that the unit touches."""
    starts = bins.starts(sample)
    n_bins = len(starts)
    code = np.repeat(np.arange(n_bins), np.diff(np.append(starts, sample.n_rows)))
    w = sample.weights / sample.multiplicity
    delta = w * (sample.truth - sample.scores)
    gap = np.add.reduceat(delta * sample.multiplicity, starts)
    mass = np.add.reduceat(sample.weights, starts)
    if sample.cluster is None and norm == 1:
        total = np.abs(gap).sum() - np.abs(gap[code]) + np.abs(gap[code] - delta)
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / (mass.sum() - w), sample.multiplicity
    unit, k, counts = (np.arange(sample.n_rows), sample.n_rows, sample.multiplicity) if sample.cluster is None else (
        sample.cluster, sample.n_clusters, np.ones(sample.n_clusters))  # fmt: skip
    if k * n_bins > _MAX_TABLE:
        return None
    cell = unit * n_bins + code
    gaps: FloatArray = gap - np.bincount(cell, delta, k * n_bins).reshape(k, n_bins)
    masses: FloatArray = mass - np.bincount(cell, w, k * n_bins).reshape(k, n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _norm(gaps, masses.sum(axis=1) if norm == 1 else masses, norm), counts


def _root(value: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.maximum(0.0, value)))


def _debiased_value(sample: SortedSample, weights: FloatArray, *, bins: Bins) -> FloatArray:
    starts = bins.starts(sample)
    mass = np.add.reduceat(weights, starts, axis=1)
    ones = np.add.reduceat(weights * sample.truth, starts, axis=1)
    gap = ones - np.add.reduceat(weights * sample.scores, starts, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = ones / mass
        term = (gap / mass) ** 2 - share * (1 - share) / (mass - 1)
    return np.asarray(np.where(mass >= 2, mass * term, 0.0).sum(axis=1) / mass.sum(axis=1))


def _signed_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray(weighted_sum(weights, sample.scores - sample.truth) / weights.sum(axis=1))


SIGNED_ECE = Metric(
    "signed_ece",
    _signed_value,
    scores="probability",
    jackknife=lambda sample: additive_jackknife(sample, sample.scores - sample.truth),
    influence=partial(mean_influence, per_row=lambda sample: sample.scores - sample.truth),
    bounds=(-1, 1),
    cells=rank_cells,
)
ECE = ece_metric()
MCE = ece_metric(norm=math.inf)
DEBIASED_ECE = debiased_metric()
DEBIASED_SQUARED_ECE = debiased_metric(squared=True)
