"""Crossed random factors, such as questions and fine-tuning seeds: every factor is resampled at once, on its own.

A replicate draws the levels of each factor with replacement and weighs a row by the product of its levels' counts: the pigeonhole
bootstrap (McCullagh 2000; Owen 2007), as weights, never as copies. It errs on the wide side, since it resamples the interaction twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import percentile
from trueline.stats.sample import IntArray, as_vector, cluster_codes

#: A factor with fewer levels is not resampled: so few cannot stand for those not seen.
LEAST_LEVELS = 5
_CHUNK_CELLS = 1 << 18
_UNSTABLE = 0.05
Value = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Hierarchical:
    """A quantity under crossed random factors.

    Attributes
    ----------
    estimate : Estimate
        Percentile interval; without one, and with a reason, where no factor has 5 levels.
    resampled, held : tuple of str
        Factors that were resampled, and those that were not because they have fewer than 5 levels.
    by_level : dict of factor to (dict of level to float)
        The quantity at each level of a held factor: to be shown one by one, with their range, in place of an interval over them.
    """

    estimate: Estimate
    resampled: tuple[str, ...]
    held: tuple[str, ...]
    by_level: dict[str, dict[Any, float]]


def hierarchical_bootstrap(
    value: Value,
    factors: Mapping[str, ArrayLike],
    *,
    groups: Mapping[str, ArrayLike] | None = None,
    within: bool = False,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Hierarchical:
    """Return a quantity with its interval over crossed random factors.

    Parameters
    ----------
    value : function (weights (n_replicates, n_rows) float64) -> (n_replicates,) float64
        The quantity under row weights; NaN where undefined. `rate` and `rate_difference` make the usual ones.
    factors : name -> (n_rows,) labels
        Such as ``{"question": ..., "replicate": ...}``. A factor with fewer than 5 levels (in any of its groups) is held fixed.
    groups : name -> (n_rows,) labels, optional
        For factors whose levels are drawn group by group, such as ``{"replicate": arm}``: each arm keeps its number of seeds.
    within : bool
        Also resample the rows inside each cell of all factors. Off by default: the cells drawn already carry that noise.
    n_boot, seed, level
        Replicates, their seed (PCG64) and the nominal coverage.

    Raises
    ------
    InputError
        No factor or rows, lengths that differ, a level in two groups, unknown names in `groups`, bad settings.

    Examples
    --------
    >>> events = np.tile([0, 1, 3, 0, 1], 6)
    >>> cells = {"question": np.tile(np.arange(5), 6), "replicate": np.repeat(np.arange(6), 5)}
    >>> found = hierarchical_bootstrap(rate(events, np.full(30, 10)), cells)
    >>> print(f"{found.estimate.value:.2f}", found.resampled)
    0.10 ('question', 'replicate')
    """
    if n_boot < 2 or not 0 < level < 1:
        raise InputError(f"expected at least 2 replicates and a level between 0 and 1; got {n_boot} and {level}")
    codes, sizes = _codes(factors, groups or {})
    n = len(next(iter(codes.values())))
    resampled = tuple(name for name in codes if min(sizes[name]) >= LEAST_LEVELS)
    held = tuple(name for name in codes if name not in resampled)
    point = float(_checked(value, np.ones((1, n)))[0])
    by_level = {name: _by_level(value, np.asarray(factors[name])) for name in held}
    if not resampled or not math.isfinite(point):
        why = "undefined on these rows" if not math.isfinite(point) else f"no interval: no factor has {LEAST_LEVELS} levels"
        return Hierarchical(Estimate(point, level=level, n=n, reason=why), (), tuple(codes), by_level)
    cells = _cells(codes) if within else None
    rng = np.random.default_rng(seed)
    chosen = [(codes[name], sizes[name]) for name in resampled]
    samples = np.concatenate([_checked(value, w) for w in _weights(chosen, cells, n, n_boot, rng)])
    how = f"percentile, {n_boot} replicates of {' x '.join(resampled)}{' and within cells' if within else ''}"
    return Hierarchical(_estimate(point, samples, n, level, how, held), resampled, held, by_level)


def rate(events: ArrayLike, trials: ArrayLike) -> Value:
    """Return the quantity sum(events) / sum(trials), for `hierarchical_bootstrap`; NaN where a replicate has no trial."""
    k, n = as_vector(events, "events"), as_vector(trials, "trials")

    def value(weights: FloatArray) -> FloatArray:
        return _ratio(np.einsum("ij,j->i", weights, k), np.einsum("ij,j->i", weights, n))

    return value


def rate_difference(events: ArrayLike, trials: ArrayLike, first: ArrayLike) -> Value:
    """Return the rate of the rows where `first` is true less that of the others, for `hierarchical_bootstrap`."""
    one = np.asarray(first, dtype=bool)
    k, n = as_vector(events, "events"), as_vector(trials, "trials")

    def value(weights: FloatArray) -> FloatArray:
        sums = [np.einsum("ij,j->i", weights, np.where(rows, x, 0.0)) for rows in (one, ~one) for x in (k, n)]
        return _ratio(sums[0], sums[1]) - _ratio(sums[2], sums[3])

    return value


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))


def _checked(value: Value, weights: FloatArray) -> FloatArray:
    found = np.asarray(value(weights), dtype=np.float64)
    if found.shape != (len(weights),):
        raise InputError(f"value returned shape {found.shape} for {len(weights)} weight vectors; expected one number each")
    return found


def _codes(factors: Mapping[str, ArrayLike], groups: Mapping[str, ArrayLike]) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
    """Level codes of each factor, numbered group after group, and the number of levels in each group."""
    if not factors:
        raise InputError("no factor was given; name at least one, such as {'question': labels}")
    unknown = sorted(set(groups) - set(factors))
    if unknown:
        raise InputError(f"groups names {unknown}, which are no factors; factors are {sorted(factors)}")
    n = len(np.asarray(next(iter(factors.values()))))
    if not n:
        raise InputError("no row was given; at least one is needed")
    codes: dict[str, IntArray] = {}
    sizes: dict[str, IntArray] = {}
    for name, labels in factors.items():
        code = cluster_codes(labels, n, name)
        group = cluster_codes(groups[name], n) if name in groups else np.zeros(n, dtype=np.int64)
        of_level = np.full(int(code.max()) + 1, -1)
        of_level[code] = group
        if (of_level[code] != group).any():
            row = int(np.flatnonzero(of_level[code] != group)[0])
            raise InputError(f"{name} {np.asarray(labels)[row]!r} lies in two groups; name its levels so that each lies in one")
        order = np.argsort(of_level, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        codes[name], sizes[name] = rank[code], np.bincount(of_level)
    return codes, sizes


def _weights(
    chosen: Sequence[tuple[IntArray, IntArray]], cells: Sequence[IntArray] | None, n: int, n_boot: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    chunk = max(1, _CHUNK_CELLS // n)
    for start in range(0, n_boot, chunk):
        size = min(chunk, n_boot - start)
        weights = np.ones((size, n))
        for code, sizes in chosen:
            counts = np.concatenate([rng.multinomial(s, np.full(s, 1 / s), size=size) for s in sizes], axis=1)
            weights *= counts[:, code]
        for rows in cells or ():
            # Every row of a cell has the weight of its cell: that many times as many rows are drawn from it.
            draws = weights[:, rows[0]].astype(np.int64) * len(rows)
            weights[:, rows] = rng.multinomial(draws, np.full(len(rows), 1 / len(rows)))
        yield weights


def _cells(codes: Mapping[str, IntArray]) -> list[IntArray]:
    _, cell = np.unique(np.stack(list(codes.values())), axis=1, return_inverse=True)
    order = np.argsort(cell.ravel(), kind="stable")
    return list(np.split(order, np.cumsum(np.bincount(cell.ravel()))[:-1]))


def _by_level(value: Value, labels: Any) -> dict[Any, float]:
    levels = list(dict.fromkeys(labels.tolist()))
    found = _checked(value, np.stack([(labels == level).astype(np.float64) for level in levels]))
    return {level: float(v) for level, v in zip(levels, found, strict=True)}


def _estimate(point: float, samples: FloatArray, n: int, level: float, how: str, held: Sequence[str]) -> Estimate:
    good = samples[np.isfinite(samples)]
    if len(good) < 2:
        return Estimate(point, level=level, n=n, reason="no interval: hardly any replicate was defined")
    notes = [f"{name} held fixed: fewer than {LEAST_LEVELS} levels" for name in held]
    lost = 1 - len(good) / len(samples)
    if lost > _UNSTABLE:
        notes.append(f"unstable: {lost:.0%} of the replicates were undefined")
    if np.ptp(good) == 0:
        notes.append("every replicate is equal: the interval is a point and says nothing")
    low, high = percentile(good, level)
    return Estimate(point, low, high, level, n, method=how, se=float(good.std(ddof=1)), reason="; ".join(notes) or None)
