"""Fewer, larger trace files: a finished run's shards merged in order, without ever being without a whole trace on disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from trueline.errors import InputError, StorageError
from trueline.traces.rundir import COMPACT, RunDirectory
from trueline.traces.schema import SCHEMA

#: Rows of one merged file: what a reader of a run holds in memory at once.
FILE_ROWS = 200_000


def compact(run: RunDirectory, file_rows: int = FILE_ROWS) -> tuple[int, int]:
    """Merge the shards of a finished run; returns the number of files before and after. A kill leaves the old or the new trace, whole.

    Raises ``InputError`` for a run that is not finished, and when it is compact already nothing is done.
    """
    if run.at_url:
        raise InputError(f"{run.where} lies at a URL; compact it in a folder of this machine, then copy it there")
    with run.lock():
        if run.manifest().get("status") not in ("complete", "imported"):
            raise InputError(f"{run.path} is not finished; finish it first (the same `trueline measure` command goes on)")
        before = run.shards()
        if run.compacted:
            return len(before), len(before)
        folder = run.path / COMPACT
        shutil.rmtree(folder, ignore_errors=True)  # of a compaction that was killed
        folder.mkdir()
        try:
            after = _merge(run, before, folder, file_rows)
            with (folder / "whole").open("w") as marker:  # from here on this folder is the trace
                marker.write(f"{after}\n")
                marker.flush()
                os.fsync(marker.fileno())
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(f"cannot compact {run.path}: {error}; its trace is as it was") from error
        shutil.rmtree(run.path / "trace", ignore_errors=True)
        return len(before), after


def _merge(run: RunDirectory, shards: list[Path], folder: Path, file_rows: int) -> int:
    writer: pq.ParquetWriter | None = None
    written = files = 0
    for path in shards:
        table = run.read_shard(path)
        missing = [field for field in SCHEMA if field.name not in table.column_names]
        if missing:  # of an older version
            import pyarrow as pa

            for field in missing:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        if writer is None:
            writer = pq.ParquetWriter(folder / f"{files:06d}.parquet", SCHEMA, compression="zstd")
            files += 1
        writer.write_table(table.select(SCHEMA.names).cast(SCHEMA))
        written += len(table)
        if written >= file_rows:
            writer.close()
            writer, written = None, 0
    if writer is not None:
        writer.close()
    for path in folder.glob("*.parquet"):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
    return files
