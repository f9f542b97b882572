"""Pearson's correlation at three levels: over all rows, within groups and between groups, which may differ in sign (Simpson 1951).

Within: both columns centred by group, Fisher's interval with n - G + 1 in the place of n. Between: unweighted means of groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import normal_quantile
from trueline.stats.sample import as_vector, cluster_codes

_LEAST_GROUPS = 3
_NOISE = 1e-12


@dataclass(frozen=True)
class CorrelationLevels:
    """Correlations over all rows, within groups and between group means.

    Attributes
    ----------
    pooled, within : Estimate
        With Fisher's interval; it takes rows as independent (``pooled``), or independent given the group (``within``).
    between : Estimate
        Of the groups' means, without interval; NaN with fewer than 3 groups.
    df : int
        Degrees of freedom within: n - G - 1.
    disagree : bool
        Pooled and within have opposite signs.
    """

    pooled: Estimate
    within: Estimate
    between: Estimate
    df: int

    @property
    def disagree(self) -> bool:
        """Whether pooling turns the sign of the correlation within groups."""
        return self.pooled.value * self.within.value < 0


def correlation_levels(x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, level: float = 0.95) -> CorrelationLevels:
    """Return the correlation of two scores over all rows, within groups and between groups.

    Parameters
    ----------
    x, y : (n,) float64
        Such as the alignment and the coherence score of each answer; finite.
    groups : (n,) labels
        Such as the question.

    Raises
    ------
    InputError
        Lengths that differ, empty, NaN or infinite (names the first).

    Examples
    --------
    >>> found = correlation_levels([1, 2, 3, 4, 5, 6], [5, 6, 3, 4, 1, 2], ["a", "a", "b", "b", "c", "c"])
    >>> round(found.pooled.value, 2), round(found.within.value, 2), round(found.between.value, 2)
    (-0.83, 1.0, -1.0)
    """
    a, b = as_vector(x, "x"), as_vector(y, "y")
    for name, values in (("x", a), ("y", b)):
        if len(values) != len(a):
            raise InputError(f"y has {len(b)} entries but x has {len(a)}; give one of each a row")
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InputError(f"{name}[{bad[0]}] is {values[bad[0]]}; leave rows without both scores out, and count them")
    codes = cluster_codes(groups, len(a))
    n, size = len(a), np.bincount(codes)
    g = len(size)
    means = [np.bincount(codes, values) / size for values in (a, b)]
    inner = a - means[0][codes], b - means[1][codes]
    between = Estimate.undefined(f"{g} groups; at least {_LEAST_GROUPS} are needed", n=g, level=level)
    if g >= _LEAST_GROUPS:
        between = _pearson(means[0], means[1], g, -math.inf, level, a, b)
    return CorrelationLevels(_pearson(a, b, n, n - 3, level, a, b), _pearson(*inner, n, n - g - 2, level, a, b), between, n - g - 1)


def _pearson(x: FloatArray, y: FloatArray, n: int, room: float, level: float, a: FloatArray, b: FloatArray) -> Estimate:
    """Correlation with Fisher's interval of standard error 1 / sqrt(room); a and b give the scale below which nothing varies."""
    u, v = x - x.mean(), y - y.mean()
    across, along = float(u @ u), float(v @ v)
    flat = [name for name, s, whole in (("x", across, a), ("y", along, b)) if s <= len(x) * (_NOISE * float(np.abs(whole).max())) ** 2]
    if flat:
        return Estimate.undefined(f"{' and '.join(flat)} does not vary at this level", n=n, level=level)
    r = min(1.0, max(-1.0, float(u @ v) / math.sqrt(across * along)))
    if room == -math.inf:
        return Estimate(r, level=level, n=n)
    if room < 1:
        return Estimate(r, level=level, n=n, reason="too few rows for an interval")
    if abs(r) > 1 - _NOISE:
        return Estimate(r, level=level, n=n, reason="a perfect correlation has no Fisher interval")
    half = normal_quantile(level) / math.sqrt(room)
    return Estimate(
        r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), level, n, method="fisher z", se=(1 - r * r) / math.sqrt(room)
    )
