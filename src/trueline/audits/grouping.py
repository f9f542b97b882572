"""By what errors are broken down: the length of the runs, or a column of the items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.audits.reasoning import split_reasoning
from trueline.audits.repeated import Repeated
from trueline.errors import InputError, nearest
from trueline.metrics.incoherence import length_groups

Floats = NDArray[np.float64]

#: Lengths by which runs can be grouped.
LENGTHS = ("tokens", "words", "reasoning", "answer")
#: Numbers of a column with no more distinct values than this make one group a value.
MAX_VALUES = 12


@dataclass(frozen=True)
class Groups:
    """A group label an item (None: in no group), the labels in order, and whether that order is one of size."""

    by: str
    labels: list[str | None]
    order: list[str]
    ordered: bool
    note: str | None = None


def run_lengths(items: Sequence[Repeated], by: str) -> tuple[list[Floats], str]:
    """Return the length of every sample of every item, and in what it is measured.

    by: ``"tokens"`` of the whole generation (words where the run does not know its tokens), ``"words"``, or the words of the marked
    ``"reasoning"`` or of the ``"answer"`` behind it.

    Raises ``InputError`` for another name, or where no sample marks its reasoning.
    """
    if by not in LENGTHS:
        raise InputError(f"length {by!r} is unknown; expected one of {', '.join(LENGTHS)}{nearest(by, LENGTHS)}")
    if by == "tokens" and all(np.isfinite(r.n_tokens).all() for r in items):
        return [r.n_tokens for r in items], "tokens"
    if by in ("tokens", "words"):
        return [np.array([float(len(t.split())) for t in r.texts]) for r in items], "words"
    parts = [[split_reasoning(t) for t in r.texts] for r in items]
    if all(reasoning is None for texts in parts for reasoning, _ in texts):
        raise InputError(f"no sample marks its reasoning with <think> ... </think>, so its {by} has no length of its own; use tokens")
    at = 0 if by == "reasoning" else 1
    return [np.array([float(len((part[at] or "").split())) for part in texts]) for texts in parts], f"words of the {by}"


def make_groups(items: Sequence[Repeated], by: str, n_groups: int, lengths: Sequence[Floats], unit: str) -> Groups:
    """Group the items by mean length (equal sizes) or by a metadata column.

    A column of numbers with few distinct values makes one group a value, with many it is cut into `n_groups` of equal size; other columns
    make one group a value.

    Raises
    ------
    InputError
        An unknown column (the known ones are named), or one with very many different texts.
    """
    if by in LENGTHS:
        means = [float(v.mean()) for v in lengths]
        return _cut(unit, means, n_groups)
    known = sorted({name for r in items for name in r.item.metadata})
    if by not in known:
        listing = ", ".join(known) if known else "none"
        raise InputError(f"no item has a metadata column {by!r}{nearest(by, known)}; columns: {listing}; lengths: {', '.join(LENGTHS)}")
    values = [r.item.metadata.get(by) for r in items]
    if numbers := _numbers(values):
        distinct = sorted({v for v in numbers if not math.isnan(v)})
        if len(distinct) > MAX_VALUES:
            return _cut(by, numbers, n_groups)
        return Groups(by, [None if math.isnan(v) else f"{v:g}" for v in numbers], [f"{v:g}" for v in distinct], True, _absent(numbers))
    texts = [None if v is None or isinstance(v, list | dict) else str(v) for v in values]
    order = sorted({t for t in texts if t is not None})
    if not order or len(order) > 10 * MAX_VALUES:
        raise InputError(f"the column {by!r} has {len(order)} different texts or numbers; a column to group by has 1 to {10 * MAX_VALUES}")
    absent = sum(t is None for t in texts)
    return Groups(by, texts, order, False, f"{absent} items have no {by} and are in no group" if absent else None)


def _numbers(values: Sequence[Any]) -> list[float] | None:
    """The values as floats (a CSV file holds them as text), NaN where there is none; None where one is no finite number."""
    found: list[float] = []
    for value in values:
        if isinstance(value, bool | list | dict):
            return None
        try:
            found.append(math.nan if value is None or value == "" else float(value))
        except ValueError:
            return None
    return None if any(math.isinf(v) for v in found) or all(math.isnan(v) for v in found) else found


def _absent(numbers: Sequence[float]) -> str | None:
    absent = sum(math.isnan(v) for v in numbers)
    return f"{absent} items have no value and are in no group" if absent else None


def _cut(by: str, values: Sequence[float], n_groups: int) -> Groups:
    """Groups of equal size by rising value."""
    known = [i for i, v in enumerate(values) if not math.isnan(v)]
    codes = length_groups([[values[i]] for i in known], min(n_groups, len(known)))
    labels: list[str | None] = [None] * len(values)
    order = []
    for g in range(int(codes.max()) + 1):
        inside = [i for i, code in zip(known, codes, strict=True) if code == g]
        name = f"{g + 1}: {min(values[i] for i in inside):.4g} to {max(values[i] for i in inside):.4g}"
        order.append(name)
        for i in inside:
            labels[i] = name
    return Groups(by, labels, order, True, _absent(values))
