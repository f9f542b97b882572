"""Leave-one-unit-out values of a metric, in closed form where it has one, and BCa's acceleration from them (Efron 1987)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trueline.stats.cells import Cells
from trueline.stats.estimate import FloatArray
from trueline.stats.intervals import acceleration
from trueline.stats.sample import SortedSample

if TYPE_CHECKING:
    from trueline.stats.engine import Metric

_CHUNK_CELLS = 1 << 17
_EXACT, _BLOCKS = 600, 200
_SUBSET_FROM, _SUBSET = 20_000, 5_000


def leave_out(metric: Metric, sample: SortedSample, seed: int = 0, cells: Cells | None = None) -> tuple[FloatArray, FloatArray]:
    """Return leave-one-unit-out values and counts: closed form where the metric has one, else exact or by 200 random blocks.

    cells: where to compute them instead of on the rows.
    """
    closed = metric.jackknife(sample) if metric.jackknife is not None else None
    if closed is not None:
        return closed
    code = sample.cluster if sample.cluster is not None else np.arange(sample.n_rows)
    n_codes = int(code.max()) + 1
    per_unit = sample.weights if sample.cluster is not None else sample.weights / sample.multiplicity
    if n_codes <= _EXACT:
        counts = np.ones(n_codes) if sample.cluster is not None else sample.multiplicity
        return _leave_blocks(metric, sample, code, per_unit, n_codes, cells), counts
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[2])
    if sample.n_rows == sample.n or sample.cluster is not None:
        block = rng.permutation(n_codes) % _BLOCKS
        return _leave_blocks(metric, sample, block[code], per_unit, _BLOCKS, cells), np.ones(_BLOCKS)
    item_row = rng.permutation(np.repeat(np.arange(sample.n_rows), sample.multiplicity.astype(np.int64)))
    values = [
        _value(metric, sample, (sample.weights - np.bincount(rows, minlength=sample.n_rows))[None, :], cells)
        for rows in np.array_split(item_row, _BLOCKS)
    ]
    return np.concatenate(values), np.ones(_BLOCKS)


def influence_skew(metric: Metric, sample: SortedSample, seed: int = 0, cells: Cells | None = None) -> float:
    """Return BCa's acceleration; of very many rows from cells or a subset, since it falls with the square root of their number."""
    if cells is not None and sample.cluster is None and sample.stratum is None and metric.jackknife is None:
        return acceleration(*leave_out(metric, cells.sample, seed))
    if sample.cluster is None and sample.n_rows > _SUBSET_FROM and metric.jackknife is None:
        rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(4)[3])
        subset = sample.take(np.sort(rng.choice(sample.n_rows, _SUBSET, replace=False)))
        return acceleration(*leave_out(metric, subset, seed)) * math.sqrt(subset.n / sample.n)
    values, counts = leave_out(metric, sample, seed, cells)
    strata = sample.unit_stratum
    if strata is None:
        return acceleration(values, counts)
    if len(values) != len(strata):  # random blocks cut across strata
        return 0.0
    sums, size = np.bincount(strata, values), np.bincount(strata)
    return acceleration(values - (sums / size)[strata], counts)


def _leave_blocks(metric: Metric, sample: SortedSample, code: Any, per_unit: FloatArray, n_codes: int, cells: Cells | None) -> FloatArray:
    chunk = max(1, _CHUNK_CELLS // sample.n_rows)
    values = []
    for start in range(0, n_codes, chunk):
        ids = np.arange(start, min(start + chunk, n_codes))
        rest = np.where(code[None, :] == ids[:, None], sample.weights - per_unit, sample.weights)
        values.append(_value(metric, sample, rest, cells))
    return np.concatenate(values)


def _value(metric: Metric, sample: SortedSample, weights: FloatArray, cells: Cells | None) -> FloatArray:
    return metric.value(sample, weights) if cells is None else metric.value(cells.sample, cells.weights(weights))
