"""CORP: score decomposition by isotonic regression, free of bins (Dimitriadis, Gneiting and Jordan 2021).

MCB = S(p) - S(iso), DSC = S(base rate) - S(iso), UNC = S(base rate), for the Brier or the logarithmic score; S = MCB - DSC + UNC.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.stats.engine import Metric, as_ci, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import NanPolicy, SortedSample, group_sums, sorted_sample

Score = Literal["brier", "log"]


@dataclass(frozen=True)
class Corp:
    """Score = miscalibration - discrimination + uncertainty; `curve_x`, `curve_y` are the fitted reliability curve."""

    miscalibration: Estimate
    discrimination: Estimate
    uncertainty: Estimate
    curve_x: FloatArray
    curve_y: FloatArray


def corp(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    score: Score = "brier",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Corp:
    """Decompose a proper score by an isotonic fit of truth on score; other arguments as in `ece`.

    Examples
    --------
    >>> parts = corp([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1], ci=None)
    >>> round(parts.miscalibration.value, 3), round(parts.discrimination.value, 4)
    (0.065, 0.0625)
    """
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, nan_policy=nan_policy)
    parts = estimates(sample, corp_metrics(score), as_ci(ci))
    x, y = isotonic_fit(sample.scores, sample.truth, sample.weights)
    return Corp(parts["miscalibration"], parts["discrimination"], parts["corp_uncertainty"], x, y)


def corp_metrics(score: Score = "brier") -> list[Metric]:
    """Return the metric records of the three parts."""
    if score not in ("brier", "log"):
        raise InputError(f"score {score!r} is unknown; expected 'brier' or 'log'")
    names = ("miscalibration", "discrimination", "corp_uncertainty")
    return [
        Metric(
            name,
            partial(_part_value, part=name, score=score),
            scores="probability",
            bounds=(0, np.inf),
            prefers="bca" if name == "corp_uncertainty" else "basic",
            little_from=50_000,
        )
        for name in names
    ]


def isotonic_fit(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distinct x of positive weight and the rising least-squares fit there; equal x are pooled first."""
    from scipy.optimize import isotonic_regression

    used = weights > 0
    distinct, inverse = np.unique(x[used], return_inverse=True)
    mass = np.bincount(inverse, weights[used])
    mean = np.bincount(inverse, weights[used] * y[used]) / mass
    return distinct, np.asarray(isotonic_regression(mean, weights=mass).x)


def _part_value(sample: SortedSample, weights: FloatArray, *, part: str, score: Score) -> FloatArray:
    mass = group_sums(weights, sample.starts)
    ones = group_sums(weights * sample.truth, sample.starts)
    total, rate = mass.sum(axis=1), ones.sum(axis=1) / mass.sum(axis=1)
    if part == "corp_uncertainty":
        return np.asarray([_entropy(r, score) for r in rate])
    forecast = sample.scores[sample.starts]
    out = np.empty(len(weights))
    for b in range(len(weights)):
        fitted = _pooled(mass[b], ones[b])
        best = _mean_score(fitted, mass[b], ones[b], score) / total[b]
        other = _mean_score(forecast, mass[b], ones[b], score) / total[b] if part == "miscalibration" else _entropy(rate[b], score)
        out[b] = other - best
    return out


def _pooled(mass: FloatArray, ones: FloatArray) -> FloatArray:
    """Isotonic fit over groups; groups without weight take any neighbour's value, since nothing depends on them."""
    from scipy.optimize import isotonic_regression

    used = mass > 0
    fitted = np.zeros(len(mass))
    fitted[used] = isotonic_regression(ones[used] / mass[used], weights=mass[used]).x
    return np.clip(fitted, 0.0, 1.0)


def _mean_score(p: FloatArray, mass: FloatArray, ones: FloatArray, score: Score) -> float:
    """Summed score of forecasts p for groups with `ones` of `mass`."""
    zeros = mass - ones
    if score == "brier":
        return float((ones * (1 - p) ** 2 + zeros * p**2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(ones > 0, -ones * np.log(p), 0.0) + np.where(zeros > 0, -zeros * np.log1p(-p), 0.0)
    return float(terms.sum())


def _entropy(rate: float, score: Score) -> float:
    if score == "brier":
        return float(rate * (1 - rate))
    return float(-sum(q * np.log(q) for q in (rate, 1 - rate) if q > 0))
