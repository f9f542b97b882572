"""Classes of conditions that every item has seen, compared: paired contrasts and a regression on all labels.

Written for epistemic markers (Zhou, Jurafsky and Hashimoto 2023, arXiv 2302.13439): every item meets every marker, so that contrasts are
paired by item. The paper resamples rows and tests without pairing; those numbers come with ``legacy=True``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import normal_quantile
from trueline.stats.mcnemar import mcnemar
from trueline.stats.sample import check_length, cluster_codes

#: With fewer items a class gets its point value and the exact test alone.
LEAST_ITEMS = 20
_CHUNK = 1 << 22
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Contrast:
    """Mean over items of first minus second class.

    Attributes
    ----------
    estimate : Estimate
        With the paired normal interval; no ends below 20 items. ``se`` is sd / sqrt(n), over clusters where items share them.
    p : float
        Two-sided, from the paired standard error: 1 where nothing differs; NaN below 20 items.
    bootstrap : (low, high)
        Percentile interval over items (clusters); NaN below 20 items.
    mcnemar_p : float
        Exact, where both classes are single right-or-wrong columns; else NaN.
    legacy : mapping or None
        ``unpaired_t``, ``unpaired_p`` (pooled variance), ``bootstrap_low``, ``bootstrap_high`` (rows resampled).
    """

    estimate: Estimate
    p: float
    bootstrap: tuple[float, float]
    mcnemar_p: float
    legacy: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-safe record: an estimate with ``p``, ``bootstrap``, ``mcnemar_p`` and, if asked for, ``legacy``."""
        more = {"p": _finite(self.p), "bootstrap": [_finite(v) for v in self.bootstrap], "mcnemar_p": _finite(self.mcnemar_p)}
        old = {} if self.legacy is None else {"legacy": {k: _finite(v) for k, v in self.legacy.items()}}
        return self.estimate.to_json() | more | old


def class_contrast(
    first: ArrayLike,
    second: ArrayLike,
    *,
    clusters: Sequence[str] | None = None,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
    legacy: bool = False,
) -> Contrast:
    """Compare two classes of conditions on the same items.

    Parameters
    ----------
    first, second : (n_items,) or (n_items, n_markers) float64
        Every column of a class weighs the same. An item with a NaN on either side is left out and counted.
    clusters : n_items labels, optional
        Items that share one are not independent.
    level, n_boot, seed
        Of the intervals.
    legacy : bool
        Add the published variants: pooled-variance t without pairing, and 500 resamples of rows.

    Raises
    ------
    InputError
        Lengths that differ, or no item.

    Examples
    --------
    >>> found = class_contrast([1, 0, 1], [1, 0, 1])
    >>> found.estimate.value, found.estimate.se, found.mcnemar_p
    (0.0, 0.0, 1.0)
    """
    a, b = _columns(first, "first"), _columns(second, "second")
    check_length(len(b), len(a), "second")
    kept = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    binary = a.shape[1] == b.shape[1] == 1 and bool(np.isin(a[kept], (0, 1)).all() and np.isin(b[kept], (0, 1)).all())
    d = _difference(a[kept], b[kept])
    exact = mcnemar(a[kept, 0], b[kept, 0]).p if binary and kept.any() else math.nan
    codes = np.arange(len(d)) if clusters is None else np.unique(cluster_codes(clusters, len(a))[kept], return_inverse=True)[1]
    estimate, p = _paired(d, codes, len(a) - len(d), level)
    drawn = _resampled(d, codes, n_boot, seed, level) if math.isfinite(p) else (math.nan, math.nan)
    old = _legacy(a[kept], b[kept], level, seed) if legacy and kept.any() else None
    return Contrast(estimate, p, drawn, exact, old)


def _columns(values: ArrayLike, name: str) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not x.size:
        raise InputError(f"{name} has shape {x.shape}; expected (n_items,) or (n_items, n_markers) with at least one of each")
    return x


def _difference(a: FloatArray, b: FloatArray) -> FloatArray:
    """(n_items,) differences of the classes' means; equal values are equal, however their means were rounded."""
    first, second = a.mean(axis=1), b.mean(axis=1)
    d = first - second
    d[np.abs(d) <= _ROUNDING * np.maximum(np.abs(first), np.abs(second))] = 0.0
    return np.asarray(d, dtype=np.float64)


def _paired(d: FloatArray, codes: Any, missing: int, level: float) -> tuple[Estimate, float]:
    n = len(d)
    if not n:
        return Estimate(math.nan, level=level, n_missing=missing, reason="no item has a value under both classes"), math.nan
    mean = float(d.mean())
    groups = np.bincount(codes, weights=d - mean)
    g = len(groups)
    se = math.sqrt(g / (g - 1) * float(groups @ groups)) / n if g > 1 else math.nan
    base: dict[str, Any] = {"level": level, "n": n, "n_missing": missing, "se": se}
    if n < LEAST_ITEMS or g < 2:
        why = f"{n} items: no interval below {LEAST_ITEMS}" if n < LEAST_ITEMS else "one cluster: no interval"
        return Estimate(mean, reason=why, **base), math.nan
    if se == 0:  # all items differ by the same: a sign test is all that is left
        return Estimate(mean, mean, mean, method="paired normal", **base), 1.0 if mean == 0 else 2.0 ** (1 - g)
    half = normal_quantile(level) * se
    return Estimate(mean, mean - half, mean + half, method="paired normal", **base), math.erfc(abs(mean) / se / math.sqrt(2))


def _resampled(d: FloatArray, codes: Any, n_boot: int, seed: int, level: float) -> tuple[float, float]:
    """Percentile interval of the mean over items; whole clusters are drawn."""
    sums, sizes = np.bincount(codes, weights=d), np.bincount(codes).astype(np.float64)
    rng, g = np.random.default_rng(seed), len(sums)
    step = max(1, _CHUNK // g)
    means = []
    for start in range(0, n_boot, step):
        weights = rng.multinomial(g, np.full(g, 1 / g), size=min(step, n_boot - start))
        means.append((weights @ sums) / (weights @ sizes))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _legacy(a: FloatArray, b: FloatArray, level: float, seed: int) -> dict[str, float]:
    """Rows, not items, as the paper takes them: 500 resamples of each class, and Student's t with pooled variance."""
    from scipy.special import stdtr

    x, y = a.ravel(), b.ravel()
    df = len(x) + len(y) - 2
    pooled = (x.var() * len(x) + y.var() * len(y)) / df if df > 0 else math.nan
    se = math.sqrt(pooled * (1 / len(x) + 1 / len(y))) if df > 0 else math.nan
    gap = float(x.mean() - y.mean())
    t = gap / se if se > 0 else (0.0 if gap == 0 else math.inf * np.sign(gap))
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(x, len(x)).mean() - rng.choice(y, len(y)).mean() for _ in range(500)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    p = 2 * float(stdtr(df, -abs(t))) if df > 0 else math.nan
    return {"unpaired_t": float(t), "unpaired_p": p, "bootstrap_low": float(low), "bootstrap_high": float(high)}


def label_regression(
    values: ArrayLike, labels: Mapping[str, ArrayLike], *, clusters: Sequence[str] | None = None, level: float = 0.95
) -> dict[str, Estimate]:
    """Regress a value on all labels of its condition at once, inside items: what each label adds while the others are held.

    Least squares with an intercept for each item; the sandwich standard error takes items (clusters) as the units.

    Parameters
    ----------
    values : (n_items, n_markers) float64
        NaN cells are left out and counted.
    labels : name -> (n_markers,) or (n_items, n_markers) float64
        A label that is NaN everywhere, does not vary, or follows from the ones before it, is undefined and says so.

    Raises
    ------
    InputError
        Shapes that do not fit.
    """
    y = _columns(values, "values")
    n, m = y.shape
    grids = {}
    for name, column in labels.items():
        x = np.asarray(column, dtype=np.float64)
        if x.shape not in ((m,), (n, m)):
            raise InputError(f"the label {name!r} has shape {x.shape}; expected ({m},) or ({n}, {m})")
        grids[name] = np.broadcast_to(x, (n, m))
    known = [name for name, x in grids.items() if np.isfinite(x).any()]
    usable = np.isfinite(y)
    for name in known:
        usable &= np.isfinite(grids[name])
    target = _within(y, usable)
    chosen: list[str] = []
    basis: list[FloatArray] = []
    for name in known:
        x = _within(grids[name], usable)
        left = x - sum((q * float(q @ x) for q in basis), np.zeros_like(x))
        if np.linalg.norm(left) > 1e-8 * max(1.0, float(np.linalg.norm(x))):
            basis.append(left / np.linalg.norm(left))
            chosen.append(name)
    rows = usable.nonzero()[0]
    codes = np.arange(n) if clusters is None else cluster_codes(clusters, n)
    fits = _fit([_within(grids[name], usable) for name in chosen], target, codes[rows], level, int((~usable).sum()))
    out = dict(zip(chosen, fits, strict=True))
    lost = {name: "it was not measured" for name in grids if name not in known}
    never = "it does not vary over the markers, or follows from other labels"
    return {name: out.get(name) or Estimate(math.nan, level=level, reason=lost.get(name, never)) for name in grids}


def _within(x: FloatArray, usable: Any) -> FloatArray:
    """Deviations from the item's mean over its usable cells, flat."""
    filled = np.where(usable, x, 0.0)
    count = usable.sum(axis=1, keepdims=True)
    means = filled.sum(axis=1, keepdims=True) / np.maximum(count, 1)
    return np.asarray((filled - means)[usable])


def _fit(columns: Sequence[FloatArray], y: FloatArray, codes: Any, level: float, missing: int) -> list[Estimate]:
    if not columns:
        return []
    x = np.stack(columns, axis=1)
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ (x.T @ y)
    scores = x * (y - x @ beta)[:, None]
    codes = np.unique(codes, return_inverse=True)[1]
    sums = np.stack([np.bincount(codes, weights=column) for column in scores.T], axis=1)
    g = len(sums)
    base: dict[str, Any] = {"level": level, "n": g, "n_missing": missing}
    if g < LEAST_ITEMS:
        return [Estimate(float(b), reason=f"{g} units: no interval below {LEAST_ITEMS}", **base) for b in beta]
    se = np.sqrt(np.maximum(np.diag(inverse @ (sums.T @ sums) @ inverse) * g / (g - 1), 0.0))
    half = normal_quantile(level) * se
    method = "least squares inside items, sandwich"
    return [
        Estimate(float(b), float(b - h), float(b + h), method=method, se=float(s), **base) for b, h, s in zip(beta, half, se, strict=True)
    ]


def _finite(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")
