"""Many tests at once (Holm 1979; Benjamini and Hochberg 1995), equivalence (Schuirmann 1987) and effect sizes (Cohen 1988; Cliff 1993)."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import as_vector


def holm(p_values: ArrayLike) -> FloatArray:
    """Return adjusted p-values, (m,), that control the family-wise error."""
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    return out


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Return adjusted p-values, (m,), that control the false discovery rate."""
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    out = np.empty(len(p))
    scaled = len(p) / np.arange(1, len(p) + 1) * p[order]
    out[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return out


def equivalence_p(difference: float, se: float, margin: float) -> float:
    """Return the p-value of two one-sided normal tests that |difference| < `margin`."""
    if not (se > 0 and margin > 0):
        raise InputError(f"se and margin must be positive; got {se} and {margin}")
    normal = NormalDist()
    return max(normal.cdf((difference - margin) / se), normal.cdf((-difference - margin) / se))


def minimum_detectable(se: float, *, power: float = 0.8, level: float = 0.95) -> float:
    """Return the difference that a two-sided test would find with `power`: (z_level + z_power) se, 2.80 se at 80 %."""
    normal = NormalDist()
    return (normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(power)) * se


def cohens_h(p_1: float, p_2: float) -> float:
    """Return 2 asin sqrt(p_1) - 2 asin sqrt(p_2)."""
    _check_shares(p_1, p_2)
    return 2 * (math.asin(math.sqrt(p_1)) - math.asin(math.sqrt(p_2)))


def odds_ratio(p_1: float, p_2: float) -> float:
    """Return the odds of p_1 over those of p_2; NaN for 0/0, infinity where only the second has no odds."""
    _check_shares(p_1, p_2)
    return _quotient(p_1 * (1 - p_2), p_2 * (1 - p_1))


def risk_ratio(p_1: float, p_2: float) -> float:
    """Return p_1 / p_2; NaN for 0/0, infinity where only p_2 is 0."""
    _check_shares(p_1, p_2)
    return _quotient(p_1, p_2)


def _check_shares(*shares: float) -> None:
    for p in shares:
        if not 0 <= p <= 1:
            raise InputError(f"{p} is not a proportion")


def _quotient(top: float, bottom: float) -> float:
    if bottom == 0:
        return math.nan if top == 0 else math.inf
    return top / bottom


def superiority(x: ArrayLike, y: ArrayLike) -> float:
    """Return P(X > Y) + P(X = Y)/2 over all pairs."""
    a, b = as_vector(x, "x"), np.sort(as_vector(y, "y"))
    if np.isnan(a).any() or np.isnan(b).any():
        raise InputError("x or y holds NaN; leave such rows out first")
    return float((np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")).sum() / (2 * len(a) * len(b)))


def cliffs_delta(x: ArrayLike, y: ArrayLike) -> float:
    """Return P(X > Y) - P(X < Y)."""
    return 2 * superiority(x, y) - 1


def _p_values(p_values: ArrayLike) -> FloatArray:
    p = as_vector(p_values, "p_values")
    bad = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if len(bad):
        raise InputError(f"p_values[{bad[0]}] is {p[bad[0]]}; expected a number in [0, 1]")
    return p
