"""Interval ends: from bootstrap replicates (percentile, basic, BCa) and in closed form (Wilson, Clopper-Pearson, ...).

Efron 1987 (BCa); Wilson 1927; Clopper and Pearson 1934; Agresti and Coull 1998.
Normal quantiles come from the standard library, so nothing heavy is imported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """Two ends, the standard error behind them and how they were made."""

    low: float
    high: float
    se: float
    method: str


def normal_quantile(level: float) -> float:
    """Return z with P(|Z| <= z) = level."""
    return _NORMAL.inv_cdf(0.5 + level / 2)


def percentile(samples: FloatArray, level: float) -> tuple[float, float]:
    """Return the central quantiles (linear interpolation) of the replicates."""
    low, high = np.quantile(samples, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def basic(samples: FloatArray, value: float, level: float) -> tuple[float, float]:
    """Return the percentile interval mirrored at the value."""
    low, high = percentile(samples, level)
    return 2 * value - high, 2 * value - low


def bca(samples: FloatArray, value: float, level: float, acceleration: float) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval.

    With z0 = Phi^-1(share of replicates below the value, ties one half), the ends are the replicate quantiles at
    Phi(z0 + (z0 + z) / (1 - a (z0 + z))). Where every replicate lies on one side of the value, the share is held half a replicate
    away from 0 and 1; the ends are then widened to hold the value.
    """
    n = len(samples)
    share = float(np.mean(samples < value) + 0.5 * np.mean(samples == value))
    z0 = _NORMAL.inv_cdf(min(max(share, 0.5 / n), 1 - 0.5 / n))
    z = normal_quantile(level)
    at = []
    for tail in (-z, z):
        stretch = 1 - acceleration * (z0 + tail)
        # Beyond this pole the adjusted level is on the far tail: all or nothing.
        at.append(_NORMAL.cdf(z0 + (z0 + tail) / stretch) if stretch > 0 else float(tail > 0))
    low, high = np.quantile(samples, at)
    if share in (0.0, 1.0):
        return min(float(low), value), max(float(high), value)
    return float(low), float(high)


def acceleration(leave_one_out: FloatArray, counts: FloatArray | None = None) -> float:
    """Return a = sum d^3 / (6 (sum d^2)^1.5) with d = mean of the leave-one-out values minus each; 0 where all are equal."""
    good = np.isfinite(leave_one_out)
    values = leave_one_out[good]
    c = np.ones(len(values)) if counts is None else counts[good]
    if not len(values):
        return 0.0
    d = np.average(values, weights=c) - values
    square = float((c * d**2).sum())
    scale = max(1e-300, float(np.max(np.abs(values))) ** 2 * 1e-28 * len(values))
    return float((c * d**3).sum() / (6 * square**1.5)) if square > scale else 0.0


def jackknife_se(leave_one_out: FloatArray, counts: FloatArray | None = None) -> float:
    """Return sqrt((n - 1)/n sum d^2), d as in `acceleration`."""
    c = np.ones(len(leave_one_out)) if counts is None else counts
    d = np.average(leave_one_out, weights=c) - leave_one_out
    n = float(c.sum())
    return math.sqrt((n - 1) / n * float((c * d**2).sum()))


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion; `n` may be an effective (real) count.

    Raises
    ------
    InputError
        If not 0 <= successes <= n, or n is not positive.
    """
    _check_proportion(successes, n)
    z, p = normal_quantile(level), successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high, math.sqrt(p * (1 - p) / n), "wilson")


def clopper_pearson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Return the exact (conservative) interval of a proportion from beta quantiles."""
    from scipy.special import betaincinv

    _check_proportion(successes, n)
    tail, p = 0.5 - level / 2, successes / n
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(low, high, math.sqrt(p * (1 - p) / n), "clopper-pearson")


def wilson_bands(successes: FloatArray, n: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return Wilson ends for many proportions at once; NaN where n is 0."""
    z = normal_quantile(level)
    n = np.where(n > 0, n, np.nan)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half: Any = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # Rounding may push an end past a share of 0 or 1.
    return np.clip(centre - half, 0.0, p), np.clip(centre + half, p, 1.0)


def wald(value: float, se: float, level: float, method: str) -> Interval:
    """Return value -+ z se."""
    z = normal_quantile(level)
    return Interval(value - z * se, value + z * se, se, method)


def t_quantile(level: float, df: float) -> float:
    """Return t with P(|T| <= t) = level for Student's law with `df` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + level / 2))


def t_interval(value: float, se: float, df: float, level: float) -> Interval:
    """Return value -+ t se; it is not held to any range."""
    half = t_quantile(level, df) * se
    return Interval(value - half, value + half, se, f"t, {df:g} degrees of freedom")


def agresti_coull(successes: float, n: float, level: float = 0.95) -> Interval:
    """Return p~ -+ z sqrt(p~ (1 - p~) / n~), n~ = n + z^2, p~ = (k + z^2/2) / n~, held to [0, 1] (Agresti and Coull 1998)."""
    _check_proportion(successes, n)
    z = normal_quantile(level)
    more = n + z * z
    centre = (successes + z * z / 2) / more
    se = math.sqrt(centre * (1 - centre) / more)
    return Interval(max(0.0, centre - z * se), min(1.0, centre + z * se), se, "agresti-coull")


def upper_bound(successes: float, n: float, level: float = 0.95) -> float:
    """Return the exact one-sided upper bound of a proportion: 1 - (1 - level)^(1/n) where nothing was seen (Clopper and Pearson)."""
    from scipy.special import betaincinv

    _check_proportion(successes, n)
    return 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, level))


def _check_proportion(successes: float, n: float) -> None:
    if not (n > 0 and 0 <= successes <= n):
        raise InputError(f"a proportion needs 0 <= successes <= n and n > 0; got {successes} of {n}")
