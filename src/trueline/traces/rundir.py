"""The run directory on disk: a file is written whole under a temporary name, then renamed, so a kill loses nothing finished.

Layout: ``run.json`` (manifest), ``items.parquet``, ``trace/NNNNNN.parquet``, ``scores.parquet``, ``scores.json``, ``grades.parquet``,
``metrics.json``, ``judgements.sqlite``, ``report.html``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trueline.errors import InputError, RunLocked, SettingsMismatch, StorageError
from trueline.traces.schema import FORMAT_VERSION, SCHEMA

#: Folder of a compacted run's trace; it counts once its file ``whole`` is there.
COMPACT = "trace-compact"
_TEMPORARY = ".tmp-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class RunDirectory:
    """Files of one run. Reading needs no lock; writers hold ``lock()``."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """Open an existing run. Raises ``InputError`` when there is none, or when its format is newer than this version reads."""
        run = cls(path)
        if not run.path.is_dir():
            raise InputError(f"no run directory at {run.path}; make one with `trueline measure` or `trueline import`")
        run.manifest()
        return run

    @property
    def trace_dir(self) -> Path:
        """Where the shards lie."""
        return self.path / (COMPACT if self.compacted else "trace")

    @property
    def compacted(self) -> bool:
        """True when the shards of a finished run were merged (see ``traces.compaction``)."""
        return (self.path / COMPACT / "whole").exists()

    # -- manifest ---------------------------------------------------------------------------------------------------

    def manifest(self) -> dict[str, Any]:
        """The content of ``run.json``. Raises ``InputError`` when it is absent or unreadable."""
        found: dict[str, Any] | None = self.read_json("run.json")
        if found is None:
            raise InputError(f"{self.path} is not a run directory: it has no run.json")
        version = found.get("format")
        if version != FORMAT_VERSION:
            raise InputError(f"{self.path} has run format {version!r}; this version of trueline reads format {FORMAT_VERSION}")
        return found

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace ``run.json``."""
        self.write_json("run.json", {"format": FORMAT_VERSION, **manifest})

    def prepare(self) -> None:
        """Create the directory, or clear what a killed writer left half-written. Refuses a folder that holds something else."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; give a directory for the run")
        if self.path.is_dir() and not (self.path / "run.json").exists():
            foreign = [p.name for p in self.path.iterdir() if not p.name.startswith(".") and p.name not in ("trace", "items.parquet")]
            if foreign:
                raise InputError(f"{self.path} holds other files ({foreign[0]}, ...) and no run; give an empty or new directory")
        self.trace_dir.mkdir(parents=True, exist_ok=True)
        for folder in (self.path, self.trace_dir):
            for stale in folder.glob(_TEMPORARY + "*"):
                stale.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the only right to write. Raises ``RunLocked`` at once when another process holds it; a killed holder frees it."""
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunLocked(
                    f"another process is writing to {self.path}; wait until it ends, or give this run another directory"
                ) from None
            yield

    # -- shards -----------------------------------------------------------------------------------------------------

    def shard_path(self, index: int) -> Path:
        """Where shard ``index`` lies or will lie."""
        return self.trace_dir / f"{index:06d}.parquet"

    def has_shard(self, index: int) -> bool:
        """True when the shard was finished: a file under its final name is whole. A compacted run has them all."""
        return self.compacted or self.shard_path(index).exists()

    def shards(self) -> list[Path]:
        """Finished shards in order."""
        return sorted(p for p in self.trace_dir.glob("*.parquet") if not p.name.startswith("."))

    def write_shard(self, index: int, table: pa.Table) -> None:
        """Write the rows of one shard; they must follow the trace schema."""
        self.write_table(f"trace/{index:06d}.parquet", table.cast(SCHEMA))

    def read_shard(self, path: Path, columns: list[str] | None = None) -> pa.Table:
        """Rows of one shard, or only some columns. Raises ``InputError`` naming the file when it is damaged."""
        return self.read_table(str(path.relative_to(self.path)), columns)

    # -- files ------------------------------------------------------------------------------------------------------

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file atomically."""

        def write(path: Path) -> None:
            pq.write_table(table, path, compression="zstd")

        self._replace(name, write)

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file of the run. Raises ``InputError`` when it is absent or damaged."""
        path = self.path / name
        if not path.exists():
            raise InputError(f"{path} does not exist")
        try:
            return pq.ParquetFile(path).read(columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} is damaged ({error}); delete this file and repeat the command that wrote it") from error

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file atomically. NaN is refused: use null."""
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        self.write_text(name, text + "\n")

    def read_json(self, name: str) -> Any:
        """Content of a JSON file, or None when it does not exist."""
        path = self.path / name
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is not valid JSON ({error})") from error

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically. Lone surrogates are written as U+FFFD: they have no place in UTF-8."""

        def write(path: Path) -> None:
            path.write_bytes(text.encode("utf-8", errors="replace"))

        self._replace(name, write)

    def _replace(self, name: str, write: Callable[[Path], None]) -> None:
        final = self.path / name
        temporary = final.with_name(f"{_TEMPORARY}{os.getpid()}-{final.name}")
        try:
            write(temporary)
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, final)
            _sync_folder(final.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in _FULL or "No space left" in str(error):
                raise StorageError(
                    f"the disk is full: {final} was not written; all that was finished before is kept. "
                    "Free some space and give the same command again to go on"
                ) from error
            raise StorageError(f"cannot write {final}: {error}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two JSON-like settings differ, one line each: ``name: old value in the run, new value asked now``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines: list[str] = []
        for key in [*old, *(k for k in new if k not in old)]:
            lines += differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        return lines
    return [] if old == new else [f"{path}: {_short(old)} in the run, {_short(new)} asked now"]


def check_same(old: Any, new: Any, where: Path) -> None:
    """Raise ``SettingsMismatch`` that lists what differs between a run's identity and what is asked now."""
    lines = differences(old, new)
    if lines:
        listing = "\n  ".join(lines)
        raise SettingsMismatch(f"{where} holds a run with other settings; give another --out, or the same settings:\n  {listing}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
