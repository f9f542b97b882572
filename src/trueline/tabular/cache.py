"""Answers on disk: a prompt is asked once of a model, in this run or any later one that uses the same file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from trueline.errors import InputError, StorageError


class AnswerCache:
    """What models answered, by everything that determines it: the model's fingerprint, the whole prompt and what was read.

    One SQLite file, or memory. ``put`` commits before it returns.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        """Open or create. Raises ``InputError`` when the file is no such cache."""
        self.path = path
        try:
            self._db = sqlite3.connect(":memory:" if path is None else str(path), timeout=60.0)
            self._db.execute("create table if not exists answers (key blob primary key, answer text not null) without rowid")
            self._db.commit()
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} cannot be used as a cache of answers ({error}); move it away or name another file") from error

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._db.execute("select count(*) from answers").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, key: bytes) -> Any:
        """The stored answer, or None."""
        found = self._db.execute("select answer from answers where key = ?", (key,)).fetchone()
        return None if found is None else json.loads(found[0])

    def put(self, answers: Mapping[bytes, Any]) -> None:
        """Store answers, durably. Raises ``StorageError`` when the file cannot be written."""
        rows = [(key, json.dumps(answer)) for key, answer in answers.items()]
        try:
            with self._db:
                self._db.executemany("insert or replace into answers values (?, ?)", rows)
        except sqlite3.OperationalError as error:
            raise StorageError(f"cannot write answers to {self.path}: {error}; all earlier ones are kept") from error


def answer_key(fingerprint: Mapping[str, object], *parts: object) -> bytes:
    """The key of an answer; library versions do not count."""
    same = {name: value for name, value in fingerprint.items() if name != "versions"}
    text = json.dumps([same, *parts], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()
