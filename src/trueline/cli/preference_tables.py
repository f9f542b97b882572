"""Tables of preferences as `trueline plan preferences` reads them: votes, target shares, flips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.errors import InputError

GROUP_PREFIX = "group_"
UNKNOWN, EVERYONE = "unknown", "everyone"
_FIRST, _SECOND = {"1", "+1", "a", "first", "response_a"}, {"-1", "2", "b", "second", "response_b"}
_TIE = {"0", "tie", "both", "neither", "equal"}
_MISSING = {"", "nan", "null", "none", "na"}
Rows = list[tuple[int, dict[str, Any]]]
Group = tuple[str, ...]


@dataclass(frozen=True)
class VoteTable:
    """The columns of a table of votes, ties and empty choices left out and counted."""

    path: Path
    group_columns: list[str]
    item: list[str]
    group: list[Group]
    choice: list[float]
    annotator: list[str] | None
    context: list[str] | None
    model: list[tuple[float, ...]] | None
    n_ties: int
    n_unknown: int


def read_table(table: Path) -> tuple[Path, Rows, list[str]]:
    """Return the path, the rows with their line numbers, and the names of the columns."""
    from trueline.tasks.tables import BadLines, find_file, read_rows

    found = find_file(table)
    rows = list(read_rows(found, BadLines(found)))
    if not rows:
        raise InputError(f"{found} has no rows")
    return found, rows, list(dict.fromkeys(name for _, row in rows for name in row))


def read_votes(table: Path, mapping: Mapping[str, str], groups: Sequence[str], context: str | None, model: str | None) -> VoteTable:
    """Read one row a vote; `mapping` names the columns of item, annotator and choice where they have other names."""
    from trueline.tasks.tables import check_mapping, pick_column

    path, rows, columns = read_table(table)
    check_mapping(mapping, ("item", "annotator", "choice"))
    item = pick_column("item", ("item_id", "id", "item"), columns, mapping, path, required=True)
    choice = pick_column("choice", ("choice", "preference", "label"), columns, mapping, path, required=True)
    annotator = pick_column("annotator", ("annotator_id", "annotator", "rater_id", "worker_id"), columns, mapping, path)
    chosen = list(groups) or [name for name in columns if name.startswith(GROUP_PREFIX)]
    scores = [part.strip() for part in model.split(",")] if model else []
    if len(scores) > 2:
        raise InputError(f"--model {model}: expected one column of probabilities, or two of scores with a comma")
    for role, name in [
        *(("a group", g) for g in chosen),
        *(("the model", s) for s in scores),
        *([("the context", context)] if context else []),
    ]:
        pick_column(role, (), columns, {role: name}, path)
    signs = [_choice(row.get(choice or ""), line, path) for line, row in rows]
    _refuse_zero_one(signs, [row.get(choice or "") for _, row in rows], path)
    kept = [(line, row, sign) for (line, row), sign in zip(rows, signs, strict=True) if sign is not None]
    if not kept:
        raise InputError(f"{path}: no row has a choice; every one is a tie or empty")
    members = [tuple(_cell(row.get(g)) or UNKNOWN for g in chosen) or (EVERYONE,) for _, row, _ in kept]
    found = VoteTable(
        path=path,
        group_columns=chosen,
        item=[_required(row, item or "", line, path) for line, row, _ in kept],
        group=members,
        choice=[float(sign) for _, _, sign in kept],
        annotator=None if annotator is None else [_required(row, annotator, line, path) for line, row, _ in kept],
        context=None if context is None else [_cell(row.get(context)) or UNKNOWN for _, row, _ in kept],
        model=[tuple(_number(row.get(s), s, line, path) for s in scores) for line, row, _ in kept] if scores else None,
        n_ties=len(rows) - len(kept),
        n_unknown=sum(UNKNOWN in member for member in members),
    )
    _check_annotators(found, [line for line, _, _ in kept])
    return found


def label(group: Group) -> str:
    """A group's name."""
    return " / ".join(group)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in _MISSING else text


def _required(row: Mapping[str, Any], column: str, line: int, path: Path) -> str:
    if not (text := _cell(row.get(column))):
        raise InputError(f"{path}, line {line}: column {column!r} is empty; every vote needs it")
    return text


def _number(value: Any, column: str, line: int, path: Path) -> float:
    if not (text := _cell(value)):
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{path}, line {line}: column {column!r} is {value!r}; expected a number") from error


def _choice(value: Any, line: int, path: Path) -> int | None:
    """1, 0, or None for a tie or nothing."""
    text = _cell(value).lower().removesuffix(".0")
    if text in _FIRST or text in _SECOND:
        return int(text in _FIRST)
    if text in _TIE or not text:
        return None
    raise InputError(
        f"{path}, line {line}: the choice is {value!r}; expected 1 or a (the first response), -1, 2 or b (the second), 0 or tie"
    )


def _refuse_zero_one(signs: Sequence[int | None], cells: Sequence[Any], path: Path) -> None:
    zeros = sum(_cell(cell).removesuffix(".0") == "0" for cell in cells)
    if zeros and 0 not in signs:
        raise InputError(f"{path}: the choices are 1 and 0 only, and 0 means a tie; write -1 (or b) where the second response was chosen")


def _check_annotators(table: VoteTable, lines: Sequence[int]) -> None:
    if table.annotator is None:
        return
    groups: dict[str, Group] = {}
    seen: dict[tuple[str, str], int] = {}
    for who, group, item, line in zip(table.annotator, table.group, table.item, lines, strict=True):
        if groups.setdefault(who, group) != group:
            raise InputError(f"{table.path}, line {line}: annotator {who!r} is {label(group)} here and {label(groups[who])} before")
        if seen.setdefault((who, item), line) != line:
            raise InputError(f"{table.path}, line {line}: annotator {who!r} judged item {item!r} on line {seen[who, item]} already")


def model_columns(table: VoteTable, items: Sequence[str]) -> list[tuple[float, ...]]:
    """What the model says of each item: the same on each of its rows."""
    by_item: dict[str, tuple[float, ...]] = {}
    for item, values in zip(table.item, table.model or (), strict=True):
        first = by_item.setdefault(item, values)
        if any(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in zip(first, values, strict=True)):
            raise InputError(f"{table.path}: the model's value for item {item!r} is {first} in one row and {values} in another")
    return [by_item[item] for item in items]


def target_shares(tables: Sequence[Path], votes: VoteTable) -> tuple[list[Group], Any]:
    """Return the groups, those of a joint target without votes among them, and their shares; None without a target."""
    import numpy as np

    from trueline.metrics.preferences import rake

    counted = _people(votes)
    present = sorted(counted)
    margins: list[tuple[tuple[int, ...], dict[Group, float]]] = [_margin(table, votes) for table in tables]
    if not margins:
        return present, None
    for at, shares in margins:
        if len(at) == len(votes.group_columns):
            if len(margins) > 1:
                raise InputError("a target with every group column is a joint one and stands alone; give it, or several with fewer columns")
            groups = sorted({*present, *shares})
            return groups, np.array([shares.get(group, 0.0) for group in groups])
    return present, rake(present, [counted[group] for group in present], margins)


def _people(votes: VoteTable) -> dict[Group, int]:
    who = range(len(votes.group)) if votes.annotator is None else votes.annotator
    counted: dict[Group, int] = {}
    for group, _ in {(group, person) for group, person in zip(votes.group, who, strict=True)}:
        counted[group] = counted.get(group, 0) + 1
    return counted


def _margin(table: Path, votes: VoteTable) -> tuple[tuple[int, ...], dict[Group, float]]:
    from trueline.tasks.tables import pick_column

    path, rows, columns = read_table(table)
    share = pick_column("share", ("share", "proportion", "count", "weight"), columns, {}, path)
    named = [name for name in votes.group_columns if name in columns]
    if share is None or not named:
        wanted = " or ".join(map(repr, votes.group_columns)) or "a group column (name one with --group)"
        raise InputError(f"{path} needs a column 'share' and {wanted}; columns found: {', '.join(map(repr, columns))}")
    shares: dict[Group, float] = {}
    for line, row in rows:
        group = tuple(_cell(row.get(name)) or UNKNOWN for name in named)
        value = _number(row.get(share), share, line, path)
        if not (value >= 0 and math.isfinite(value)):
            raise InputError(f"{path}, line {line}: the share of {label(group)} is {row.get(share)!r}; expected a number of at least 0")
        if group in shares:
            raise InputError(f"{path}, line {line}: {label(group)} stands there twice")
        shares[group] = value
    return tuple(votes.group_columns.index(name) for name in named), shares


def read_flips(table: Path) -> tuple[Any, list[str], Any]:
    """Return (n_pairs, m) flips, the family of each column, and the margins (None without a column) of a long table."""
    import numpy as np

    from trueline.tasks.tables import pick_column

    path, rows, columns = read_table(table)
    item, family, flip = (
        pick_column(role, aliases, columns, {}, path, required=True) or ""
        for role, aliases in (
            ("item", ("item_id", "pair_id", "id", "item")),
            ("family", ("family", "perturbation")),
            ("flip", ("flip", "flipped")),
        )
    )
    margin = pick_column("margin", ("margin",), columns, {}, path)
    pairs: dict[str, int] = {}
    places: dict[tuple[str, int], int] = {}
    cells: dict[tuple[int, int], float] = {}
    drawn: dict[tuple[str, str], int] = {}
    margins: dict[int, float] = {}
    for line, row in rows:
        pair, name = _required(row, item, line, path), _required(row, family, line, path)
        value = _number(row.get(flip), flip, line, path)
        if value not in (0.0, 1.0) and not math.isnan(value):
            raise InputError(f"{path}, line {line}: flip is {row.get(flip)!r}; expected 1, 0 or nothing")
        draw = drawn[pair, name] = drawn.get((pair, name), -1) + 1
        i, j = pairs.setdefault(pair, len(pairs)), places.setdefault((name, draw), len(places))
        cells[i, j] = value
        if margin is not None:
            margins.setdefault(i, _number(row.get(margin), margin, line, path))
    out = np.full((len(pairs), len(places)), np.nan)
    for (i, j), value in cells.items():
        out[i, j] = value
    return out, [name for name, _ in places], None if margin is None else np.array([margins[i] for i in range(len(pairs))])
