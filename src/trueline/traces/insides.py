"""What a white box shows of itself beside its log-probs: hidden states and attention maps, read back from the columns of a trace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trueline.errors import InputError, MissingTraceField
from trueline.traces.trace import Generations

#: Columns that only a white box can fill (see ``traces.schema``).
HIDDEN_COLUMNS = ("hidden_prompt", "hidden_last", "hidden_mean")
ATTENTION_COLUMNS = ("attn_prev", "attn_diag_logsum", "csl_attention")
INSIDE_COLUMNS = ("prior_logprobs", *HIDDEN_COLUMNS, *ATTENTION_COLUMNS)


_PER_TOKEN = ("attn_prev", "csl_attention")


def layer_at(depth: float, n_layers: int) -> int:
    """The layer at a relative depth in [0, 1]: 1 (the first block's output) to ``n_layers``; halves go up.

    Raises ``InputError`` for a depth outside [0, 1].

    >>> layer_at(0.5, 32), layer_at(0.5, 3), layer_at(0.0, 1)
    (16, 2, 1)
    """
    if not 0.0 <= depth <= 1.0:
        raise InputError(f"depth={depth} is no relative depth; give a number from 0 (first layer) to 1 (last layer)")
    return max(1, math.floor(depth * n_layers + 0.5))


@dataclass(frozen=True)
class States:
    """Hidden states of one layer. row: (n,) int64, positions among the rows of the kind; values: (n, d) float64; layer: its number."""

    row: NDArray[np.int64]
    values: NDArray[np.float64]
    layer: int


def hidden_states(rows: Generations, column: str, depth: float) -> States:
    """The states of ``column`` at a relative depth, for the rows that have them.

    Raises ``MissingTraceField`` when the column or the layer was not captured, ``InputError`` for states that are not finite or of
    unequal width.
    """
    rows.require(column)
    there = np.flatnonzero(np.asarray(rows.table[column].is_valid().to_numpy(), dtype=bool))
    if not len(there):
        return States(there, np.empty((0, 0)), 0)
    kept = rows.table.select([column, "hidden_layers", "n_layers"]).take(pa.array(there))
    layers = _shared(kept["hidden_layers"], "hidden_layers", rows.kind)
    layer = layer_at(depth, int(_shared(kept["n_layers"], "n_layers", rows.kind)))
    if layer not in layers:
        raise MissingTraceField(
            f"the {rows.kind} rows hold {column} of layers {', '.join(map(str, layers))}, not of layer {layer} (depth={depth:g}); "
            "capture it (measure with this estimator) or choose another depth"
        )
    flat = np.asarray(_whole(kept[column]).flatten().flatten().to_numpy(zero_copy_only=False))
    if flat.size % (len(there) * len(layers)):
        raise InputError(f"{column} of the {rows.kind} rows: {flat.size} numbers for {len(there)} rows of {len(layers)} layers")
    states = flat.reshape(len(there), len(layers), -1)[:, layers.index(layer)]
    if not np.isfinite(states).all():
        bad = int(np.flatnonzero(~np.isfinite(states).all(axis=1))[0])
        raise InputError(f"{column} of {rows.kind} row {int(there[bad])} is not finite; capture the item again or remove it")
    return States(there, states.astype(np.float64), layer)


def maps(rows: Generations, column: str) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """(item position, array) of every row that has the nested column: (L, H, T - 1), (L, H, T) or (L,) float64; T: tokens of the span.

    Raises ``MissingTraceField`` when no row has it, ``InputError`` for a map that is ragged or not finite.
    """
    rows.require(column)
    array = _whole(rows.table[column])
    there = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    lengths = np.zeros(len(rows), dtype=np.int64)
    if rows.is_cut and rows.has("n_tokens"):
        lengths[there] = rows.numbers("n_tokens")[there].astype(np.int64)
    start, stop, known = rows.bounds(lengths)
    for row in np.flatnonzero(there & known):
        whole = _unnested(array.slice(int(row), 1), f"{column} of {rows.kind} row {int(row)}")
        if rows.is_cut and column in _PER_TOKEN:
            # attention to the token before: between the first and the last token of the span
            whole = whole[..., start[row] : stop[row] - (column == "attn_prev")]
        yield int(rows.item[row]), whole


def _unnested(array: Any, name: str) -> NDArray[np.float64]:
    """The one row of a nested list array as an array of as many dimensions."""
    shape: list[int] = []
    size = 1
    while pa.types.is_list(array.type):
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) > 1:
            raise InputError(f"{name} is ragged; expected as many heads in each layer and as many tokens in each head")
        array, size = array.flatten(), len(array)
        shape.append(len(array) // max(size, 1))
    values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64).reshape(shape)
    if not np.isfinite(values).all():
        raise InputError(f"{name} is not finite; capture the item again or remove it")
    return values


def _whole(column: Any) -> Any:
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def _shared(column: Any, name: str, kind: str) -> Any:
    """The value that all rows have."""
    found = column.to_pylist()
    if found[0] is None or any(value != found[0] for value in found):
        raise InputError(f"the {kind} rows disagree about {name}, or lack it; they come from different models")
    return found[0]
