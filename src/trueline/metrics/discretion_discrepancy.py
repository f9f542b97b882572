"""How differently two annotators order the principles: discretion discrepancy (Buyl et al. 2025, arXiv 2502.10441), with a paired interval.

Published code truncates average ranks to whole numbers, which breaks ties at random; here tied priorities stay tied (Kendall's tau-b).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.discretion import annotator_preferences, preference_table, principle_wins
from trueline.metrics.principle_priority import principle_priority
from trueline.stats.engine import CI, as_ci
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import basic, bca, percentile
from trueline.stats.sample import as_vector, check_weights, cluster_codes


@dataclass(frozen=True)
class Discrepancy:
    """Discretion discrepancy with its interval, and how many principles have a value on both sides."""

    estimate: Estimate
    n_principles: int


def discretion_discrepancy(w_a: ArrayLike, w_b: ArrayLike) -> float:
    """Return (1 - tau-b) / 2 between two rankings of the principles: 0 same order, 0.5 unrelated, 1 reversed.

    `w_a`, `w_b`: (k,) float64 priorities; infinities rank first and last and tie among themselves, a principle with NaN on either side is
    left out. NaN with fewer than two principles left, or where one side ties them all.

    Raises
    ------
    InputError
        If the priorities are not two equally long vectors.

    Examples
    --------
    >>> round(discretion_discrepancy([0.3, 1.2, -0.5, 0.0, 2.0], [0.1, 0.9, 0.2, -1.0, 0.5]), 3)
    0.3
    """
    a, b = as_vector(w_a, "w_a"), as_vector(w_b, "w_b")
    if len(a) != len(b):
        raise InputError(f"w_a has {len(a)} principles but w_b has {len(b)}; give the same principles in the same order")
    both = ~(np.isnan(a) | np.isnan(b))
    return _distance(a[both], b[both])


def _distance(a: FloatArray, b: FloatArray) -> float:
    # Compared, not subtracted: inf - inf is NaN.
    above_a, above_b = (np.sign((x[:, None] > x) * 1.0 - (x[:, None] < x)) for x in (a, b))
    scale = float(np.abs(above_a).sum() * np.abs(above_b).sum())
    return (1 - float((above_a * above_b).sum()) / float(np.sqrt(scale))) / 2 if scale else float("nan")


def bootstrap_wins(
    P: ArrayLike,
    annotators: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    bayesian: bool = False,
) -> FloatArray:
    """Return (n_boot, m, k, k) float64 wins of m annotators on resampled items; all annotators see the same items in a replicate.

    Parameters
    ----------
    P : (n, k) float64
        Preference table.
    annotators : (m, n) float64
        Preferences of each annotator.
    weights, clusters : (n,), optional
        As in `discretion_arbitrariness`.
    bayesian : bool
        Dirichlet weights in place of counts.

    Raises
    ------
    InputError
        As `principle_wins`; ``n_boot`` below 1.
    """
    table = preference_table(P)
    n, k = table.shape
    if n_boot < 1:
        raise InputError(f"n_boot is {n_boot}; at least 1 replicate is needed")
    given = np.ones(n) if weights is None else check_weights(weights, n)
    unit = np.arange(n) if clusters is None else cluster_codes(clusters, n)
    # Items without a conflict never enter the wins; their draws only have to be made.
    rows = np.flatnonzero((table > 0).any(axis=1) & (table < 0).any(axis=1))
    plus, minus = (table[rows] > 0).astype(np.float64), (table[rows] < 0).astype(np.float64)
    sides = []
    for a in annotators if isinstance(annotators, list | tuple) else np.atleast_2d(np.asarray(annotators, dtype=np.float64)):
        preferred = annotator_preferences(a, n)[rows, None]
        sides.append((np.where(preferred > 0, plus, minus) * ~np.isnan(preferred), np.where(preferred > 0, minus, plus)))
    out = np.empty((n_boot, len(sides), k, k))
    for b, counts in enumerate(_unit_counts(int(unit.max()) + 1, n_boot, seed, bayesian)):
        drawn = (counts[unit[rows]] * given[rows])[:, None]
        for m, (winning, losing) in enumerate(sides):
            out[b, m] = winning.T @ (losing * drawn)
    return out


def _unit_counts(n_units: int, n_boot: int, seed: int, bayesian: bool) -> Iterator[FloatArray]:
    rng = np.random.default_rng(seed)
    for _ in range(n_boot):
        if bayesian:
            mass = rng.standard_exponential(n_units)
            yield mass * (n_units / mass.sum())
        else:
            yield np.bincount(rng.integers(0, n_units, n_units), minlength=n_units).astype(np.float64)


def compare_discretion(
    P: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    prior: float = 0.0,
    replicate_prior: float = 1.0,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> Discrepancy:
    """Discretion discrepancy between two annotators of the same items, with a paired interval over items.

    Noise adds disagreement between rankings: replicates lie above the value where two orders agree, so their mean (which the paper
    reports) and their percentiles mislead. The default interval asks of each pair of principles which orders its replicates allow, and
    runs from the least to the most discordance that leaves; it is wide, and covers where the others do not.

    Parameters
    ----------
    P : (n, k) float64
        Preference table.
    a, b : (n,) float64
        Preferences of the two annotators.
    prior, replicate_prior : float
        Prior of the value and, at least, of the replicates, where small counts leave priorities without a value more often.
    weights, clusters, ci
        As in `discretion_arbitrariness`. ``"auto"`` is the interval by pairs, ``"bca"`` the bias-corrected one without acceleration;
        ``"analytic"`` does not exist.

    Raises
    ------
    InputError
        As `principle_wins` and `principle_priority`.
    """
    settings = as_ci(ci)
    table = preference_table(P)
    pair = [annotator_preferences(x, len(table), name) for x, name in ((a, "a"), (b, "b"))]
    fits = [principle_priority(principle_wins(table, x, weights), prior).w for x in pair]
    value = discretion_discrepancy(*fits)
    shared = int((~np.isnan(fits[0]) & ~np.isnan(fits[1])).sum())
    used = int(np.isfinite(pair[0] * pair[1]).sum())
    base: dict[str, Any] = {"n": used, "n_missing": len(table) - used, "level": settings.level}
    if np.isnan(value):
        why = "fewer than two principles have a priority on both sides" if shared < 2 else "one side ties all principles"
        return Discrepancy(Estimate.undefined(why, **base), shared)
    if settings.kind in ("none", "analytic", "studentised"):
        reason = None if settings.kind == "none" else f"no {settings.kind} interval of a discrepancy; use 'auto'"
        return Discrepancy(Estimate(value, reason=reason, **base), shared)
    wins = bootstrap_wins(
        table,
        np.stack(pair),
        weights=weights,
        clusters=clusters,
        n_boot=settings.n_boot,
        seed=settings.seed,
        bayesian=settings.kind == "bayesian",
    )
    strong = max(prior, replicate_prior)
    priorities = np.array([[principle_priority(side, strong).w for side in replicate] for replicate in wins])
    return Discrepancy(_with_interval(value, priorities, settings, "clusters" if clusters is not None else "items", base), shared)


def _with_interval(value: float, priorities: FloatArray, ci: CI, unit: str, base: dict[str, Any]) -> Estimate:
    samples = np.array([discretion_discrepancy(*pair) for pair in priorities])
    good = samples[np.isfinite(samples)]
    kept = samples if ci.keep else None
    if len(good) < 2:
        return Estimate(value, reason="no interval: hardly any replicate was defined", samples=kept, **base)
    kind = {"auto": "pairwise", "bca": "bias-corrected"}.get(ci.kind, ci.kind)
    if kind == "pairwise":
        low, high = _pairwise_ends(priorities, ci.level)
    elif kind == "bias-corrected":
        low, high = bca(good, value, ci.level, 0.0)
    elif kind == "basic":
        low, high = basic(good, value, ci.level)
    else:
        low, high = percentile(good - good.mean() + value if kind == "centred" else good, ci.level)
    return Estimate(
        value,
        max(0.0, min(low, value)),
        min(1.0, max(high, value)),
        se=float(good.std(ddof=1)),
        method=f"{kind}, {ci.n_boot} replicates of {unit}",
        reason=f"unstable: {np.mean(np.isnan(samples)):.0%} of the replicates were undefined" if len(good) < 0.95 * len(samples) else None,
        samples=kept,
        **base,
    )


def _pairwise_ends(priorities: FloatArray, level: float) -> tuple[float, float]:
    """Least and most share of discordant pairs that the replicates (n_boot, 2, k) allow, each pair judged by its own quantiles."""
    first, second = np.triu_indices(priorities.shape[2], 1)
    left, right = priorities[..., first], priorities[..., second]
    sign = (left > right) * 1.0 - (left < right)
    discord = (1 - sign[:, 0] * sign[:, 1]) / 2
    unknown = (np.isnan(left) | np.isnan(right)).any(axis=1)
    seen = ~unknown.all(axis=0)  # a principle that never met another has no order in any replicate
    tail = 0.5 - level / 2
    low = np.quantile(np.where(unknown, 0.0, discord)[:, seen], tail, axis=0, method="nearest")
    high = np.quantile(np.where(unknown, 1.0, discord)[:, seen], 1 - tail, axis=0, method="nearest")
    return float(low.mean()), float(high.mean())
