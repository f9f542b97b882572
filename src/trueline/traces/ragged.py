"""Ragged arrays: rows of different lengths as one flat array with offsets, reduced without a Python loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ragged:
    """Rows of numbers: row i is ``values[offsets[i]:offsets[i + 1]]``; ``valid[i]`` is False where the row is missing (not merely empty).

    values: (n_values,) float64. offsets: (n_rows + 1,) int64, non-decreasing. valid: (n_rows,) bool.
    """

    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    valid: NDArray[np.bool_]

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[float] | NDArray[np.float64] | None]) -> Ragged:
        """Build from a sequence of rows; None is a missing row."""
        lengths = np.array([0 if r is None else len(r) for r in rows], dtype=np.int64)
        parts = [np.asarray(r, dtype=np.float64) for r in rows if r is not None and len(r)]
        values = np.concatenate(parts) if parts else np.zeros(0)
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        return cls(values, offsets, np.array([r is not None for r in rows], dtype=bool))

    def __len__(self) -> int:
        return len(self.valid)

    def __getitem__(self, i: int) -> NDArray[np.float64]:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n_rows,) int64: length of each row; 0 where missing."""
        return np.diff(self.offsets)

    @property
    def row_index(self) -> NDArray[np.int64]:
        """(n_values,) int64: the row each value belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def _reduce(self, ufunc: np.ufunc) -> NDArray[np.float64]:
        out = np.full(len(self), np.nan)
        filled = self.lengths > 0
        if filled.any():
            # empty rows take no values, so the starts of the filled rows alone delimit the segments
            out[filled] = ufunc.reduceat(self.values, self.offsets[:-1][filled])
        return out

    def sum(self) -> NDArray[np.float64]:
        """(n_rows,) float64 sums; NaN for empty or missing rows."""
        return self._reduce(np.add)

    def mean(self) -> NDArray[np.float64]:
        """(n_rows,) float64 means; NaN for empty or missing rows."""
        return self.sum() / np.where(self.lengths > 0, self.lengths, 1)

    def max(self) -> NDArray[np.float64]:
        """(n_rows,) float64 maxima; NaN for empty or missing rows."""
        return self._reduce(np.maximum)

    def min(self) -> NDArray[np.float64]:
        """(n_rows,) float64 minima; NaN for empty or missing rows."""
        return self._reduce(np.minimum)

    def cut(self, start: NDArray[np.int64], stop: NDArray[np.int64], known: NDArray[np.bool_]) -> Ragged:
        """Each row from ``start`` to ``stop`` (n_rows,); missing where not ``known``."""
        place = np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)
        row = self.row_index
        keep = known[row] & (place >= start[row]) & (place < stop[row])
        lengths = np.bincount(row[keep], minlength=len(self))
        return Ragged(self.values[keep], np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]), self.valid & known)

    def with_values(self, values: NDArray[np.float64]) -> Ragged:
        """The same rows holding other values: (n_values,)."""
        return Ragged(values, self.offsets, self.valid)
