"""Cells of a long sample: rows that lie side by side in order of score are merged, so that a replicate costs the cells, not the rows.

A cell holds the rows of one block of neighbouring scores that share a truth (or a block of truths). Its replicate weight is the sum of
theirs, drawn at once where rows are single units: the sum of multinomial counts is multinomial, of Dirichlet shares gamma. What is lost is
the order inside a block, below the spread of replicates by far; the engine measures that loss on draws of whole rows before it uses a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray, SortedSample

# Single items at both ends, where a rank counts most; then blocks that grow with the distance from the end, up to a share of the sample.
_SINGLE, _GROWTH, _WIDEST = 16, 1.15, 1 / 64
# Blocks of score and of truth for rank correlations; blocks of score inside the bins of a calibration error.
_BLOCKS, _LEVELS = 20, 24


@dataclass(frozen=True, eq=False)
class Cells:
    """A sample with one row a cell, and the cell of each row of the full sample, (n_rows,) int64."""

    sample: SortedSample
    code: IntArray

    def weights(self, weights: FloatArray) -> FloatArray:
        """Return (n_replicates, n_cells) sums of row weights (n_replicates, n_rows)."""
        k = self.sample.n_rows
        return np.stack([np.bincount(self.code, row, k) for row in weights])


def rank_cells(sample: SortedSample) -> Cells | None:
    """Return cells for functions of the ranks of a binary truth, finest at both ends; None where truth is not binary."""
    if not sample.binary:
        return None
    if "rank cells" not in sample.cache:
        n = sample.n
        sizes, at = [], 0.0
        while at < n / 2:
            size = 1.0 if at < _SINGLE else min(at * (_GROWTH - 1), max(1.0, n * _WIDEST))
            sizes.append(at)
            at += size
        low = np.array(sizes)
        sample.cache["rank cells"] = block_cells(sample, _snap(sample, np.concatenate([low, n - low])), sample.truth.astype(np.int64))
    found: Cells = sample.cache["rank cells"]
    return found


def grid_cells(sample: SortedSample) -> Cells:
    """Return cells of blocks of equal mass in score and in truth, for rank correlations; their truth is the number of its block."""
    if "grid cells" not in sample.cache:
        size = sample.multiplicity[sample.truth_order]
        first = (np.cumsum(size) - size)[sample.truth_starts]
        of_group = np.floor(first * (_LEVELS / sample.n)).astype(np.int64)
        level = np.empty(sample.n_rows, dtype=np.int64)
        level[sample.truth_order] = np.repeat(of_group, np.diff(np.append(sample.truth_starts, sample.n_rows)))
        starts = _snap(sample, np.linspace(0, sample.n, _BLOCKS + 1))
        sample.cache["grid cells"] = block_cells(sample, starts, level, truth=np.arange(_LEVELS, dtype=np.float64))
    found: Cells = sample.cache["grid cells"]
    return found


def bin_cells(sample: SortedSample, bin_starts: IntArray) -> Cells | None:
    """Return cells that keep to bins (given by their first rows), with blocks of equal mass inside; None where truth is not binary."""
    if not sample.binary:
        return None
    starts = np.union1d(bin_starts, _snap(sample, np.linspace(0, sample.n, _BLOCKS + 1)))
    return block_cells(sample, starts, sample.truth.astype(np.int64))


def block_cells(sample: SortedSample, starts: IntArray, level: IntArray, truth: FloatArray | None = None) -> Cells:
    """Return the cells (block, level); a block's score is its mean, ``truth[level]`` (default: the level) the truth of its cells."""
    n_levels = int(level.max()) + 1
    block = np.zeros(sample.n_rows, dtype=np.int64)
    block[starts[1:]] = 1
    np.cumsum(block, out=block)
    used, code = np.unique(block * n_levels + level, return_inverse=True)
    k = len(used)
    multiplicity = np.bincount(code, sample.multiplicity, k).astype(np.float64)
    last = np.append(starts[1:], sample.n_rows) - 1
    with np.errstate(over="ignore", invalid="ignore"):
        mass = np.add.reduceat(sample.weights, starts)
        mean = np.add.reduceat(sample.weights * sample.scores, starts) / np.where(mass > 0, mass, 1.0)
    # Held between the block's ends, which also settles infinities and rounding: blocks keep their order and never tie.
    mean = np.clip(np.where(np.isnan(mean), sample.scores[starts], mean), sample.scores[starts], sample.scores[last])
    values = np.arange(n_levels, dtype=np.float64) if truth is None else truth
    merged = SortedSample(
        scores=mean[used // n_levels],
        truth=values[used % n_levels],
        weights=np.bincount(code, sample.weights, k).astype(np.float64),
        multiplicity=multiplicity,
        cluster=None,
        order=sample.order,
        n=sample.n,
        n_missing=sample.n_missing,
    )
    return Cells(merged, code)


def _snap(sample: SortedSample, cuts: FloatArray) -> IntArray:
    """Return the first rows of the groups of equal score at or after each cut, a number of items from the bottom."""
    before = (np.cumsum(sample.multiplicity) - sample.multiplicity)[sample.starts]
    at = np.unique(np.searchsorted(before, cuts, "left"))
    return np.union1d([0], sample.starts[at[at < len(before)]]).astype(np.int64)
