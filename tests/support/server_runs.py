"""A small task for the stub server, and all that a run holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def questions(path: Path, n: int) -> str:
    """A file of ``n`` questions."""
    file = path / "questions.jsonl"
    rows = [{"id": f"q{i}", "question": f"Where was person number {i} born?", "answer": "Kelby"} for i in range(n)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def content(path: Path) -> dict[str, Any]:
    """Trace, items, scores and grades of a run as records."""
    found: dict[str, Any] = {p.name: pq.read_table(p).to_pylist() for p in sorted((path / "trace").glob("*.parquet"))}
    for name in ("items", "scores", "grades"):
        found[name] = pq.read_table(path / f"{name}.parquet").to_pylist()
    return found
