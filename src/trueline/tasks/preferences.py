"""Preference tables: one row a prompt with two responses, and whom each annotator prefers.

Three layouts are read: trueline's own (`prompt`, `response_0`, `response_1`, a column an annotator), that of HH-RLHF (`chosen`, `rejected`:
whole dialogues that part at their last answer) and that of PKU-SafeRLHF (`response_0`, `response_1`, `better_response_id`,
`safer_response_id`). Everywhere +1 is the first response (`response_0`), -1 the second.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.errors import InputError
from trueline.tasks.tables import BadLines, as_text, find_file, pick_column, read_rows

LAYOUTS = ("auto", "table", "hh-rlhf", "pku-saferlhf")
_MISSING = {"", "nan", "null", "none", "na"}
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PreferencePair:
    """One prompt with two responses. turns: the conversation up to the responses, as (role, content)."""

    turns: Turns
    response_0: str
    response_1: str


@dataclass(frozen=True)
class PreferenceTable:
    """Rows of a preference table with their line numbers; cells are read on demand, and a bad one is named by line and column.

    name: path it came from. lines, rows: equally long. note: what was skipped, or None.
    """

    name: str
    lines: tuple[int, ...]
    rows: tuple[Mapping[str, Any], ...]
    note: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def has(self, role: str, column: str) -> str:
        """The column again. Raises ``InputError`` with the nearest names when there is none."""
        pick_column(role, (), self.columns, {role: column}, self.name)
        return column

    def numbers(self, column: str) -> list[float]:
        """Numbers of a column; empty cells are NaN. Raises ``InputError`` naming the line."""
        return [self._number(line, row.get(column), column) for line, row in zip(self.lines, self.rows, strict=True)]

    def signs(self, column: str) -> list[float]:
        """Preferences of a column: 1, -1, 0, NaN where empty. Raises ``InputError`` naming the line."""
        values = self.numbers(column)
        for line, row, value in zip(self.lines, self.rows, values, strict=True):
            if value not in (-1.0, 0.0, 1.0) and not math.isnan(value):
                found = row.get(column)
                raise InputError(
                    f"{self.name}, line {line}: column {column!r} is {found!r}; expected 1, -1, 0 or nothing (scores: two columns)"
                )
        return values

    def labels(self, column: str) -> list[str]:
        """Labels of a column, such as clusters. Raises ``InputError`` where one is empty."""
        for line, row in zip(self.lines, self.rows, strict=True):
            if row.get(column) is None or not str(row[column]).strip():
                raise InputError(
                    f"{self.name}, line {line}: column {column!r} is empty; give every row a cluster (its own where it stands alone)"
                )
        return [str(row[column]) for row in self.rows]

    def item_ids(self) -> list[str]:
        """The ``item_id`` of each row, or ``row-N`` by its line. Raises ``InputError`` where one repeats."""
        seen: dict[str, int] = {}
        found = []
        for line, row in zip(self.lines, self.rows, strict=True):
            given = row.get("item_id")
            identity = f"row-{line}" if given is None else str(given)
            if seen.setdefault(identity, line) != line:
                raise InputError(
                    f"{self.name}, line {line}: the item_id {identity!r} stands on line {seen[identity]} too; give each pair its own"
                )
            found.append(identity)
        return found

    def pairs(self) -> list[PreferencePair]:
        """The texts. Raises ``InputError`` when a column or a cell of them is missing."""
        for column in ("prompt", "response_0", "response_1"):
            pick_column(column, (column,), self.columns, {}, self.name, required=True)
        found = []
        for line, row in zip(self.lines, self.rows, strict=True):
            empty = next((c for c in ("prompt", "response_0", "response_1") if row.get(c) is None), None)
            if empty is not None:
                raise InputError(f"{self.name}, line {line}: column {empty!r} is empty; a judge needs the prompt and both responses")
            try:
                turns = conversation(row["prompt"])
            except InputError as error:
                raise InputError(f"{self.name}, line {line}: {error}") from error
            found.append(PreferencePair(turns, as_text(row["response_0"]), as_text(row["response_1"])))
        return found

    def _number(self, line: int, cell: Any, column: str) -> float:
        if cell is None or str(cell).strip().lower() in _MISSING:
            return math.nan
        try:
            return float(cell)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name}, line {line}: column {column!r} is {cell!r}; expected a number") from error


def load_preferences(path: str | Path, *, layout: str = "auto", skip_bad: bool = False, limit: int | None = None) -> PreferenceTable:
    """Read a preference table from ``.jsonl``, ``.csv`` or ``.parquet``.

    Parameters
    ----------
    layout : str
        ``"table"``, ``"hh-rlhf"``, ``"pku-saferlhf"``, or ``"auto"``: by the columns of the first row. HH-RLHF gives the column ``human``,
        and the chosen response comes first or second by a hash of the texts, so that a bias for a position is none for the label.
        PKU-SafeRLHF gives ``better`` and ``safer``. Both get the prompt as ``cluster_id``.
    skip_bad : bool
        Leave out rows that cannot be used; they are counted in ``note``.
    limit : int, optional
        Only the first rows.

    Raises
    ------
    InputError
        No usable file or row; a row that does not fit the layout.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)}")
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    found = find_file(path)
    bad = BadLines(found, skip_bad)
    lines, rows = [], []
    for line, row in read_rows(found, bad):
        layout = _layout_of(row) if layout == "auto" else layout
        try:
            rows.append(_READERS[layout](row))
        except InputError as error:
            bad.add(line, str(error))
            continue
        lines.append(line)
        if limit is not None and len(rows) >= limit:
            break
    note = bad.note()
    if not rows:
        raise InputError(f"{found} has no {'usable ' if note else ''}rows{f': {note}' if note else ''}")
    return PreferenceTable(str(path), tuple(lines), tuple(rows), note)


def conversation(prompt: Any) -> Turns:
    r"""Turns of a prompt: a list of ``{"role", "content"}`` (also as JSON), a dialogue as `dialogue` writes it, or one user turn.

    A trailing ``Assistant:`` that waits for its answer is dropped. Raises ``InputError`` for a list of something else.
    """
    if isinstance(prompt, str) and prompt.lstrip().startswith("[{"):
        try:
            prompt = json.loads(prompt)
        except ValueError:
            return (("user", prompt),)  # a text that only looks like a list
    if isinstance(prompt, Sequence) and not isinstance(prompt, str):
        if not all(isinstance(t, Mapping) and "role" in t and "content" in t for t in prompt):
            raise InputError('the prompt is a list; expected turns such as {"role": "user", "content": ...}')
        return tuple((as_text(t["role"]), as_text(t["content"])) for t in prompt)
    text = as_text(prompt)
    parts = _TURN.split(text)
    if len(parts) == 1 or parts[0].strip():
        return (("user", text),)
    turns = [(_ROLES[role], content.strip()) for role, content in zip(parts[1::2], parts[2::2], strict=True)]
    if turns[-1] == ("assistant", ""):
        turns.pop()
    return tuple(turns)


def dialogue(turns: Turns) -> str:
    r"""A conversation as text: ``\n\nHuman: ...\n\nAssistant: ...``, as HH-RLHF writes it."""
    return "".join(f"\n\n{'Human' if role == 'user' else role.capitalize()}: {content}" for role, content in turns)


def _layout_of(row: Mapping[str, Any]) -> str:
    if {"chosen", "rejected"} <= row.keys() and "response_0" not in row:
        return "hh-rlhf"
    return "pku-saferlhf" if {"response_0", "response_1", "better_response_id"} <= row.keys() else "table"


def _hh_rlhf(row: Mapping[str, Any]) -> Mapping[str, Any]:
    sides = []
    for name in ("chosen", "rejected"):
        text = row.get(name)
        if not isinstance(text, str) or "Assistant:" not in text:
            raise InputError(f"column {name!r} holds no dialogue with an 'Assistant:' turn")
        head, _, answer = text.rpartition("Assistant:")
        sides.append((f"{head}Assistant:", answer.strip()))
    (prompt, chosen), (other, rejected) = sides
    if prompt != other:
        raise InputError("the two dialogues differ before their last answer")
    # by the texts alone, so that the place says nothing about the label
    texts = sorted((chosen, rejected))
    if int(_digest("\0".join((prompt, *texts))), 16) % 2:
        texts.reverse()
    rest = {k: v for k, v in row.items() if k not in ("chosen", "rejected")}
    return {
        **rest,
        "prompt": prompt,
        "response_0": texts[0],
        "response_1": texts[1],
        "human": 1 if texts[0] == chosen else -1,
        "cluster_id": _digest(prompt),
    }


def _pku_saferlhf(row: Mapping[str, Any]) -> Mapping[str, Any]:
    out = dict(row)
    for column, name in (("better_response_id", "better"), ("safer_response_id", "safer")):
        if column not in row or row[column] is None or row[column] == "":
            continue
        if str(row[column]) not in ("0", "1"):
            raise InputError(f"column {column!r} is {row[column]!r}; expected 0 or 1")
        # upstream's label 2 id - 1 counts the second response as +1
        out[name] = 1 - 2 * int(row[column])
    return {**out, "cluster_id": row.get("cluster_id") or _digest(as_text(row.get("prompt", "")))}


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


_READERS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {"table": dict, "hh-rlhf": _hh_rlhf, "pku-saferlhf": _pku_saferlhf}
