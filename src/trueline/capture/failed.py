"""Items of finished shards whose rows hold an error: found, asked again by an engine, put in place of the old ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trueline.capture.probes import NO_ANSWER, NOTHING_TO_SUPPORT
from trueline.models.server.model import NO_OPTION_LISTED
from trueline.tasks.thinking import UNCLOSED
from trueline.traces.rundir import RunDirectory
from trueline.traces.schema import SCHEMA

#: Errors that asking again would not mend: what the model said is known.
FINAL = (UNCLOSED, NOTHING_TO_SUPPORT, NO_ANSWER, NO_OPTION_LISTED)
#: Folder of a run with the errors that another answer has replaced.
REPLACED = "replaced-errors"


@dataclass(frozen=True)
class FailedItems:
    """The items of one trace file that are to be asked again. indices: their positions in the task, ascending."""

    path: Path
    indices: tuple[int, ...]

    @property
    def shard(self) -> int:
        """Number of the file."""
        return int(self.path.stem)


def failed_items(run: RunDirectory) -> Iterator[FailedItems]:
    """The trace files of a run that hold failed items, in order."""
    for path in run.shards():
        found = _failed(run.read_shard(path, columns=["item_index", "error"]))
        if len(found):
            yield FailedItems(path, tuple(sorted(found.to_pylist())))


def to_ask_again(run: RunDirectory, retry_failed: bool, begun: Collection[int] = ()) -> list[FailedItems]:
    """What failed in the shards that are there, where it is to be asked again; of the shards ``begun`` in any case."""
    if not retry_failed and not begun:
        return []
    return [found for found in failed_items(run) if retry_failed or found.shard in begun]


def rows_of(run: RunDirectory, failed: FailedItems) -> dict[int, list[dict[str, Any]]]:
    """The stored rows of the failed items, by position in the task."""
    table = run.read_shard(failed.path)
    found: dict[int, list[dict[str, Any]]] = {index: [] for index in failed.indices}
    for row in table.filter(_among(table, failed.indices)).to_pylist():
        found[row["item_index"]].append(row)
    return found


def replace_items(run: RunDirectory, failed: FailedItems, rows: pa.Table, again: int) -> None:
    """Put ``rows`` in the place of the failed items' rows; the errors that go are kept under ``replaced-errors/``.

    again: number of this round, which names the file of the errors.
    """
    old = run.read_shard(failed.path)
    outgoing = _among(old, failed.indices)
    errors = old.filter(pc.and_(outgoing, pc.is_valid(old["error"]))).select(["item_id", "item_index", "kind", "draw", "error"])
    name = f"{REPLACED}/{failed.shard:06d}-{again}.parquet"
    if len(errors) and not run.exists(name):
        if not run.at_url:
            (run.path / REPLACED).mkdir(exist_ok=True)
        run.write_table(name, errors)
    whole = pa.concat_tables([old.filter(pc.invert(outgoing)), rows], promote_options="default")
    order = pc.sort_indices(whole, sort_keys=[("item_index", "ascending")])  # stable: the rows of an item keep their order
    columns = [whole[f.name] if f.name in whole.column_names else pa.nulls(len(whole), f.type) for f in SCHEMA]
    table = pa.Table.from_arrays([pa.chunked_array(c).cast(f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
    run.write_table(str(failed.path.relative_to(run.path)), table.take(order))


def mendable(row: Mapping[str, Any]) -> bool:
    """True for a row with an error that asking again may mend."""
    return row.get("error") is not None and row["error"] not in FINAL


def n_failed(table: pa.Table) -> int:
    """Items with a row that asking again may mend."""
    return len(_failed(table))


def next_round(run: RunDirectory, failed: FailedItems) -> int:
    """Number of the next round of a file, after those whose errors are kept."""
    files = [name for name in run.files.names(REPLACED) if name.startswith(f"{failed.shard:06d}-")]
    rounds = [int(name.removesuffix(".parquet").partition("-")[2]) for name in files]
    return max(rounds, default=0) + 1


def _failed(table: pa.Table) -> pa.Array:
    again = pc.and_(pc.is_valid(table["error"]), pc.invert(pc.is_in(table["error"], value_set=pa.array(FINAL))))
    return pc.unique(table["item_index"].filter(again))


def _among(table: pa.Table, indices: Sequence[int]) -> pa.ChunkedArray:
    return pc.is_in(table["item_index"], value_set=pa.array(indices, pa.int64()))
