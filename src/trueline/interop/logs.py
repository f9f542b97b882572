"""Logs of other tools as generations: which reader a file needs, and the rows that readers make."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from trueline.capture.engine import table_of
from trueline.errors import InputError
from trueline.tasks.generation_tables import GREEDY, JUDGED, SAMPLE, TABLE
from trueline.tasks.generations import CHUNK_ROWS, GenerationFile, Piece
from trueline.tasks.item import Item
from trueline.tasks.tables import SUFFIXES, BadLines, as_text, read_rows

#: What `open_generations` reads.
LOG_SUFFIXES = (*SUFFIXES, ".eval", ".json")
#: Roles of a log that `mapping` may set.
LOG_ROLES = ("correct", "confidence", "cluster", "question", "text", "kind")
#: Key of a sample's or score's metadata under which trueline's own tasks keep what is theirs.
OWN = "trueline"
#: Key of a log's metadata: the audit of trueline that it is of.
AUDIT = "trueline_audit"
#: Order of the rows of an item: its answers, then what it was asked about them.
_PROBE = 2
_CODES = {"greedy": GREEDY, "sample": SAMPLE}
_EXTRA = [field for field in TABLE if field.name in ("correct", "line", *JUDGED)]

#: One item with its rows: trace columns and verdicts by name.
Entry = tuple[Item, list[dict[str, Any]]]


def open_generations(path: Path, mapping: Mapping[str, str] | None, bad: BadLines) -> Any:
    """The reader of a file: an Inspect log (``.eval``, ``.json``), samples of lm-evaluation-harness, or a table of generations."""
    suffix = path.suffix.lower()
    if suffix in (".eval", ".json"):
        from trueline.interop.inspect_log import InspectLog

        return InspectLog(path, mapping, bad)
    if suffix == ".jsonl":
        first = next((row for _, row in islice(read_rows(path, BadLines(path, skip=True)), 1)), {})
        if {"doc_id", "doc", "arguments", "resps", "filtered_resps"} <= set(first):
            from trueline.interop.harness_log import HarnessLog

            return HarnessLog(path, mapping, bad)
    return GenerationFile(path, mapping, bad)


def pieces_of(entries: Iterable[Entry]) -> Iterator[Piece]:
    """Items and their rows in tables of about ``CHUNK_ROWS`` rows."""
    items: list[Item] = []
    rows: list[dict[str, Any]] = []
    for index, (item, found) in enumerate(entries):
        items.append(item)
        rows += [{"item_id": item.id, "item_index": index, **row} for row in found]
        if len(rows) >= CHUNK_ROWS:
            yield items, _table(rows)
            items, rows = [], []
    if rows:
        yield items, _table(rows)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    table = table_of(rows)
    codes = pa.array([_CODES.get(row["kind"], _PROBE) for row in rows], TABLE.field("kind_code").type)
    columns = {name: table[name] for name in table.column_names} | {"kind_code": codes}
    columns |= {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in _EXTRA}
    return pa.table([columns[field.name] for field in TABLE], schema=TABLE)


@dataclass(frozen=True)
class Threshold:
    """Which score of a log is the verdict: ``NAME``, ``NAME.KEY`` of a score with several values, and ``>=T`` where it is no 0 or 1."""

    name: str | None = None
    bound: float | None = None

    @classmethod
    def parse(cls, text: str | None) -> Threshold:
        """Read ``NAME`` or ``NAME>=T``. Raises ``InputError`` for a bound that is no number."""
        if text is None:
            return cls()
        name, sign, bound = text.partition(">=")
        if not sign:
            return cls(name)
        value = number(bound)
        if value is None:
            raise InputError(f"correct={text}: expected a number behind >=, such as correct={name or 'f1'}>=0.5")
        return cls(name or None, value)


def verdict(value: Any, bound: float | None = None) -> dict[str, Any]:
    """``correct``, ``refused``, ``score`` and ``reason`` of a score as other tools write it.

    1, true, yes and C are right; 0, false, no, I and N (no answer: refused) wrong. Another number needs a bound; without one nothing is
    claimed, and it is kept as a ``score`` where it lies in (0, 1).
    """
    known = _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
    score = known if known is not None else number(value)
    if score is None:
        return {"correct": None, "reason": f"the score {as_text(value)[:40]!r} is no verdict"}
    graded = {"score": score if 0 < score < 1 else None, "refused": isinstance(value, str) and value.strip().lower() == "n"}
    if bound is not None:
        return {**graded, "correct": score >= bound}
    if score in (0, 1):
        return {**graded, "correct": score == 1}
    why = f"the score {score:g} is neither 0 nor 1; say from where it is right (--map 'correct=NAME>=0.5')"
    return {**graded, "correct": None, "reason": why}


_WORDS = {"c": 1.0, "i": 0.0, "p": 0.5, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def number(value: Any) -> float | None:
    """A finite number, also written as text or with a percent sign; None for anything else."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(%?)\s*", value)
        if match is None:
            return None
        value = float(match[1]) / (100.0 if match[2] else 1.0)
    elif not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def stated(confidence: float) -> dict[str, Any]:
    """A confidence that was stated beside the answer, as the reply to the probe that asks for one."""
    return {"kind": "verbalized_2s", "draw": 0, "text": f"Probability: {confidence!r}"}
