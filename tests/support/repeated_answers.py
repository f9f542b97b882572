"""Runs with repeated samples whose answers are planted, so that an audit of them has a known result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trueline as tl

Row = Mapping[str, Any]


def row(identity: str, samples: Sequence[str], right: str = "right", greedy: str | None = "right", **more: Any) -> dict[str, Any]:
    """One item of a file of generations; an answer is correct when it is ``right``."""
    out: dict[str, Any] = {"id": identity, "question": f"What is {identity}?", "reference": right, "samples": list(samples)}
    out |= {"correct": [s == right for s in samples], "temperature": 1.0, **more}
    if greedy is not None:
        out |= {"greedy": greedy, "greedy_correct": greedy == right}
    return out


def planted(folder: Path, rows: Sequence[Row], **options: Any) -> tl.Run:
    """Import the rows as a run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return tl.import_generations(path, folder / "run", **options)
