"""Replicate weights: counts of units drawn with replacement, or Dirichlet shares, over all units or stratum by stratum.

Efron 1979 (bootstrap), Rubin 1981 (Bayesian bootstrap).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray, SortedSample, weighted_sum

# About 1 MB of weights at a time stays in cache; results do not depend on it.
_CHUNK_CELLS = 1 << 17
_REDRAWS = 10
_SAFE_UNITS = 50


def generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """One stream for the replicates, one for redraws, so that neither shifts the other."""
    main, spare = np.random.SeedSequence(seed).spawn(2)
    return np.random.default_rng(main), np.random.default_rng(spare)


def draws(sample: SortedSample, bayesian: bool, rng: np.random.Generator, n_boot: int, total: int) -> Iterator[FloatArray]:
    """Yield (chunk, n_rows) weights, `n_boot` in all."""
    width = max(sample.n_rows, 1 if _by_row(sample.n_rows, total) else total)
    chunk = max(1, _CHUNK_CELLS // width)
    for start in range(0, n_boot, chunk):
        yield draw(sample, bayesian, rng, min(chunk, n_boot - start), total)


def draw(sample: SortedSample, bayesian: bool, rng: np.random.Generator, n_boot: int, total: int) -> FloatArray:
    """Return (n_boot, n_rows) weights of `total` units drawn from the sample's units; with strata, of as many as each stratum has."""
    unit = np.ones(sample.n_clusters) if sample.cluster is not None else sample.multiplicity
    strata = sample.unit_stratum
    if bayesian:
        # Dirichlet(1, .., 1) over units, scaled to their number; a merged row gets the sum of its units' shares.
        mass = rng.standard_gamma(unit, size=(n_boot, len(unit)))
        counts = mass * (unit.sum() / mass.sum(axis=1, keepdims=True)) if strata is None else _scaled(mass, strata)
    elif strata is not None:
        counts = _stratified_counts(strata, rng, n_boot)
    else:
        counts = _counts(unit, rng, n_boot, sample.n_clusters if sample.cluster is not None else total)
    if sample.cluster is not None:
        return np.asarray(counts[:, sample.cluster] * sample.weights)
    if sample.n_rows == sample.n and not np.all(sample.weights == 1):
        return np.asarray(counts * sample.weights)
    return np.asarray(counts, dtype=np.float64)


def _counts(unit: FloatArray, rng: np.random.Generator, n_boot: int, total: int) -> Any:
    """Return multinomial counts; the cheaper of one binomial draw a row and one integer draw a unit."""
    rows = len(unit)
    if _by_row(rows, total):
        return rng.multinomial(total, unit / unit.sum(), size=n_boot)
    n_units = int(unit.sum())
    # Half-width integers are drawn in two thirds of the time.
    picks = rng.integers(0, n_units, size=(n_boot, total), dtype=np.int32 if n_units < 1 << 31 else np.int64)
    if rows != n_units:
        picks = np.repeat(np.arange(rows), unit.astype(np.int64))[picks]
    if n_boot == 1:
        return np.bincount(picks[0], minlength=rows)[None, :]
    picks = picks + np.arange(n_boot)[:, None] * rows
    return np.bincount(picks.ravel(), minlength=n_boot * rows).reshape(n_boot, rows)


def _stratified_counts(strata: IntArray, rng: np.random.Generator, n_boot: int) -> Any:
    """Return counts of one integer draw a unit, each within the unit's stratum."""
    n, size = len(strata), np.bincount(strata)
    order = np.argsort(strata, kind="stable")
    first = (np.cumsum(size) - size)[strata[order]]
    picks = rng.integers(0, size[strata[order]], size=(n_boot, n)) + first + np.arange(n_boot)[:, None] * n
    counts = np.empty((n_boot, n), dtype=np.int64)
    counts[:, order] = np.bincount(picks.ravel(), minlength=n_boot * n).reshape(n_boot, n)
    return counts


def _scaled(mass: FloatArray, strata: IntArray) -> FloatArray:
    """Return shares that sum to its number of units in each stratum."""
    order = np.argsort(strata, kind="stable")
    size = np.bincount(strata)
    sums = np.add.reduceat(mass[:, order], np.cumsum(size) - size, axis=1)
    return np.asarray(mass * (size / sums)[:, strata])


def _by_row(rows: int, total: int) -> bool:
    """Whether a binomial draw a row is cheaper than an integer draw a unit."""
    return rows * 12 < total


def may_lose_a_class(sample: SortedSample) -> bool:
    """Whether a single-class replicate is possible at all: beyond 50 units of each class its probability is below e^-50."""
    used = sample.weights > 0
    if sample.cluster is None:
        units = [sample.multiplicity[used & rows].sum() for rows in (sample.positive, ~sample.positive)]
    else:
        units = [len(np.unique(sample.cluster[used & rows])) for rows in (sample.positive, ~sample.positive)]
    return bool(min(units) <= _SAFE_UNITS)


def redraw(sample: SortedSample, weights: FloatArray, bayesian: bool, spare: np.random.Generator, total: int) -> FloatArray:
    """Replace single-class replicates by fresh ones, at most ten times each; what stays single-class becomes NaN downstream."""
    positive = sample.positive
    for _ in range(_REDRAWS):
        mass, ones = weights.sum(axis=1), weighted_sum(weights, positive.astype(np.float64))
        bad = np.flatnonzero((ones <= 0) | (ones >= mass))
        if not len(bad):
            break
        weights = weights.copy()
        for b in bad:
            weights[b] = draw(sample, bayesian, spare, 1, total)[0]
    return weights
