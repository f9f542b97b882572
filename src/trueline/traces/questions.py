"""The questions of a run beside the rows of its trace, a part of them at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueline.traces.rundir import RunDirectory
from trueline.traces.trace import Trace

_FILE = "items.parquet"


class Questions:
    """Makes traces of rows of a run. No more of the items is held than the row groups that the last rows fell into."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._starts = np.cumsum([0, *directory.group_sizes(_FILE)])
        self._held = range(0)
        self._table: pa.Table | None = None

    def trace(self, table: pa.Table) -> Trace:
        """The rows of ``table`` (column ``item_index``) with the ids and questions of their items, in the order of the task."""
        index = np.unique(np.asarray(table["item_index"].combine_chunks()))
        if not len(index):
            return Trace(table, ())
        first, last = np.searchsorted(self._starts, index[[0, -1]], side="right") - 1
        if self._table is None or self._held != range(first, last + 1):
            self._held = range(first, last + 1)
            self._table = self._directory.read_table(_FILE, ["item_id", "question"], self._held, threads=False)
        items = self._table.take(pa.array(index - self._starts[first]))
        return Trace(table, tuple(items["item_id"].to_pylist()), tuple(pc.fill_null(items["question"], "").to_pylist()))
