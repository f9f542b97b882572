"""Validate the scores of any table: one row an answer, a column of uncertainties, a column that says whether the answer was right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trueline.errors import InputError
from trueline.tasks.tables import BadLines, as_text, find_file, pick_column, read_rows

if TYPE_CHECKING:
    from trueline.validation import Truth

Rows = Sequence[tuple[int, Mapping[str, Any]]]

_RIGHT = {"1": 1.0, "1.0": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0, "no": 0.0}
_MISSING = {"", "nan", "null", "none", "na"}


def validate_table(
    path: str | Path,
    score: str | Sequence[str],
    correct: str,
    cluster: str | None = None,
    *,
    level: float = 0.95,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Metrics with intervals of the scores in a .csv, .jsonl or .parquet table, in the form of a run's ``metrics.json``.

    score: one column or several, uncertainties, higher = less certain. correct: 1/0, true/false or yes/no. cluster: rows that share a
    value are not independent. Empty cells and NaN are missing and counted. level: coverage. n_boot, seed: bootstrap.

    Raises ``InputError`` for a missing file or column (with the names found), and for a cell that is no number, with its line.
    """
    from trueline.validation import MUCH_MISSING, headline, validate_scores

    names = [score] if isinstance(score, str) else list(score)
    found = find_file(path)
    rows = list(read_rows(found, BadLines(found)))
    if not rows:
        raise InputError(f"{found} has no rows")
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    wanted = {"correct": correct, **{name: name for name in names}, **({"cluster": cluster} if cluster else {})}
    for role in wanted:
        pick_column(role, (), columns, wanted, found)
    truth = _truth(rows, correct, cluster, found)
    settings: dict[str, Any] = {"level": level, "n_boot": n_boot, "seed": seed}
    table: dict[str, Any] = {}
    warnings: list[str] = []
    for name in names:
        values = np.array([_number(row.get(name), name, line, found) for line, row in rows])
        missing = int(np.isnan(values).sum())
        estimates = validate_scores(values, truth, **settings)
        table[name] = {"metrics": _json(estimates), "n_missing": missing, "reasons": {"no value in the table": missing} if missing else {}}
        if missing > MUCH_MISSING * len(values):
            warnings.append(f"{name}: {missing} of {len(values)} scores are missing; compare estimators on their common rows only")
    return {
        "format": 1,
        **settings,
        "answer": "table",
        "table": str(path),
        "n_items": len(rows),
        "n_graded": int(np.isfinite(truth.correct).sum()),
        "n_clusters": len(set(truth.clusters.tolist())) if truth.clusters is not None else None,
        "headline": _json(headline(truth, **settings)),
        "estimators": table,
        "warnings": warnings,
    }


def _truth(rows: Rows, correct: str, cluster: str | None, path: Path) -> Truth:
    from trueline.validation import Truth

    unknown = np.full(len(rows), np.nan)
    return Truth(
        item_ids=tuple(f"line {line}" for line, _ in rows),
        correct=np.array([_right(row.get(correct), correct, line, path) for line, row in rows]),
        refused=np.zeros(len(rows)),
        expected_error=unknown,
        known={},
        length=unknown,
        clusters=np.array([as_text(row.get(cluster)) for _, row in rows], dtype=object) if cluster else None,
        answer="table",
    )


def _json(estimates: Mapping[str, Any]) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in estimates.items()}


def _right(value: Any, column: str, line: int, path: Path) -> float:
    text = "" if value is None else str(value).strip().lower()
    if text in _MISSING:
        return math.nan
    if text not in _RIGHT:
        raise InputError(f"{path}, line {line}: {column!r} is {str(value)[:40]!r}; expected 1 or 0, true or false, or nothing")
    return _RIGHT[text]


def _number(value: Any, column: str, line: int, path: Path) -> float:
    if value is None or str(value).strip().lower() in _MISSING:
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {line}: {column!r} is {str(value)[:40]!r}; expected a number") from error
    if math.isinf(number):
        raise InputError(f"{path}, line {line}: {column!r} is infinite; give a finite score, or nothing where it is missing")
    return number
