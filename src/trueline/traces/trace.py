"""A trace: what one pass of a model over (part of) a task captured, read column by column, grouped by item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trueline.errors import InputError, MissingTraceField
from trueline.traces.ragged import Ragged
from trueline.traces.schema import KINDS, SCHEMA, SPANS

if TYPE_CHECKING:
    from trueline.traces.judgements import Judgements, Similarities


#: Columns with one number a token.
TOKEN_COLUMNS = (
    "token_logprobs",
    "token_entropy",
    "token_mean_logp",
    "token_n_finite",
    "token_max_logp",
    "token_second_logp",
    "token_renyi",
    "token_fisher_rao",
    "prior_logprobs",
)
_LISTS_OF_TOKENS = ("tokens", "token_texts", "topk_ids", "topk_logprobs", "topk_texts")


@dataclass(frozen=True)
class Generations:
    """The rows of one kind, sorted by item and draw.

    item: (n_rows,) int64, position of the row's item in ``Trace.item_ids``. draw: (n_rows,) int32. span: the tokens that columns of
    tokens are read for.
    """

    kind: str
    table: pa.Table
    item: NDArray[np.int64]
    draw: NDArray[np.int32]
    n_items: int
    span: str = "answer"

    def __len__(self) -> int:
        return len(self.item)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(n_items + 1,) int64: rows of item i are ``offsets[i]:offsets[i + 1]``."""
        return np.searchsorted(self.item, np.arange(self.n_items + 1)).astype(np.int64)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(n_items,) int64: rows of each item."""
        return np.diff(self.offsets)

    def has(self, column: str) -> bool:
        """True when the column holds at least one value for this kind."""
        return column in self.table.column_names and self.table[column].null_count < len(self.table)

    def numbers(self, column: str) -> NDArray[np.float64]:
        """(n_rows,) float64 of a plain numeric column; null -> NaN."""
        self.require(column)
        values = self.table[column].cast(pa.float64())
        return np.asarray(values.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.float64)

    def strings(self, column: str) -> list[str | None]:
        """The values of a string column, None where missing."""
        self.require(column)
        result: list[str | None] = self.table[column].to_pylist()
        return result

    @cached_property
    def texts(self) -> list[str | None]:
        """The generated texts, None where the generation failed."""
        return self.strings("text")

    def ragged(self, column: str) -> Ragged:
        """One row of numbers a generation, from a list column; of tokens, those within ``span``.

        Raises ``MissingTraceField`` when it was not captured.
        """
        whole = self._whole(column)
        return whole.cut(*self.bounds(whole.lengths)) if column in TOKEN_COLUMNS and self.is_cut else whole

    @property
    def is_cut(self) -> bool:
        """True when some tokens lie outside ``span``."""
        return self.span == "reasoning" or (self.span == "answer" and self.has("reasoning"))

    def bounds(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """(start, stop, known) of each row's tokens within ``span``; without reasoning a row is all answer. lengths: (n_rows,)."""
        thought = np.zeros(len(self), dtype=bool)
        if self.has("reasoning"):
            thought = np.asarray(self.table["reasoning"].is_valid().to_numpy(), dtype=bool)
        if self.span == "reasoning":
            spans = self._whole("reasoning_span") if self.has("reasoning_span") else Ragged.from_rows([None] * len(self))
            there = spans.lengths == 2
            ends = np.zeros((len(self), 2), dtype=np.int64)
            ends[there] = spans.values.reshape(-1, 2)
            return ends[:, 0], ends[:, 1], there
        start = self.numbers("answer_start") if self.has("answer_start") else np.full(len(self), np.nan)
        known = ~thought | ~np.isnan(start)
        return np.where(thought & known, np.nan_to_num(start), 0).astype(np.int64), lengths, known

    def _whole(self, column: str) -> Ragged:
        self.require(column)
        if column not in self.table.column_names:
            return Ragged(np.empty(0), np.zeros(len(self.table) + 1, dtype=np.int64), np.zeros(len(self.table), dtype=bool))
        array = self.table[column].combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
        lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
        flat = array.flatten().cast(pa.float64())  # flatten() leaves out the contents of null rows
        values = np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float64)
        valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        return Ragged(values, np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]), valid)

    def nested(self, column: str) -> list[Any]:
        """The values of a list column as Python lists, of tokens those within ``span`` (small traces and reports only)."""
        self.require(column)
        result: list[Any] = self.table[column].to_pylist()
        return [self._inside(row, value) for row, value in enumerate(result)] if column in _LISTS_OF_TOKENS and self.is_cut else result

    def cell(self, column: str, row: int) -> Any:
        """One value of ``nested(column)``."""
        value = self.table[column][row].as_py()
        return self._inside(row, value) if column in _LISTS_OF_TOKENS and self.is_cut else value

    def _inside(self, row: int, value: list[Any] | None) -> list[Any] | None:
        if value is None:
            return None
        start, stop, known = (part[row] for part in self._starts)
        return value[int(start) : None if stop < 0 else int(stop)] if known else None

    @cached_property
    def _starts(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """``bounds`` where the lengths are not known: -1 for the end."""
        return self.bounds(np.full(len(self), -1, dtype=np.int64))

    def require(self, column: str) -> None:
        """Raise ``MissingTraceField`` when the column was not captured for this kind. Rows that all failed lack it for another reason."""
        if len(self.table) and not self.has(column) and (self.has("text") or not self.has("error")):
            raise MissingTraceField(
                f"the trace holds no {column!r} for its {self.kind} rows; capture it (measure with an estimator that needs it) "
                "or choose another estimator"
            )


@dataclass(frozen=True)
class Trace:
    """Captured rows of some items.

    ``table`` follows ``traces.schema.SCHEMA`` (columns may be absent). ``item_ids`` fixes the order of scores. ``judgements`` holds
    the equivalence verdicts between texts once they were made, ``similarities`` their similarities. ``questions`` aligns with ``item_ids``.
    ``span``: which tokens of an output with reasoning its token columns are read for, ``answer``, ``reasoning`` or ``all``.
    """

    table: pa.Table
    item_ids: tuple[str, ...]
    questions: tuple[str, ...] = ()
    judgements: Judgements | None = None
    similarities: Similarities | None = None
    span: str = "answer"
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_items(self) -> int:
        """How many items; scores have this length."""
        return len(self.item_ids)

    def generations(self, kind: str) -> Generations:
        """The rows of one kind, sorted by item, then draw."""
        if kind not in KINDS:
            raise InputError(f"unknown kind of generation {kind!r}; known: {', '.join(KINDS)}")
        if ("rows", kind) not in self._cache:
            self._cache["rows", kind] = self._rows(kind)
        rows: Generations = self._cache["rows", kind]
        return rows

    @property
    def greedy(self) -> Generations:
        """The greedy rows: at most one an item."""
        return self.generations("greedy")

    @property
    def samples(self) -> Generations:
        """The sampled rows."""
        return self.generations("sample")

    def cached(self, key: object, make: Any) -> Any:
        """Compute ``make()`` once per trace under ``key`` (clusters, similarity matrices): estimators share it."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def with_judgements(self, judgements: Judgements) -> Trace:
        """The same rows with equivalence verdicts attached."""
        return replace(self, judgements=judgements, _cache={})

    def with_similarities(self, similarities: Similarities) -> Trace:
        """The same rows with similarities attached."""
        return replace(self, similarities=similarities, _cache={})

    def within(self, span: str) -> Trace:
        """The same rows, read for other tokens. Raises ``InputError`` for another span than ``answer``, ``reasoning``, ``all``."""
        if span not in SPANS:
            raise InputError(f"unknown span {span!r}; choose one of {', '.join(SPANS)}")
        return self if span == self.span else replace(self, span=span, similarities=None, _cache={})

    def _rows(self, kind: str) -> Generations:
        table = self.table.filter(pc.equal(self.table["kind"], kind))
        position = pa.array(self.item_ids, pa.string())
        index = pc.index_in(table["item_id"].combine_chunks(), value_set=position)
        if index.null_count:
            strange = table["item_id"].filter(pc.is_null(index))[0].as_py()
            raise InputError(f"the trace has rows of item {strange!r}, which is not among its items")
        item = np.asarray(index.to_numpy(zero_copy_only=False), dtype=np.int64)
        draw = np.asarray(table["draw"].combine_chunks().to_numpy(zero_copy_only=False), dtype=np.int32)
        order = np.lexsort((draw, item))
        if np.any(order != np.arange(len(order))):
            table, item, draw = table.take(pa.array(order)), item[order], draw[order]
        twice = (np.diff(item) == 0) & (np.diff(draw) == 0)
        if twice.any():
            raise InputError(f"item {self.item_ids[int(item[:-1][twice][0])]!r} has two {kind} rows with the same draw number")
        return Generations(kind, table, item, draw, self.n_items, self.span)


def make_trace(
    rows: Iterable[Mapping[str, Any]],
    *,
    questions: Mapping[str, str] | None = None,
    item_ids: Sequence[str] | None = None,
) -> Trace:
    """A trace from plain records (tests, imports, notebooks).

    rows: mappings with ``item_id``, ``kind`` and any of the schema's columns; ``draw`` defaults to the running number within (item, kind).
    Raises ``InputError`` for an unknown column or kind.
    """
    records: list[dict[str, Any]] = []
    counter: dict[tuple[str, str], int] = {}
    order: dict[str, int] = {i: k for k, i in enumerate(item_ids or ())}
    for row in rows:
        unknown = set(row) - set(SCHEMA.names)
        if unknown:
            raise InputError(f"unknown trace column {sorted(unknown)[0]!r}; known: {', '.join(SCHEMA.names)}")
        if row["kind"] not in KINDS:
            raise InputError(f"unknown kind of generation {row['kind']!r}; known: {', '.join(KINDS)}")
        key = (row["item_id"], row["kind"])
        record = {"draw": counter.get(key, 0), **row}
        counter[key] = record["draw"] + 1
        record["item_index"] = order.setdefault(row["item_id"], len(order))
        if record.get("n_tokens") is None and record.get("token_logprobs") is not None:
            record["n_tokens"] = len(record["token_logprobs"])
        records.append(record)
    table = pa.Table.from_pylist(records, schema=SCHEMA)
    ids = tuple(order)
    return Trace(table, ids, tuple((questions or {}).get(i, "") for i in ids))
