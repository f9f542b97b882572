"""The door of every estimator: take columns out of a trace and refuse what cannot be scored, naming the item and the way out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trueline.errors import EmptySequenceError, InputError, LawError, MissingTraceField
from trueline.traces.judgements import Judgements
from trueline.traces.ragged import Ragged
from trueline.traces.trace import Generations, Trace

OnEmpty = Literal["raise", "nan"]

#: Log-probs above this are capture faults; up to it they are rounding of log 1.
LOGPROB_TOLERANCE = 1e-6

_CAPTURE = {
    "greedy": "capture a greedy decode (measure with an estimator that needs it)",
    "sample": "capture at least 2 samples (measure with samples=10)",
}


def generations(trace: Trace, kind: str) -> Generations:
    """The rows of a kind. Raises ``MissingTraceField`` when the trace has none at all."""
    rows = trace.generations(kind)
    if not len(rows) and trace.n_items:
        way_out = _CAPTURE.get(kind, f"measure with the estimator {kind!r}")
        field = "samples" if kind == "sample" else kind
        raise MissingTraceField(f"the trace has no {kind} rows, so {field}.text and {field}.token_logprobs are missing; {way_out}")
    return rows


def choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a setting that is not one of ``allowed``."""
    if value not in allowed:
        raise InputError(f"{name}={value!r} is not an option; choose one of {', '.join(allowed)}")


def greedy_column(trace: Trace, column: str, on_empty: OnEmpty = "raise") -> Ragged:
    """One row of numbers an item (n_items rows) from a greedy column; missing where the item has no greedy answer.

    Raises ``LawError`` for a "greedy" that was sampled, ``EmptySequenceError`` for an empty row unless ``on_empty="nan"``,
    ``InputError`` for NaN.
    """
    choice("on_empty", on_empty, ("raise", "nan"))
    rows = generations(trace, "greedy")
    _refuse_sampled_greedy(trace, rows)
    ragged = rows.ragged(column)
    _refuse_nan(trace, rows, ragged, column)
    _empty(trace, rows, ragged, on_empty)
    return per_item(rows, ragged)


def greedy_logprobs(trace: Trace, on_empty: OnEmpty = "raise") -> Ragged:
    """``greedy_column`` of ``token_logprobs``; log-probs that are positive or not finite raise ``InputError``."""
    ragged = greedy_column(trace, "token_logprobs", on_empty)
    _refuse_impossible(ragged.values, ragged.row_index, trace.item_ids, "greedy")
    _warn_scaled(trace.greedy)
    return ragged


def greedy_topk(trace: Trace, on_empty: OnEmpty = "raise") -> tuple[NDArray[np.float64], Ragged]:
    """Alternatives of each greedy token: (n_tokens, k) float64 log-probs padded with -inf, and their tokens as one row an item.

    The Ragged holds one 0.0 a token: put per-token values into it with ``with_values``. Raises as ``greedy_column``.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = generations(trace, "greedy")
    _refuse_sampled_greedy(trace, rows)
    rows.require("topk_logprobs")
    column = rows.table["topk_logprobs"].combine_chunks()
    array = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    per_row = _lengths(pc.list_value_length(array))
    inner = array.flatten()
    per_token = _lengths(pc.list_value_length(inner))
    values = np.asarray(inner.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    tokens = Ragged(np.zeros(len(per_token)), np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(per_row)]), valid)
    table = np.full((len(per_token), int(per_token.max(initial=0))), -np.inf)
    table[np.arange(table.shape[1]) < per_token[:, None]] = values
    if rows.is_cut:
        kept = tokens.with_values(np.arange(len(per_token), dtype=np.float64)).cut(*rows.bounds(tokens.lengths))
        table, tokens = table[kept.values.astype(np.int64)], kept.with_values(np.zeros(len(kept.values)))
    _refuse_nan(trace, rows, tokens.with_values(table.max(axis=1, initial=-np.inf)), "topk_logprobs")
    _empty(trace, rows, tokens, on_empty)
    return table, per_item(rows, tokens)


def _lengths(array: Any) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


@dataclass(frozen=True)
class SampleRows:
    """Sampled rows that can be used, sorted by item and draw.

    item: (n,) int64. logprob: (n,) float64, sum of token log-probs in nats; n_tokens: (n,) int64. row: (n,) int64, position among all
    sampled rows. counts: (n_items,) int64.
    """

    item: NDArray[np.int64]
    row: NDArray[np.int64]
    logprob: NDArray[np.float64]
    n_tokens: NDArray[np.int64]
    counts: NDArray[np.int64]


def sample_logprobs(trace: Trace, on_empty: OnEmpty = "raise", *, model_law: bool = False) -> SampleRows:
    """Sequence log-probs of the sampled answers. Samples without log-probs are left out; so are empty ones under ``on_empty="nan"``.

    Raises ``LawError`` when ``model_law`` is asked for and the samples were drawn at another temperature or truncated,
    ``InputError`` for impossible log-probs or when no item has two samples.
    """
    choice("on_empty", on_empty, ("raise", "nan"))
    rows = generations(trace, "sample")
    if model_law:
        refuse_other_law(trace, rows)
    _warn_scaled(rows)
    ragged = rows.ragged("token_logprobs")
    _refuse_nan(trace, rows, ragged, "token_logprobs")
    if ragged.values.size and (ragged.values.max() > LOGPROB_TOLERANCE or not np.isfinite(ragged.values.min())):
        _refuse_impossible(ragged.values, rows.item[ragged.row_index], trace.item_ids, "sample")
    _empty(trace, rows, ragged, on_empty)
    keep = np.flatnonzero(ragged.lengths > 0)
    item = rows.item[keep]
    counts = np.bincount(item, minlength=trace.n_items)
    require_two(counts)
    return SampleRows(item, keep, ragged.sum()[keep], ragged.lengths[keep], counts)


def sample_texts(trace: Trace) -> Iterator[tuple[int, list[str]]]:
    """(item position, texts of its samples in draw order), missing samples left out, for items with at least two.

    Raises ``InputError`` when no item has two.
    """
    rows = generations(trace, "sample")
    rows.require("text")
    present = np.asarray(rows.table["text"].is_valid().to_numpy(), dtype=bool)
    require_two(np.bincount(rows.item[present], minlength=trace.n_items))
    for i in range(trace.n_items):
        texts = [text for text in rows.texts[rows.offsets[i] : rows.offsets[i + 1]] if text is not None]
        if len(texts) >= 2:
            yield i, texts


def require_two(counts: NDArray[np.int64]) -> None:
    """Refuse a trace in which no item has two usable samples: scores over samples are undefined there."""
    if len(counts) and counts.max(initial=0) < 2:
        most = int(counts.max(initial=0))
        raise MissingTraceField(
            f"no item has more than {most} usable sample; scores over samples need at least 2 (measure with samples=10)"
        )


def judgements(trace: Trace) -> Judgements:
    """The verdicts attached to the trace. Raises ``MissingTraceField`` when there are none."""
    generations(trace, "sample")
    if trace.judgements is None:
        raise MissingTraceField(
            "the trace holds no equivalence verdicts (samples.text is judged into equivalence.samples); call judge_trace first "
            "or choose an equivalence (equivalence='normalised')"
        )
    if len(trace.judgements.items) != trace.n_items:
        raise InputError(f"verdicts for {len(trace.judgements.items)} items do not fit a trace of {trace.n_items} items; judge this trace")
    return trace.judgements


def pair_verdicts(trace: Trace, name: str) -> tuple[NDArray[np.float64] | None, ...]:
    """Verdicts on the pairs of that name, (n_pairs, 3) float64 an item. Raises ``MissingTraceField`` when there are none."""
    if trace.judgements is None or name not in trace.judgements.pairs:
        raise MissingTraceField(
            f"the trace holds no verdicts on {name}; call judge_trace with wanted={{{name!r}}}, or choose an equivalence"
        )
    return trace.judgements.pairs[name]


def similarities(trace: Trace, name: str) -> tuple[NDArray[np.float64] | None, ...]:
    """Similarities of the pairs of that name, (n_pairs,) float64 an item. Raises ``MissingTraceField`` when there are none."""
    if trace.similarities is None or name not in trace.similarities.values:
        raise MissingTraceField(f"the trace holds no similarities of {name}; call compare_trace with wanted={{{name!r}}}")
    found = trace.similarities.values[name]
    if len(found) != trace.n_items:
        raise InputError(f"similarities for {len(found)} items do not fit a trace of {trace.n_items} items; compare this trace")
    return found


def per_item(rows: Generations, ragged: Ragged) -> Ragged:
    """Rows of at most one generation an item as one row an item; missing where the item has none."""
    if len(rows) == rows.n_items:
        return ragged
    lengths = np.zeros(rows.n_items, dtype=np.int64)
    valid = np.zeros(rows.n_items, dtype=bool)
    lengths[rows.item], valid[rows.item] = ragged.lengths, ragged.valid
    return Ragged(ragged.values, np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]), valid)


def round_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to 9 decimals, so that equal items tie although their sums were taken in another order; -0.0 becomes 0.0."""
    return np.round(scores, 9) + 0.0


def _refuse_sampled_greedy(trace: Trace, rows: Generations) -> None:
    if not rows.has("temperature"):
        return
    sampled = rows.numbers("temperature") > 0
    if sampled.any():
        item = trace.item_ids[int(rows.item[sampled][0])]
        raise LawError(
            f"item {item!r}: its greedy row was drawn with sampling (temperature > 0); this score is defined for the greedy decode only. "
            "Capture a greedy decode, or store that row as a sample"
        )


def refuse_other_law(trace: Trace, rows: Generations) -> None:
    """Unknown (null) laws pass: imported samples are taken at the importer's word."""
    for column, plain in (("temperature", 1.0), ("top_p", 1.0), ("top_k", 0.0)):
        if not rows.has(column):
            continue
        value = rows.numbers(column)
        other = ~np.isnan(value) & (value != plain)
        if other.any():
            item = trace.item_ids[int(rows.item[other][0])]
            raise LawError(
                f"item {item!r}: its samples were drawn with {column}={value[other][0]:g}; this estimator is unbiased only under the "
                "model's own law (temperature=1, top_p=1, top_k=0). Draw samples so, or set any_law=True to get the biased value"
            )


def _warn_scaled(rows: Generations) -> None:
    """Log-probs after temperature or renormalisation are not the model's; say so once."""
    if rows.has("logprob_law"):
        import pyarrow.compute as pc

        scaled = pc.sum(pc.equal(rows.table["logprob_law"], "scaled")).as_py()
        if scaled:
            warnings.warn(f"{scaled} {rows.kind} rows hold log-probs after temperature or truncation, not the model's own", stacklevel=3)


def _refuse_nan(trace: Trace, rows: Generations, ragged: Ragged, column: str) -> None:
    bad = np.isnan(ragged.values)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        row = int(ragged.row_index[at])
        raise InputError(
            f"item {trace.item_ids[int(rows.item[row])]!r}: {column} of its {rows.kind} row (draw {int(rows.draw[row])}) is NaN at "
            f"position {at - int(ragged.offsets[row])}; numbers are expected, so capture the item again or remove it"
        )


def _refuse_impossible(values: NDArray[np.float64], item: NDArray[np.int64], item_ids: tuple[str, ...], kind: str) -> None:
    bad = (values > LOGPROB_TOLERANCE) | np.isinf(values)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"item {item_ids[int(item[at])]!r}: a {kind} token has log-prob {values[at]:g}; log-probs are finite and at most 0 "
            "(natural log), so check what was captured"
        )


def _empty(trace: Trace, rows: Generations, ragged: Ragged, on_empty: OnEmpty) -> None:
    empty = ragged.valid & (ragged.lengths == 0)
    if on_empty == "raise" and empty.any():
        item = trace.item_ids[int(rows.item[empty][0])]
        raise EmptySequenceError(
            f"item {item!r}: its {rows.kind} answer has no token (not even an end-of-sequence token), so it has no score; "
            "set on_empty='nan' to count it as missing"
        )
