"""Verdicts on disk: an ordered pair is asked once, in this run or any later one that uses the same file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from trueline.errors import InputError, StorageError
from trueline.estimators.equivalence.base import Verdicts

_TABLE = """create table if not exists verdicts (
    key blob primary key, entail real not null, neutral real not null, contradict real not null, truncated integer not null
) without rowid"""


class PairCache:
    """Verdicts by judge fingerprint and rendered pair, in one SQLite file (or in memory).

    ``put`` commits before it returns, so a process killed at any moment loses only the batch in flight. Several processes may share the
    file; a writer waits for another for up to a minute.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        """Open or create. Raises ``InputError`` when the file is not such a cache."""
        self.path = None if path is None else Path(path)
        self._db = _open(":memory:" if path is None else str(path))

    def __enter__(self) -> PairCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._db.execute("select count(*) from verdicts").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, fingerprint: str, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[float, float, float, bool]]:
        """The stored verdicts among ``pairs``: pair -> (entail, neutral, contradict, truncated)."""
        found: dict[tuple[str, str], tuple[float, float, float, bool]] = {}
        query = "select entail, neutral, contradict, truncated from verdicts where key = ?"
        for pair in pairs:
            row = self._db.execute(query, (_key(fingerprint, pair),)).fetchone()
            if row is not None:
                found[pair] = (row[0], row[1], row[2], bool(row[3]))
        return found

    def put(self, fingerprint: str, pairs: Sequence[tuple[str, str]], verdicts: Verdicts) -> None:
        """Store verdicts of ``pairs``, durably. Raises ``StorageError`` when the file cannot be written."""
        rows = [
            (_key(fingerprint, pair), *(float(p) for p in probs), int(cut))
            for pair, probs, cut in zip(pairs, np.asarray(verdicts.probs), verdicts.truncated, strict=True)
        ]
        try:
            with self._db:
                self._db.executemany("insert or ignore into verdicts values (?, ?, ?, ?, ?)", rows)
        except sqlite3.OperationalError as error:
            raise StorageError(f"cannot write verdicts to {self.path}: {error}; all earlier ones are kept") from error


def _open(name: str) -> sqlite3.Connection:
    db: sqlite3.Connection | None = None
    try:
        db = sqlite3.connect(name, timeout=60.0)
        db.execute("pragma synchronous = normal")
        db.execute(_TABLE)
        db.commit()
        return db
    except sqlite3.DatabaseError as error:
        if db is not None:
            db.close()
        raise InputError(f"{name} cannot be used as a cache of verdicts ({error}); move it away or name another file") from error


def _key(fingerprint: str, pair: tuple[str, str]) -> bytes:
    digest = hashlib.blake2b(digest_size=20)
    for part in (fingerprint, *pair):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()
