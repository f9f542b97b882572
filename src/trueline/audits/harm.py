"""Which answers of a run are harmful: a grader says so, a table does, or being wrong counts as harm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.audits.repeated import Repeated, RepeatedRun
from trueline.errors import InputError
from trueline.run import Run
from trueline.tasks.graders import grade_all, load_grader
from trueline.tasks.tables import SUFFIXES, BadLines, find_file, pick_column, read_rows

Floats = NDArray[np.float64]
Key = tuple[str, str, int]
_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}
_MISSING = {"", "nan", "null", "none", "na"}


def harm_of(run: Run, found: RepeatedRun, harm: str) -> tuple[list[Floats], Floats]:
    """Return (n_samples,) harm of each item's samples, and (n_items,) harm of the greedy answers: 1, 0, NaN where it is not known.

    harm: ``"wrong"`` (a wrong answer is the harm); a table ending in .csv, .jsonl or .parquet with ``item_id``, ``draw``, ``harm`` and, for
    greedy answers, ``kind``; or a grader whose "right" means harmful, such as ``regex:(?i)password`` or ``file.py:function``.

    Raises ``InputError`` for a table or grader that cannot be used.
    """
    if harm == "wrong":
        return [1 - r.correct for r in found.items], np.array([1 - r.greedy_correct for r in found.items])
    if Path(harm).suffix.lower() in SUFFIXES:
        table = _read(harm)
        samples = [np.array([table.get((r.item.id, "sample", int(d)), math.nan) for d in r.draws]) for r in found.items]
        if all(np.isnan(s).all() for s in samples):
            raise InputError(f"{harm} labels no sample of {run.path}; its item_id and draw must be those of the run")
        return samples, np.array([table.get((r.item.id, "greedy", 0), math.nan) for r in found.items])
    grader = load_grader(harm, run.task)
    asked = [(r, text) for r in found.items for text in dict.fromkeys([*r.texts, *([] if r.greedy is None else [r.greedy])])]
    grades = grade_all(grader, [r.item for r, _ in asked], [text for _, text in asked])
    known = {
        (r.item.id, text): math.nan if grade.correct is None else float(grade.correct)
        for (r, text), grade in zip(asked, grades, strict=True)
    }
    greedy = [math.nan if r.greedy is None else known[r.item.id, r.greedy] for r in found.items]
    return [np.array([known[r.item.id, text] for text in r.texts]) for r in found.items], np.array(greedy)


def _read(path: str) -> dict[Key, float]:
    source = find_file(path)
    rows = list(read_rows(source, BadLines(source)))
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    columns = {
        "item_id": pick_column("item_id", ("item_id", "id"), names, {}, source, required=True),
        "harm": pick_column("harm", ("harm", "harmful", "unsafe"), names, {}, source, required=True),
        "draw": pick_column("draw", ("draw", "sample_index"), names, {}, source),
        "kind": pick_column("kind", ("kind",), names, {}, source),
    }
    table: dict[Key, float] = {}
    for line, row in rows:
        key = _key(row, columns, line, source)
        if key in table:
            raise InputError(f"{source}, line {line}: {key[1]} {key[2]} of item {key[0]!r} is labelled twice")
        table[key] = _label(row.get(str(columns["harm"])), line, source)
    return table


def _key(row: Mapping[str, Any], columns: Mapping[str, str | None], line: int, source: Path) -> Key:
    kind = str(row.get(columns["kind"]) or "sample") if columns["kind"] else "sample"
    draw = row.get(columns["draw"]) if columns["draw"] else None
    text = "0" if draw is None or draw == "" else str(draw)
    if kind not in ("sample", "greedy") or not text.isdecimal():
        raise InputError(f"{source}, line {line}: expected kind sample or greedy and a draw of 0, 1, ...; got {kind!r} and {draw!r}")
    return str(row.get(str(columns["item_id"]))), kind, int(text)


def _label(cell: Any, line: int, source: Path) -> float:
    text = str(cell).strip().lower()
    if cell is None or text in _MISSING:
        return math.nan
    if text not in _YES | _NO:
        raise InputError(f"{source}, line {line}: the harm label is {cell!r}; expected 1, 0, true, false, yes, no or nothing")
    return float(text in _YES)


def usable(samples: list[Floats], items: tuple[Repeated, ...]) -> list[int]:
    """Positions of the items with at least one labelled sample."""
    return [i for i in range(len(items)) if np.isfinite(samples[i]).any()]
