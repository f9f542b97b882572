"""The run directory, on disk or at a URL: a file is there only when it is whole (``traces.storage``), so a kill loses nothing finished.

Layout: ``run.json`` (manifest), ``items.parquet``, ``trace/NNNNNN.parquet``, ``scores.parquet``, ``scores.json``, ``grades.parquet``,
``metrics.json``, ``judgements.sqlite``, ``report.html``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trueline.errors import InputError, RunLocked, SettingsMismatch
from trueline.traces.schema import FORMAT_VERSION, SCHEMA
from trueline.traces.storage import TEMPORARY, Folder, storage_of

#: Folder of a compacted run's trace; it counts once its file ``whole`` is there.
COMPACT = "trace-compact"
#: Rows of a file that can be read without the others.
GROUP_ROWS = 1 << 16
#: Says to which run the files belong that a run at a URL keeps on this machine.
_OF = "of"


class RunDirectory:
    """Files of one run, in a folder or at a URL. Reading needs no lock; writers hold ``lock()``.

    path: the folder; of a run at a URL, the folder of this machine that holds what cannot lie there (lock, journal, caches).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.files = storage_of(path)
        self.path = self.files.folder
        self._held: set[str] | None = None

    @property
    def where(self) -> str:
        """The folder or URL, as a user would write it."""
        return str(self.files)

    @property
    def at_url(self) -> bool:
        """True when the run does not lie in a folder of this machine."""
        return not isinstance(self.files, Folder)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """Open an existing run. Raises ``InputError`` when there is none, or when its format is newer than this version reads."""
        run = cls(path)
        if not (run.exists("run.json") if run.at_url else run.path.is_dir()):
            raise InputError(f"no run directory at {run.where}; make one with `trueline measure` or `trueline import`")
        run.manifest()
        return run

    @property
    def trace_dir(self) -> Path:
        """Where the shards lie."""
        return self.path / (COMPACT if self.compacted else "trace")

    @property
    def compacted(self) -> bool:
        """True when the shards of a finished run were merged (see ``traces.compaction``)."""
        return self.exists(f"{COMPACT}/whole")

    def exists(self, name: str) -> bool:
        """True when the run has this file, whole."""
        return self.files.exists(name)

    # -- manifest ---------------------------------------------------------------------------------------------------

    def manifest(self) -> dict[str, Any]:
        """The content of ``run.json``. Raises ``InputError`` when it is absent or unreadable."""
        found: dict[str, Any] | None = self.read_json("run.json")
        if found is None:
            raise InputError(f"{self.where} is not a run directory: it has no run.json")
        version = found.get("format")
        if version != FORMAT_VERSION:
            raise InputError(f"{self.where} has run format {version!r}; this version of trueline reads format {FORMAT_VERSION}")
        return found

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace ``run.json``."""
        self.write_json("run.json", {"format": FORMAT_VERSION, **manifest})
        if self.at_url:  # so that what is kept here is known to belong to that run
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / _OF).write_text(str(manifest.get("created")))

    def prepare(self) -> None:
        """Create the directory, or clear what a killed writer left half-written. Refuses a folder that holds something else."""
        if self.at_url:
            self._claim_url()
            return
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; give a directory for the run")
        if self.path.is_dir() and not (self.path / "run.json").exists():
            foreign = [p.name for p in self.path.iterdir() if not p.name.startswith(".") and p.name not in ("trace", "items.parquet")]
            if foreign:
                raise InputError(f"{self.path} holds other files ({foreign[0]}, ...) and no run; give an empty or new directory")
        self.trace_dir.mkdir(parents=True, exist_ok=True)
        for folder in (self.path, self.trace_dir):
            for stale in folder.glob(TEMPORARY + "*"):
                stale.unlink(missing_ok=True)

    def _claim_url(self) -> None:
        there = self.files.names("")
        foreign = [name for name in there if name not in ("trace", "items.parquet")]
        if foreign and "run.json" not in there:
            raise InputError(f"{self.where} holds other files ({foreign[0]}, ...) and no run; give an empty or new place")
        mark, manifest = self.path / _OF, self.read_json("run.json") or {}
        if not mark.exists() or not manifest or mark.read_text() != str(manifest.get("created")):
            self._forget_here()
        self._held = set(self.files.names("trace"))  # asked once: a look-up a shard would take minutes

    def _forget_here(self) -> None:
        """What an earlier run at this URL left on this machine: its replies are no answers to this one's questions."""
        for left in self.path.iterdir() if self.path.is_dir() else ():
            if left.is_dir():
                shutil.rmtree(left)
            elif left.name != ".lock":
                left.unlink()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the only right to write. Raises ``RunLocked`` at once when another process holds it; a killed holder frees it.

        At a URL it holds among the processes of this user and machine alone.
        """
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunLocked(
                    f"another process is writing to {self.where}; wait until it ends, or give this run another directory"
                ) from None
            yield

    # -- shards -----------------------------------------------------------------------------------------------------

    def shard_path(self, index: int) -> Path:
        """Where shard ``index`` lies or will lie."""
        return self.trace_dir / f"{index:06d}.parquet"

    def has_shard(self, index: int) -> bool:
        """True when the shard was finished: a file under its final name is whole. A compacted run has them all."""
        if self._held is not None:
            return f"{index:06d}.parquet" in self._held
        return self.compacted or self.shard_path(index).exists()

    def shards(self) -> list[Path]:
        """Finished shards in order, for ``read_shard``."""
        folder = self.trace_dir
        return [folder / name for name in self.files.names(folder.name) if name.endswith(".parquet")]

    def write_shard(self, index: int, table: pa.Table) -> None:
        """Write the rows of one shard; they must follow the trace schema."""
        self.write_table(f"trace/{index:06d}.parquet", table.cast(SCHEMA))
        if self._held is not None:
            self._held.add(f"{index:06d}.parquet")

    def read_shard(self, path: Path, columns: list[str] | None = None) -> pa.Table:
        """Rows of one shard, or only some columns. Raises ``InputError`` naming the file when it is damaged."""
        return self.read_table(str(path.relative_to(self.path)), columns, threads=False)  # for small files threads take twice the time

    # -- files ------------------------------------------------------------------------------------------------------

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file atomically."""

        def write(path: Path) -> None:
            pq.write_table(table, path, compression="zstd", row_group_size=GROUP_ROWS)

        self.files.write(name, write)

    def read_table(
        self, name: str, columns: list[str] | None = None, groups: Sequence[int] | None = None, *, threads: bool = True
    ) -> pa.Table:
        """Read a Parquet file of the run, or some of its row groups. Raises ``InputError`` when it is absent or damaged."""
        with self._parquet(name) as file:
            wanted = range(file.num_row_groups) if groups is None else groups
            return file.read_row_groups(list(wanted), columns=columns, use_threads=threads)

    def group_sizes(self, name: str) -> list[int]:
        """Rows in each row group of a Parquet file of the run. Raises ``InputError`` as ``read_table``."""
        with self._parquet(name) as file:
            return [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]

    def column_names(self, name: str) -> list[str]:
        """Columns of a Parquet file of the run. Raises ``InputError`` as ``read_table``."""
        with self._parquet(name) as file:
            return list(file.schema_arrow.names)

    @contextlib.contextmanager
    def _parquet(self, name: str) -> Iterator[pq.ParquetFile]:
        if not self.exists(name):
            raise InputError(f"{self.where}/{name} does not exist")
        try:
            with contextlib.ExitStack() as stack:
                source = stack.enter_context(self.files.open(name)) if self.at_url else self.path / name
                yield stack.enter_context(pq.ParquetFile(source))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.where}/{name} is damaged ({error}); delete this file and repeat the command that wrote it") from error

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file atomically. NaN is refused: use null."""
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        self.write_text(name, text + "\n")

    def read_json(self, name: str) -> Any:
        """Content of a JSON file, or None when it does not exist."""
        if not self.exists(name):
            return None
        try:
            with self.files.open(name) as handle:
                return json.loads(handle.read().decode("utf-8"))
        except ValueError as error:
            raise InputError(f"{self.where}/{name} is not valid JSON ({error})") from error

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically. Lone surrogates are written as U+FFFD: they have no place in UTF-8."""

        def write(path: Path) -> None:
            path.write_bytes(text.encode("utf-8", errors="replace"))

        self.files.write(name, write)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two JSON-like settings differ, one line each: ``name: old value in the run, new value asked now``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines: list[str] = []
        for key in [*old, *(k for k in new if k not in old)]:
            lines += differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        return lines
    return [] if old == new else [f"{path}: {_short(old)} in the run, {_short(new)} asked now"]


def check_same(old: Any, new: Any, where: object) -> None:
    """Raise ``SettingsMismatch`` that lists what differs between a run's identity and what is asked now."""
    lines = differences(old, new)
    if lines:
        listing = "\n  ".join(lines)
        raise SettingsMismatch(f"{where} holds a run with other settings; give another --out, or the same settings:\n  {listing}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
