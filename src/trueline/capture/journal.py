"""Replies that were paid for, on disk before they count: one line a reply, appended; folded into the shard when it is whole.

A part is ``(shard, round)``: round 0 is the first capture of a shard, later ones ask again for what failed in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from trueline.errors import StorageError
from trueline.models.server.calls import Usage
from trueline.models.server.replies import usage_of
from trueline.traces.rundir import RunDirectory

Key = tuple[int, str]
Part = tuple[int, int]


class Journal:
    """The replies of unfinished shards, under ``journal/`` of a run. A line cut short by a kill is ignored when read."""

    def __init__(self, run: RunDirectory) -> None:
        self.folder = run.path / "journal"
        self._files: dict[Part, int] = {}
        self._unsynced: set[Part] = set()
        self._lock = Lock()

    def path(self, part: Part) -> Path:
        """Where the replies of ``part`` lie until it is whole."""
        shard, again = part
        return self.folder / (f"{shard:06d}-{again}.jsonl" if again else f"{shard:06d}.jsonl")

    def parts(self) -> list[Part]:
        """The parts that have replies here, in order."""
        found = (re.fullmatch(r"(\d+)(?:-(\d+))?\.jsonl", path.name) for path in sorted(self.folder.glob("*.jsonl")))
        return [(int(match[1]), int(match[2] or 0)) for match in found if match]

    def again(self) -> dict[int, int]:
        """shard -> round of those that were being asked again when an earlier try ended."""
        return {shard: again for shard, again in self.parts() if again}

    def usage(self, part: Part) -> Usage:
        """Tokens of the replies of ``part``."""
        return sum((usage_of(reply) for reply in self.read(part).values()), Usage())

    def read(self, part: Part) -> dict[Key, dict[str, Any]]:
        """(item index, call) -> reply. The first of two replies to one call counts."""
        found: dict[Key, dict[str, Any]] = {}
        path = self.path(part)
        if not path.exists():
            return found
        for line in path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                found.setdefault((entry["item"], entry["call"]), entry["reply"])
            except (ValueError, KeyError, TypeError):
                continue  # a torn line: its reply never counted as done
        return found

    def append(self, part: Part, key: Key, body: bytes) -> None:
        """Hand one reply to the disk. It survives the death of this process at once, and that of the machine after ``sync``."""
        if b"\n" in body or b"\r" in body:
            body = json.dumps(json.loads(body)).encode()
        line = b'{"item": %d, "call": %s, "reply": %s}\n' % (key[0], json.dumps(key[1]).encode(), body)
        try:
            if part not in self._files:
                opened = self._open(part)
                with self._lock:
                    self._files[part] = opened
            written = os.write(self._files[part], line)
            if written != len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise StorageError(f"cannot write {self.path(part)}: {error}; all that was written before is kept") from error
        with self._lock:
            self._unsynced.add(part)

    def _open(self, part: Part) -> int:
        self.folder.mkdir(exist_ok=True)
        path = self.path(part)
        torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if torn:
            os.write(descriptor, b"\n")
        return descriptor

    def sync(self) -> None:
        """Force what was appended onto the disk."""
        with self._lock:  # duplicates, for the capture may close a file while this thread waits for the disk
            pending = [os.dup(self._files[part]) for part in self._unsynced if part in self._files]
            self._unsynced.clear()
        for descriptor in pending:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def forget(self, part: Part) -> None:
        """Delete the replies of a part that is whole."""
        with self._lock:
            if part in self._files:
                os.close(self._files.pop(part))
            self._unsynced.discard(part)
        self.path(part).unlink(missing_ok=True)

    def close(self) -> None:
        """Sync and close all files."""
        self.sync()
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()


class Ledger:
    """What each finished part cost in tokens: ``usage.jsonl`` of a run, one line a part."""

    def __init__(self, run: RunDirectory) -> None:
        self.path = run.path / "usage.jsonl"

    def write(self, part: Part, usage: Usage) -> None:
        """Add the line of one part."""
        entry = {
            "shard": part[0],
            "round": part[1],
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "requests": usage.requests,
        }
        with self.path.open("ab") as handle:
            handle.write(json.dumps(entry).encode() + b"\n")

    def total(self) -> Usage:
        """Tokens of all finished parts; one that was written twice counts once."""
        total = Usage()
        for usage in dict(self._lines()).values():
            total += usage
        return total

    def with_journal(self, journal: Journal) -> Usage:
        """Tokens of all that was paid for: of the finished parts, and of the replies to unfinished ones."""
        noted = dict(self._lines())
        return sum((journal.usage(part) for part in journal.parts() if part not in noted), self.total())

    def rounds(self) -> dict[int, int]:
        """shard -> its last finished round."""
        found: dict[int, int] = {}
        for (shard, again), _ in self._lines():
            found[shard] = max(found.get(shard, 0), again)
        return found

    def _lines(self) -> Iterator[tuple[Part, Usage]]:
        if not self.path.exists():
            return
        for line in self.path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                yield (entry["shard"], entry.get("round", 0)), Usage(entry["prompt_tokens"], entry["completion_tokens"], entry["requests"])
            except (ValueError, KeyError, TypeError):
                continue
