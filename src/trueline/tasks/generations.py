"""Generations made elsewhere, read row by row: one row an item with its samples, or one row a generation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from trueline.errors import InputError
from trueline.tasks.files import ALIASES, item_of
from trueline.tasks.generation_tables import GREEDY, NO_TEXT, SAMPLE, Numbers, Row, generations_table, parse_lines, rows_table
from trueline.tasks.item import Item
from trueline.tasks.tables import BadLines, as_text, check_mapping, json_record, parquet_batches, pick_column, read_rows

_ITEM = {**{k: v for k, v in ALIASES.items() if k not in ("messages", "images")}, "id": ("item_id", "question_id", "id")}
_LAW = {"temperature": ("temperature",), "top_p": ("top_p",), "top_k": ("top_k",)}
#: Roles of a file with one row an item, and what their columns may be called.
BY_ITEM: dict[str, tuple[str, ...]] = {
    **_ITEM,
    **_LAW,
    "samples": ("samples", "generations", "responses"),
    "sample_reasoning": ("sample_reasoning", "samples_reasoning"),
    "sample_reasoning_logprobs": ("sample_reasoning_logprobs",),
    "sample_logprobs": ("sample_logprobs", "samples_logprobs", "token_logprobs", "logprobs"),
    "greedy": ("greedy", "greedy_text"),
    "greedy_reasoning": ("greedy_reasoning",),
    "greedy_reasoning_logprobs": ("greedy_reasoning_logprobs",),
    "greedy_logprobs": ("greedy_logprobs",),
    "correct": ("correct",),
    "greedy_correct": ("greedy_correct",),
}
#: Roles of a file with one row a generation.
BY_GENERATION: dict[str, tuple[str, ...]] = {
    **_ITEM,
    **_LAW,
    "text": ("text", "generation", "response", "completion"),
    "reasoning": ("reasoning", "reasoning_content", "thinking"),
    "reasoning_logprobs": ("reasoning_logprobs",),
    "kind": ("kind",),
    "draw": ("draw", "sample_index"),
    "token_logprobs": ("token_logprobs", "logprobs"),
    "finish_reason": ("finish_reason",),
    "error": ("error",),
    "seed": ("seed",),
    "correct": ("correct",),
}
_ROLES = tuple(dict.fromkeys([*BY_ITEM, *BY_GENERATION, *(name for names in ALIASES.values() for name in names)]))
#: A log-prob above 0 by no more than this is rounding, and becomes 0.
ROUNDING = 1e-6
_PEEK = 100
#: Rows read together.
CHUNK_ROWS = 20_000

Piece = tuple[list[Item], pa.Table]

_KINDS = {"sample": SAMPLE, "greedy": GREEDY}


@dataclass(frozen=True)
class Origin:
    """Where generations come from, as far as their file says: for the manifest of the run."""

    model: str
    task: str
    notes: tuple[str, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)  # tokens and cost
    details: Mapping[str, Any] = field(default_factory=dict)  # JSON-safe


class GenerationFile:
    """A file of generations whose layout and columns are known.

    ``by_item``: one row an item. ``columns``: role -> column or None. ``labelled``: the file says which answers are right.
    """

    def __init__(self, path: Path, mapping: Mapping[str, str] | None, bad: BadLines) -> None:
        check_mapping(mapping or {}, _ROLES)
        roles = {name: role for role, names in ALIASES.items() for name in names if role != name}
        asked = {roles.get(name, name): column for name, column in (mapping or {}).items()}
        self._first = _peek(path)
        names = list(dict.fromkeys(name for row in self._first for name in row))
        self.path, self.bad = path, bad
        self.by_item = pick_column("samples", BY_ITEM["samples"], names, asked, path) is not None
        aliases = BY_ITEM if self.by_item else BY_GENERATION
        for role in asked:
            if role not in aliases:
                layout = "one row an item (a column of samples)" if self.by_item else "one row a generation"
                raise InputError(f"{path} has {layout}, where {role!r} plays no role; roles: {', '.join(aliases)}")
        if not self.by_item:
            pick_column("text", (*BY_GENERATION["text"], *BY_ITEM["samples"]), names, asked, path, required=True)
        needed = set() if self.by_item else {"id", "text"}
        self.columns = {role: pick_column(role, a, names, asked, path, required=role in needed) for role, a in aliases.items()}
        self.labelled = self.columns["correct"] is not None or self.columns.get("greedy_correct") is not None

    def pieces(self) -> Iterator[Piece]:
        """Yield (items that are new, their and older items' rows as a table), in file order; see ``generation_tables.TABLE``."""
        return self._items() if self.by_item else self._generations()

    def origin(self) -> Origin:
        """The file's name: it says no more."""
        return Origin(self.path.name, self.path.name)

    def _items(self) -> Iterator[Piece]:
        line_of: dict[str, int] = {}
        used = {column for column in self.columns.values() if column is not None}
        items: list[Item] = []
        ids: list[str] = []
        rows: list[Row] = []
        for position, (line, row) in enumerate(read_rows(self.path, self.bad), start=1):
            try:
                item = _bare(item_of(row, {**self.columns, "messages": None}, position, need_question=False), used)
                found = _item_rows(row, self.columns, len(line_of), line)
            except InputError as error:
                self.bad.add(line, str(error))
                continue
            if item.id in line_of:
                raise InputError(f"{self.path}: id {item.id!r} occurs on lines {line_of[item.id]} and {line}; ids must be unique")
            line_of[item.id] = line
            items.append(item)
            ids += [item.id] * len(found)
            rows += found
            if len(rows) >= CHUNK_ROWS:
                yield items, rows_table(rows, ids)
                items, ids, rows = [], [], []
        if rows:
            yield items, rows_table(rows, ids)

    def _generations(self) -> Iterator[Piece]:
        """Column by column where a chunk is clean; row by row where it is not, so that the bad line can be named."""
        numbers = Numbers()
        line = 1
        for chunk in self._chunks():
            table: pa.Table | None = None
            if isinstance(chunk, pa.Table):
                table = chunk
            elif self.path.suffix.lower() == ".jsonl":
                table = parse_lines(chunk, self.columns, self._first)
            piece = None if table is None else self._columns(table, numbers, line)
            if piece is None:
                piece = self._row_by_row(self._records(chunk, line), numbers)
            line += len(chunk)
            if len(piece[1]):
                yield piece

    def _chunks(self) -> Iterator[Any]:
        """Chunks of the file: lines of JSONL, tables of Parquet, (line, record) pairs of CSV."""
        suffix = self.path.suffix.lower()
        if suffix == ".parquet":
            for batch in parquet_batches(self.path, CHUNK_ROWS):
                yield pa.Table.from_batches([batch])
            return
        if suffix == ".csv":
            pairs = read_rows(self.path, self.bad)
            while chunk := list(islice(pairs, CHUNK_ROWS)):
                yield chunk
            return
        with self.path.open("rb") as handle:
            while lines := list(islice(handle, CHUNK_ROWS)):
                yield lines

    def _records(self, chunk: Any, line: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
        if isinstance(chunk, pa.Table):
            yield from enumerate(chunk.to_pylist(), start=line)
        elif self.path.suffix.lower() == ".csv":
            yield from chunk
        else:
            for number, raw in enumerate(chunk, start=line):
                record = json_record(raw, number, self.bad)
                if record is not None:
                    yield number, record

    def _columns(self, table: pa.Table, numbers: Numbers, line: int) -> Piece | None:
        """A piece made of whole columns, or None when a value needs a closer look."""
        present = {role: column for role, column in self.columns.items() if column in table.column_names}
        found = generations_table(table.select(list(present.values())).rename_columns(list(present)), numbers, line)
        if found is None:
            return None
        first, rows = found
        records = table.take(pa.array(first, pa.int64())).to_pylist() if first else []
        columns = {**self.columns, "messages": None}
        return [_bare(item_of(record, columns, 0, need_question=False), None) for record in records], rows

    def _row_by_row(self, records: Iterable[tuple[int, Mapping[str, Any]]], numbers: Numbers) -> Piece:
        columns = {**self.columns, "messages": None}
        id_column = self.columns["id"] or ""
        ordered = ["text", *(role for role in BY_GENERATION if role not in _ITEM and role != "text")]
        present = [(role, column) for role in ordered if (column := self.columns[role]) is not None]
        items: list[Item] = []
        ids: list[str] = []
        rows: list[Row] = []
        for line, row in records:
            try:
                ident = row.get(id_column)
                if ident is None or ident == "":
                    raise InputError(f"no value in the id column {id_column!r}")
                ident = as_text(ident)
                number = numbers.index.get(ident, len(numbers.index))
                generation = _generation(row, present, number, numbers.of(number), line)
            except InputError as error:
                self.bad.add(line, str(error))
                continue
            if numbers.add(ident, generation.kind):
                items.append(_bare(item_of(row, columns, number + 1, need_question=False), None))
            ids.append(ident)
            rows.append(generation)
        return items, rows_table(rows, ids)


def _peek(path: Path) -> list[Mapping[str, Any]]:
    return [row for _, row in islice(read_rows(path, BadLines(path, skip=True)), _PEEK)]


def _bare(item: Item, used: set[str] | None) -> Item:
    """The item without what is stored elsewhere: in a file of generations, other columns describe the generation."""
    kept = {} if used is None else {k: v for k, v in item.metadata.items() if k not in used}
    return replace(item, prompt_text=None, messages=(), metadata=kept, truth={})


def _item_rows(row: Mapping[str, Any], columns: Mapping[str, str | None], index: int, line: int) -> list[Row]:
    def cell(role: str) -> Any:
        column = columns[role]
        return None if column is None else row.get(column)

    texts = _list(cell("samples"), "samples") or []
    logprobs = _aligned(cell("sample_logprobs"), len(texts), "sample_logprobs")
    thoughts, thought_logprobs = (_aligned(cell(n), len(texts), n) for n in ("sample_reasoning", "sample_reasoning_logprobs"))
    greedy, labels, greedy_label = cell("greedy"), cell("correct"), cell("greedy_correct")
    several = isinstance(labels, list) or (isinstance(labels, str) and labels.lstrip().startswith("["))
    if greedy is not None and not several and greedy_label is None:
        labels, greedy_label = None, labels  # one verdict an item is that of its answer
    verdicts = _aligned(labels, len(texts), "correct") if several else [labels, *[None] * (len(texts) - 1)]
    law = tuple(_number(cell(role), role) for role in ("temperature", "top_p", "top_k"))
    rows = []
    if greedy is not None:
        own = _row(index, GREEDY, 0, greedy, _logprobs(cell("greedy_logprobs")), (None, None, None), greedy_label, line)
        rows.append(_thinking(own, cell("greedy_reasoning"), cell("greedy_reasoning_logprobs")))
    for draw, text in enumerate(texts):
        own = _row(index, SAMPLE, draw, text, _logprobs(logprobs[draw]), law, verdicts[draw], line)
        rows.append(_thinking(own, thoughts[draw], thought_logprobs[draw]))
    if not rows:
        raise InputError("the item has no generation: no sample and no greedy answer")
    return rows


def _row(index: int, kind: int, draw: int, text: Any, logprobs: list[float] | None, law: tuple[Any, ...], verdict: Any, line: int) -> Row:
    said = None if text is None else as_text(text)
    error = NO_TEXT if text is None else None
    temperature, top_p, top_k = law
    top_k = None if top_k is None else int(top_k)
    return Row(index, kind, draw, said, error, logprobs, None, temperature, top_p, top_k, None, _verdict(verdict), line)


def _thinking(row: Row, reasoning: Any, logprobs: Any) -> Row:
    """The row with what came before its answer; its log-probs stand before those of the answer."""
    if reasoning is None or reasoning == "":
        if logprobs not in (None, "", []):
            raise InputError("there are log-probs of reasoning, but no reasoning")
        return row
    before = _logprobs(logprobs)
    if not before:
        return row._replace(reasoning=as_text(reasoning))
    if row.token_logprobs is None:
        raise InputError("there are log-probs of the reasoning, but none of the answer; give both")
    whole = [*before, *row.token_logprobs]
    return row._replace(reasoning=as_text(reasoning), token_logprobs=whole, reasoning_span=[0, len(before)], answer_start=len(before))


def _generation(row: Mapping[str, Any], columns: list[tuple[str, str]], number: int, count: tuple[int, int], line: int) -> Row:
    get = row.get
    cells = {role: value for role, column in columns if (value := get(column)) is not None and value != ""}
    kind = cells.get("kind", "sample")
    if kind not in _KINDS:
        raise InputError(f"kind is {str(kind)[:40]!r}; expected greedy or sample")
    code = _KINDS[kind]
    draw = _number(cells.get("draw"), "draw")
    if draw is not None and (draw < 0 or draw != int(draw)):
        raise InputError(f"draw is {draw:g}; expected a whole number from 0")
    seed, top_k = _number(cells.get("seed"), "seed"), _number(cells.get("top_k"), "top_k")
    text = get(columns[0][1])
    found = Row(
        item=number,
        kind=code,
        draw=count[code] if draw is None else int(draw),
        text=None if text is None else as_text(text),
        error=as_text(cells["error"]) if "error" in cells else NO_TEXT if text is None else None,
        token_logprobs=_logprobs(cells.get("token_logprobs")),
        finish_reason=as_text(cells["finish_reason"]) if "finish_reason" in cells else None,
        temperature=_number(cells.get("temperature"), "temperature") if code == SAMPLE else None,
        top_p=_number(cells.get("top_p"), "top_p") if code == SAMPLE else None,
        top_k=None if top_k is None or code == GREEDY else int(top_k),
        seed=None if seed is None else int(seed),
        correct=_verdict(cells.get("correct")),
        line=line,
    )
    return _thinking(found, cells.get("reasoning"), cells.get("reasoning_logprobs"))


def _list(value: Any, role: str) -> list[Any] | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InputError(f"{role} is not a JSON list ({error})") from error
    if not isinstance(value, list):
        raise InputError(f"{role} is {str(value)[:40]!r}; expected a list")
    return value


def _aligned(value: Any, n: int, role: str) -> list[Any]:
    found = _list(value, role)
    if found is None:
        return [None] * n
    if len(found) != n:
        raise InputError(f"{role} has {len(found)} entries for {n} samples")
    return found


def _logprobs(value: Any) -> list[float] | None:
    """Token log-probs, checked. Raises ``InputError`` for NaN, infinity, a positive number or anything but numbers."""
    found = _list(value, "token log-probs")
    if not found:
        return found
    try:
        finite = math.isfinite(sum(found))
        largest = max(found)
    except TypeError as error:
        strange = next((v for v in found if not isinstance(v, int | float)), found[0])
        raise InputError(f"token log-probs hold {str(strange)[:40]!r}; expected numbers") from error
    if not finite:
        raise InputError(
            f"token log-probs hold {next((v for v in found if not math.isfinite(v)), 'an infinite sum')}; expected finite numbers"
        )
    if largest > 0:
        if largest > ROUNDING:
            raise InputError(f"token log-probs hold {largest:g}, above 0; expected natural logarithms of probabilities")
        return [min(v, 0.0) for v in found]
    return found


def _number(value: Any, role: str) -> float | None:
    if value is None or value == "":
        return None
    if type(value) is int:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{role} is {str(value)[:40]!r}; expected a number")
    return number


def _verdict(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "1.0", "true"):
        return True
    if text in ("0", "0.0", "false"):
        return False
    if text in ("", "nan", "none", "null"):
        return None
    raise InputError(f"correct is {text[:40]!r}; expected 1 or 0, true or false, or nothing")
