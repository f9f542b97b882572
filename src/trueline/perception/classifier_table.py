"""The outputs of a classifier as a table: one row an item, under one perturbation, from CSV, JSONL or Parquet.

Columns: ``label`` (a class number or name); the outputs, either a list in ``logits`` or ``probabilities``, or one column a class,
``logit_NAME`` or ``prob_NAME``; and, where there are some, ``split`` (train, validation, test, ood), ``perturbation`` and ``severity``,
``item_id``, ``cluster_id``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueline.errors import InputError, nearest
from trueline.metrics.multiclass import check_probabilities
from trueline.metrics.scaling import log_softmax
from trueline.perception.failure_scores import failure_scores
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray
from trueline.tasks.tables import BadLines, as_text, find_file, read_rows

SPLITS = ("train", "validation", "test", "ood")
_ALIASES = {"": "test", "val": "validation", "valid": "validation", "dev": "validation"}
_KINDS = (("logits", "logit_"), ("probabilities", "prob_"))
Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ClassifierTable:
    """Outputs of a classifier, row by row.

    Attributes
    ----------
    outputs : (n, K) float64
        Logits, or probabilities.
    are_logits : bool
    labels : (n,) int64
        Class numbers, -1 where there is none (foreign inputs).
    classes : tuple of K str
    split, perturbation, item_id, cluster : (n,) object
        Text; no perturbation is "".
    severity : (n,) int64
        0 where there is no perturbation.
    """

    outputs: FloatArray
    are_logits: bool
    labels: IntArray
    classes: tuple[str, ...]
    split: Any
    perturbation: Any
    severity: IntArray
    item_id: Any
    cluster: Any

    def take(self, rows: Any) -> ClassifierTable:
        """Return some rows, by a mask or by positions."""
        parts = (self.split[rows], self.perturbation[rows], self.severity[rows], self.item_id[rows], self.cluster[rows])
        return ClassifierTable(self.outputs[rows], self.are_logits, self.labels[rows], self.classes, *parts)

    def probabilities(self) -> FloatArray:
        """Return the (n, K) probabilities; logits go through the softmax."""
        return np.exp(log_softmax(self.outputs)) if self.are_logits else self.outputs

    def uncertainty(self) -> dict[str, FloatArray]:
        """Return every score of `failure_scores` that the outputs allow, (n,) float64 each."""
        return failure_scores(logits=self.outputs) if self.are_logits else failure_scores(probabilities=self.outputs)

    def clusters(self) -> Any:
        """Return the (n,) clusters, or None where no two rows share one."""
        return self.cluster if len(set(self.cluster)) < len(self) else None

    def __len__(self) -> int:
        return len(self.labels)


def load_classifier_table(path: str | Path) -> ClassifierTable:
    """Read the table.

    Raises
    ------
    InputError
        If the file or a column is missing, an output is not a finite number, a row has another number of classes, a label names no class, a
        split is unknown, or a severity is not a whole number from 1 on; names the line.
    """
    found = find_file(path)
    rows = list(read_rows(found, BadLines(found)))
    if not rows:
        raise InputError(f"{found} has no rows")
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    if "label" not in columns:
        raise InputError(f"{found} has no column 'label'{nearest('label', columns)}; columns found: {', '.join(columns)}")
    kind, wide = _outputs(columns, found)
    reader = _Reader(kind, wide, rows[0][1])
    parts = []
    for line, row in rows:
        try:
            parts.append(reader.read(row, line))
        except (InputError, ValueError, TypeError) as error:
            raise InputError(f"{found}, line {line}: {error}") from error
    outputs, labels, split, perturbation, severity, item, cluster = zip(*parts, strict=True)
    values = np.array(outputs, dtype=np.float64)
    if kind == "probabilities":
        check_probabilities(values)
    texts = (np.array(column, dtype=object) for column in (item, cluster))
    return ClassifierTable(
        values, kind == "logits", np.array(labels, dtype=np.int64), reader.classes, np.array(split, dtype=object),
        np.array(perturbation, dtype=object), np.array(severity, dtype=np.int64), *texts,
    )  # fmt: skip


def _outputs(columns: Sequence[str], path: Path) -> tuple[str, list[str]]:
    """The kind of outputs, and their columns where each class has one."""
    for kind, prefix in _KINDS:
        wide = [name for name in columns if name.startswith(prefix)]
        if kind in columns or len(wide) > 1:
            return kind, [] if kind in columns else wide
    raise InputError(
        f"{path} has no outputs: expected a list in `logits` or `probabilities`, or columns logit_NAME or prob_NAME; "
        f"columns found: {', '.join(columns)}"
    )


class _Reader:
    """Turns rows into the fields of the table."""

    def __init__(self, kind: str, wide: Sequence[str], first: Row) -> None:
        self.kind, self.wide = kind, wide
        if wide:
            self.classes = tuple(name.partition("_")[2] for name in wide)
        else:
            self.classes = tuple(map(str, range(len(_list(first.get(kind), kind)))))
        self.code = {name: k for k, name in enumerate(self.classes)}

    def read(self, row: Row, line: int) -> tuple[list[float], int, str, str, int, str, str]:
        cells = [row.get(name) for name in self.wide] if self.wide else _list(row.get(self.kind), self.kind)
        values = [float(cell) if cell not in (None, "") else np.nan for cell in cells]
        if len(values) != len(self.classes) or not np.isfinite(values).all():
            raise InputError(f"{self.kind} must be {len(self.classes)} finite numbers; got {cells}")
        split = _text(row, "split").lower()
        split = _ALIASES.get(split, split)
        if split not in SPLITS:
            raise InputError(f"split {split!r} is unknown; expected {', '.join(SPLITS)}{nearest(split, SPLITS)}")
        perturbation = _text(row, "perturbation")
        perturbation = "" if perturbation.lower() in ("none", "clean") else perturbation
        severity = float(_text(row, "severity") or 0) if perturbation else 0.0
        if perturbation and (severity < 1 or severity != int(severity)):
            raise InputError(f"severity is {severity:g}; a perturbation has a whole number from 1 on")
        item = _text(row, "item_id") or f"line {line}"
        return values, self._label(row, split), split, perturbation, int(severity), item, _text(row, "cluster_id") or item

    def _label(self, row: Row, split: str) -> int:
        label = _text(row, "label")
        label = label[:-2] if label.endswith(".0") else label  # a column of numbers with gaps comes as floats
        if split == "ood":
            return self.code.get(label, -1)
        if label not in self.code:
            shown = ", ".join(self.classes[:8]) + (", ..." if len(self.classes) > 8 else "")
            raise InputError(f"label {label!r} is none of the classes {shown}")
        return self.code[label]


def _list(cell: Any, kind: str) -> list[Any]:
    import json

    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{kind} must be a list of numbers; got {cell[:60]!r}") from error
    if not isinstance(cell, list | tuple) or len(cell) < 2:
        raise InputError(f"{kind} must be a list of at least 2 numbers; got {cell!r}"[:200])
    return list(cell)


def _text(row: Row, name: str) -> str:
    cell = row.get(name)
    return "" if cell is None or cell != cell else as_text(cell).strip()
