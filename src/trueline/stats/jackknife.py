"""Leave-one-unit-out values of a metric, in closed form where it has one, and BCa's acceleration from them (Efron 1987)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trueline.stats.estimate import FloatArray
from trueline.stats.intervals import acceleration
from trueline.stats.sample import SortedSample

if TYPE_CHECKING:
    from trueline.stats.engine import Metric

_CHUNK_CELLS = 1 << 17
_EXACT, _BLOCKS = 400, 200
_SUBSET_FROM, _SUBSET = 20_000, 5_000


def leave_out(metric: Metric, sample: SortedSample, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return leave-one-unit-out values and counts: closed form where the metric has one, else exact or by 200 random blocks."""
    closed = metric.jackknife(sample) if metric.jackknife is not None else None
    if closed is not None:
        return closed
    code = sample.cluster if sample.cluster is not None else np.arange(sample.n_rows)
    n_codes = int(code.max()) + 1
    per_unit = sample.weights if sample.cluster is not None else sample.weights / sample.multiplicity
    if n_codes <= _EXACT:
        counts = np.ones(n_codes) if sample.cluster is not None else sample.multiplicity
        return _leave_blocks(metric, sample, code, per_unit, n_codes), counts
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[2])
    if sample.n_rows == sample.n or sample.cluster is not None:
        block = rng.permutation(n_codes) % _BLOCKS
        return _leave_blocks(metric, sample, block[code], per_unit, _BLOCKS), np.ones(_BLOCKS)
    item_row = rng.permutation(np.repeat(np.arange(sample.n_rows), sample.multiplicity.astype(np.int64)))
    values = [
        metric.value(sample, (sample.weights - np.bincount(rows, minlength=sample.n_rows))[None, :])
        for rows in np.array_split(item_row, _BLOCKS)
    ]
    return np.concatenate(values), np.ones(_BLOCKS)


def influence_skew(metric: Metric, sample: SortedSample, seed: int = 0) -> float:
    """Return BCa's acceleration; of very many rows from a subset, since it falls with the square root of their number."""
    if sample.cluster is None and sample.n_rows > _SUBSET_FROM and metric.jackknife is None:
        rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(4)[3])
        subset = sample.take(np.sort(rng.choice(sample.n_rows, _SUBSET, replace=False)))
        return acceleration(*leave_out(metric, subset, seed)) * math.sqrt(subset.n / sample.n)
    values, counts = leave_out(metric, sample, seed)
    strata = sample.unit_stratum
    if strata is None:
        return acceleration(values, counts)
    if len(values) != len(strata):  # random blocks cut across strata
        return 0.0
    sums, size = np.bincount(strata, values), np.bincount(strata)
    return acceleration(values - (sums / size)[strata], counts)


def _leave_blocks(metric: Metric, sample: SortedSample, code: Any, per_unit: FloatArray, n_codes: int) -> FloatArray:
    chunk = max(1, _CHUNK_CELLS // sample.n_rows)
    values = []
    for start in range(0, n_codes, chunk):
        ids = np.arange(start, min(start + chunk, n_codes))
        values.append(metric.value(sample, np.where(code[None, :] == ids[:, None], sample.weights - per_unit, sample.weights)))
    return np.concatenate(values)
