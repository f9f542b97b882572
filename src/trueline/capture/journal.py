"""Replies that were paid for, on disk before they count: one line a reply, appended; folded into the shard when it is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from trueline.errors import StorageError
from trueline.models.server.calls import Usage
from trueline.traces.rundir import RunDirectory

Key = tuple[int, str]


class Journal:
    """The replies of unfinished shards, under ``journal/`` of a run. A line cut short by a kill is ignored when read."""

    def __init__(self, run: RunDirectory) -> None:
        self.folder = run.path / "journal"
        self._files: dict[int, int] = {}
        self._unsynced: set[int] = set()
        self._lock = Lock()

    def path(self, shard: int) -> Path:
        """Where the replies of ``shard`` lie until it is whole."""
        return self.folder / f"{shard:06d}.jsonl"

    def read(self, shard: int) -> dict[Key, dict[str, Any]]:
        """(item index, call) -> reply. The first of two replies to one call counts."""
        found: dict[Key, dict[str, Any]] = {}
        path = self.path(shard)
        if not path.exists():
            return found
        for line in path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                found.setdefault((entry["item"], entry["call"]), entry["reply"])
            except (ValueError, KeyError, TypeError):
                continue  # a torn line: its reply never counted as done
        return found

    def append(self, shard: int, key: Key, body: bytes) -> None:
        """Hand one reply to the disk. It survives the death of this process at once, and that of the machine after ``sync``."""
        if b"\n" in body or b"\r" in body:
            body = json.dumps(json.loads(body)).encode()
        line = b'{"item": %d, "call": %s, "reply": %s}\n' % (key[0], json.dumps(key[1]).encode(), body)
        try:
            if shard not in self._files:
                opened = self._open(shard)
                with self._lock:
                    self._files[shard] = opened
            written = os.write(self._files[shard], line)
            if written != len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise StorageError(f"cannot write {self.path(shard)}: {error}; all that was written before is kept") from error
        with self._lock:
            self._unsynced.add(shard)

    def _open(self, shard: int) -> int:
        self.folder.mkdir(exist_ok=True)
        path = self.path(shard)
        torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if torn:
            os.write(descriptor, b"\n")
        return descriptor

    def sync(self) -> None:
        """Force what was appended onto the disk."""
        with self._lock:  # duplicates, for the capture may close a file while this thread waits for the disk
            pending = [os.dup(self._files[shard]) for shard in self._unsynced if shard in self._files]
            self._unsynced.clear()
        for descriptor in pending:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def forget(self, shard: int) -> None:
        """Delete the replies of a shard that is whole."""
        with self._lock:
            if shard in self._files:
                os.close(self._files.pop(shard))
            self._unsynced.discard(shard)
        self.path(shard).unlink(missing_ok=True)

    def close(self) -> None:
        """Sync and close all files."""
        self.sync()
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()


class Ledger:
    """What each finished shard cost in tokens: ``usage.jsonl`` of a run, one line a shard."""

    def __init__(self, run: RunDirectory) -> None:
        self.path = run.path / "usage.jsonl"

    def write(self, shard: int, usage: Usage) -> None:
        """Add the line of one shard."""
        entry = {
            "shard": shard,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "requests": usage.requests,
        }
        with self.path.open("ab") as handle:
            handle.write(json.dumps(entry).encode() + b"\n")

    def total(self) -> Usage:
        """Tokens of all finished shards; a shard that was written twice counts once."""
        total = Usage()
        for usage in dict(self._lines()).values():
            total += usage
        return total

    def _lines(self) -> Iterator[tuple[int, Usage]]:
        if not self.path.exists():
            return
        for line in self.path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                yield entry["shard"], Usage(entry["prompt_tokens"], entry["completion_tokens"], entry["requests"])
            except (ValueError, KeyError, TypeError):
                continue
