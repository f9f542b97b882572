"""Generations as Arrow tables: from rows, or column by column where a whole chunk of a file is clean."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueline.tasks.thinking import UNCLOSED, Splitter
from trueline.traces.schema import SCHEMA

GREEDY, SAMPLE = 0, 1
_KIND_NAMES = pa.array(["greedy", "sample"])
NO_TEXT = "no text in the imported file"

#: What a file says about an answer beside right or wrong: the answer that was graded, and how.
JUDGED = {"answer": pa.string(), "refused": pa.bool_(), "probability": pa.float64(), "score": pa.float64(), "reason": pa.string()}
#: The trace schema, and beside it the code of the kind, the file's verdict and the line.
TABLE = pa.schema([*SCHEMA, ("kind_code", pa.int8()), ("correct", pa.bool_()), ("line", pa.int64()), *JUDGED.items()])

_ID_KINDS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
_FLOATS = pa.list_(pa.float64())
#: Arrow types of the roles of one generation, as a clean file has them.
_TYPES = {
    "text": pa.string(),
    "kind": pa.string(),
    "draw": pa.int64(),
    "reasoning": pa.string(),
    "token_logprobs": _FLOATS,
    "finish_reason": pa.string(),
    "error": pa.string(),
    "temperature": pa.float64(),
    "top_p": pa.float64(),
    "top_k": pa.int64(),
    "seed": pa.int64(),
}


class Row(NamedTuple):
    """One generation. ``draw``: the number given in the file, else the running number within its item and kind."""

    item: int
    kind: int
    draw: int
    text: str | None
    error: str | None
    token_logprobs: list[float] | None
    finish_reason: str | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    seed: int | None
    correct: bool | None
    line: int
    reasoning: str | None = None
    reasoning_span: list[int] | None = None
    answer_start: int | None = None


@dataclass
class Numbers:
    """Running numbers: of the items by id, and of the rows of each item and kind (``counts[2 * item + kind]``)."""

    index: dict[str, int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)

    def of(self, item: int) -> tuple[int, int]:
        """Greedy and sampled rows of an item so far; none for a new item."""
        at = 2 * item
        return (self.counts[at], self.counts[at + 1]) if at < len(self.counts) else (0, 0)

    def add(self, ident: str, kind: int) -> bool:
        """Count one row; True when its item is new."""
        new = ident not in self.index
        if new:
            self.index[ident] = len(self.index)
            self.counts += [0, 0]
        self.counts[2 * self.index[ident] + kind] += 1
        return new


def rows_table(rows: Sequence[Row], ids: Sequence[str]) -> pa.Table:
    """Rows as a table of ``TABLE``."""
    if not rows:
        return TABLE.empty_table()
    columns: dict[str, Any] = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
    columns |= {"item_id": ids, "item_index": columns.pop("item"), "kind_code": columns.pop("kind")}
    return _complete({name: pa.array(values, TABLE.field(name).type) for name, values in columns.items()}, len(rows))


def parse_lines(lines: Sequence[bytes], columns: Mapping[str, str | None], sample: Sequence[Mapping[str, Any]]) -> pa.Table | None:
    """JSONL lines as a table with the columns of the roles; None when they are not clean lines of the expected types.

    sample: some records of the file, which say the types of columns that may have several (ids, references, verdicts).
    """
    import pyarrow.json as pj

    fields = []
    for role, column in columns.items():
        if column is None:
            continue
        kind = _TYPES.get(role) or _type_of([row[column] for row in sample if row.get(column) is not None])
        if kind is None:
            return None
        fields.append((column, kind))
    raw = b"".join(lines)
    try:
        raw.decode("utf-8")
        table = pj.read_json(
            io.BytesIO(raw),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(raw) + 1),
            parse_options=pj.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None  # the caller reads these lines one by one and names the bad one
    return table if len(table) == len(lines) else None


def _type_of(values: Sequence[Any]) -> pa.DataType | None:
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        return pa.string()
    if kinds == {list} and all(isinstance(part, str) for value in values for part in value):
        return pa.list_(pa.string())
    return {bool: pa.bool_(), int: pa.int64()}.get(next(iter(kinds))) if len(kinds) == 1 else None


def generations_table(table: pa.Table, numbers: Numbers, line: int) -> tuple[list[int], pa.Table] | None:
    """A clean chunk as (positions of the first rows of new items, table of ``TABLE``), or None when a value needs a closer look.

    table: columns named by role. line: number of its first row. ``numbers`` is brought up to date only on success.
    """
    n = len(table)
    columns = _typed(table)
    if columns is None or not n or "reasoning_logprobs" in table.column_names:
        return None
    code = pc.index_in(columns["kind"], value_set=_KIND_NAMES) if "kind" in columns else pa.array(np.full(n, SAMPLE))
    ids = columns["id"]
    if code.null_count or ids.null_count or _any(pc.equal(ids, "")) or not _clean(columns):
        return None
    kind = np.asarray(code, dtype=np.int64)
    first, item = _number_items(ids, numbers)
    text = columns["text"]
    error = pc.if_else(pc.is_null(text), pa.scalar(NO_TEXT), pa.scalar(None, pa.string()))
    if "error" in columns:
        error = pc.coalesce(_filled(columns["error"]), error)
    running = _running(2 * item + kind, numbers)
    given = columns.get("draw")
    draw = running if given is None else np.where(np.asarray(given.is_null()), running, np.asarray(given.fill_null(0)))
    sampled = pa.array(kind == SAMPLE)
    laws: dict[str, Any] = {name: pc.if_else(sampled, columns[name], None) for name in ("temperature", "top_p", "top_k") if name in columns}
    done: dict[str, Any] = {
        "item_id": ids,
        "item_index": pa.array(item),
        "draw": pa.array(draw),
        "text": text,
        "error": error,
        **{name: columns[name] for name in ("token_logprobs", "seed", "correct") if name in columns},
        **{name: _filled(columns[name]) for name in ("finish_reason", "reasoning") if name in columns},
        **laws,
        "kind_code": pa.array(kind),
        "line": pa.array(np.arange(line, line + n)),
    }
    return first, _complete(done, n)


def _typed(table: pa.Table) -> dict[str, pa.Array] | None:
    """Columns of the types the trace has, or None where a cast fails."""
    found: dict[str, pa.Array] = {}
    for role in table.column_names:
        wanted = {**_TYPES, "id": pa.string(), "correct": pa.bool_()}.get(role)
        if wanted is None:
            continue
        column = table[role].combine_chunks()
        column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        if role == "id" and not any(is_kind(column.type) for is_kind in _ID_KINDS):
            return None
        if (
            role == "correct"
            and pa.types.is_integer(column.type)
            and _any(pc.invert(pc.is_in(column, pa.array([0, 1, None], column.type))))
        ):
            return None
        try:
            found[role] = column.cast(wanted)
        except pa.ArrowException:
            return None
    return found


def _clean(columns: Mapping[str, pa.Array]) -> bool:
    """Whether every number can be taken as it stands: log-probs finite and not above 0, draws from 0, law and seed finite."""
    logprobs = columns.get("token_logprobs")
    if logprobs is not None:
        flat = logprobs.flatten()
        values = flat.to_numpy(zero_copy_only=False)
        if flat.null_count or (len(values) and not (np.isfinite(values).all() and values.max() <= 0)):
            return False
    if "draw" in columns and _any(pc.less(columns["draw"], 0)):
        return False
    return not any(name in columns and _any(pc.invert(pc.is_finite(columns[name]))) for name in ("temperature", "top_p"))


def _any(condition: pa.Array) -> bool:
    return bool(pc.any(condition).as_py())


def _filled(strings: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(strings, ""), pa.scalar(None, pa.string()), strings)


def _number_items(ids: pa.Array, numbers: Numbers) -> tuple[list[int], np.ndarray[Any, np.dtype[np.int64]]]:
    """Positions of the first rows of new items, and the running number of each row's item."""
    encoded = ids.dictionary_encode()  # codes follow the order of first appearance
    codes = np.asarray(encoded.indices, dtype=np.int64)
    starts = np.unique(codes, return_index=True)[1].tolist()
    first: list[int] = []
    number_of = np.zeros(len(starts), dtype=np.int64)
    for code, ident in enumerate(encoded.dictionary.to_pylist()):
        number = numbers.index.setdefault(ident, len(numbers.index))
        if 2 * number == len(numbers.counts):
            numbers.counts += [0, 0]
            first.append(starts[code])
        number_of[code] = number
    return first, number_of[codes]


def _running(key: np.ndarray[Any, np.dtype[np.int64]], numbers: Numbers) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(n_rows,) running number of each row among those of its key, counted on from earlier chunks."""
    order = np.argsort(key, kind="stable")
    unique, start, count = np.unique(key[order], return_index=True, return_counts=True)
    base = np.array([numbers.counts[k] for k in unique.tolist()], dtype=np.int64)
    place = np.empty(len(key), dtype=np.int64)
    place[order] = np.arange(len(key)) - np.repeat(start - base, count)
    for k, n in zip(unique.tolist(), count.tolist(), strict=True):
        numbers.counts[k] += n
    return place


def _complete(columns: dict[str, Any], n: int) -> pa.Table:
    """The columns as a table of ``TABLE``: what follows from them is added, what is absent is null."""
    columns["kind"] = _KIND_NAMES.take(columns["kind_code"])
    logprobs = columns.get("token_logprobs")
    if logprobs is not None:
        columns["n_tokens"] = pc.list_value_length(logprobs)
        columns["logprob_law"] = pc.if_else(logprobs.is_valid(), pa.scalar("model"), pa.scalar(None, pa.string()))
    arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(n, f.type) for f in TABLE]
    return pa.Table.from_arrays(arrays, schema=TABLE)


def with_reasoning(table: pa.Table, splitter: Splitter | None) -> pa.Table:
    """Outputs taken apart: where the file gives the reasoning of an answer, else by the splitter (None: texts are answers as they stand).

    Log-probs beside reasoning in a column of its own are the answer's, unless the reasoning has some too. Those of a text that is taken
    apart are of all its tokens, and where the answer begins among them is not known. An output whose reasoning never ends has no text.
    """
    if splitter is None and not _any(table["reasoning"].is_valid()):
        return table
    names = ("text", "reasoning", "error", "answer_start")
    texts, thoughts, errors, starts = (table[name].to_pylist() for name in names)
    cut = pc.fill_null(pc.equal(table["finish_reason"], "length"), False).to_pylist()
    logprobs = table["token_logprobs"].is_valid().to_pylist()
    for k, text in enumerate(texts):
        if thoughts[k] is not None:
            starts[k] = 0 if starts[k] is None and logprobs[k] else starts[k]
            if text is not None and not text.strip() and cut[k]:
                texts[k], errors[k] = None, UNCLOSED
        elif text is not None and splitter is not None:
            found = splitter.split(text)
            if found.answer is None:
                texts[k], thoughts[k], errors[k] = None, text.strip(), UNCLOSED
            elif found.reasoning is not None:
                texts[k], thoughts[k] = found.answer, found.reasoning
    for name, values in zip(names, (texts, thoughts, errors, starts), strict=True):
        table = table.set_column(table.schema.get_field_index(name), TABLE.field(name), pa.array(values, TABLE.field(name).type))
    return table
