"""Estimators that are trained: what a fit is, where its labels come from, how it is kept, and why it never scores the items it saw.

A fit is arrays, a few facts and the ids (hashed) of the items it was made from. It is stored as one safetensors file, with the facts as
JSON in its header: nothing in it is ever executed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError, NotFitted
from trueline.estimators.base import Estimator
from trueline.estimators.inputs import generations
from trueline.traces.insides import hidden_states
from trueline.traces.trace import Trace

_FORMAT = "trueline.fit.1"


@dataclass(frozen=True)
class Fit:
    """What training left.

    arrays: name -> float64 array. facts: JSON scalars (the layer, how many items, ...). seen: (n,) uint64, hashed ids of the items.
    """

    arrays: Mapping[str, NDArray[np.float64]]
    facts: Mapping[str, Any]
    seen: NDArray[np.uint64] = field(repr=False)

    def __repr__(self) -> str:
        return f"Fit({', '.join(f'{k}={v}' for k, v in self.facts.items())})"


@runtime_checkable
class Trained(Estimator, Protocol):
    """An estimator with a ``state``: None until ``fit`` (a new estimator) has seen labelled items."""

    @property
    def state(self) -> Fit | None: ...

    def fit(self, trace: Trace, correct: ArrayLike) -> Self:
        """The same estimator, trained. correct: (n_items,) 1 right, 0 wrong, NaN not judged (left out)."""
        ...


def hash_ids(item_ids: tuple[str, ...]) -> NDArray[np.uint64]:
    """(n,) uint64: 64-bit BLAKE2b of each id."""
    digests = (hashlib.blake2b(i.encode("utf-8", "surrogatepass"), digest_size=8).digest() for i in item_ids)
    return np.array([int.from_bytes(d, "little") for d in digests], dtype=np.uint64)


def state_for(state: Fit | None, trace: Trace) -> Fit:
    """The state, once it may score this trace. Raises ``NotFitted`` without one, ``InputError`` when it saw an item of the trace."""
    if state is None:
        raise NotFitted(
            "this estimator is trained and has no fit yet; name a graded run with other items, name(fit=RUN) (Python: fit(trace, correct))"
        )
    again = np.isin(hash_ids(trace.item_ids), state.seen)
    if again.any():
        item = trace.item_ids[int(np.flatnonzero(again)[0])]
        raise InputError(
            f"item {item!r} (and {int(again.sum()) - 1} more) was used to fit this estimator, so its score would mean nothing; fit on "
            "items with other ids (a file without ids numbers its lines: give it an id column)"
        )
    return state


def labels(trace: Trace, correct: ArrayLike) -> NDArray[np.float64]:
    """(n_items,) float64 of 0, 1 and NaN. Raises ``InputError`` for another length or other values."""
    found = np.asarray(correct, dtype=np.float64)
    if found.shape != (trace.n_items,):
        raise InputError(f"correct has shape {found.shape}; expected one label an item, ({trace.n_items},)")
    if not np.isin(found[~np.isnan(found)], (0.0, 1.0)).all():
        raise InputError("correct holds 1 (right), 0 (wrong) and NaN (not judged) only")
    return found


@dataclass(frozen=True)
class Examples:
    """Labelled states. states: (n, d) float64; right: (n,) bool; item: (n,) int64 positions; layer: their layer."""

    states: NDArray[np.float64]
    right: NDArray[np.bool_]
    item: NDArray[np.int64]
    layer: int


def examples(trace: Trace, correct: ArrayLike, column: str, depth: float) -> Examples:
    """The greedy rows that have a state and a label. Raises ``MissingTraceField`` without states, ``InputError`` when none is left."""
    label = labels(trace, correct)
    found = hidden_states(generations(trace, "greedy"), column, depth)
    item = trace.greedy.item[found.row]
    used = ~np.isnan(label[item])
    if not used.any():
        raise InputError(f"no item has both {column} and a label, so there is nothing to fit on")
    return Examples(found.values[used], label[item][used] == 1.0, item[used], found.layer)


def both_classes(right: NDArray[np.bool_]) -> None:
    """Refuse labels of one class."""
    if right.all() or not right.any():
        raise InputError(f"all {len(right)} labelled answers are {'right' if right.all() else 'wrong'}; a fit needs both")


def scored_states(trace: Trace, state: Fit, column: str, depth: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(item positions, states (n, d)) to be scored. Raises ``InputError`` when they are not of the layer and width of the fit."""
    found = hidden_states(generations(trace, "greedy"), column, depth)
    width = int(state.facts["width"])
    if len(found.row) and (found.layer != state.facts["layer"] or found.values.shape[1] != width):
        raise InputError(
            f"states of layer {found.layer} with {found.values.shape[1]} features do not fit a fit on layer {state.facts['layer']} "
            f"with {width}; fit and score with one model and one depth"
        )
    return trace.greedy.item[found.row], found.values


def save_fit(estimator: Trained, path: Path | str) -> None:
    """Write the fit of an estimator as one safetensors file. Raises ``NotFitted`` when it has none."""
    from safetensors.numpy import save_file

    if estimator.state is None:
        raise NotFitted("the estimator has no fit to save; call fit(trace, correct) first")
    state = estimator.state
    facts = json.dumps({"settings": settings_of(estimator), "facts": dict(state.facts)}, sort_keys=True)
    arrays = {name: np.ascontiguousarray(values) for name, values in state.arrays.items()}
    save_file({**arrays, "seen": state.seen}, str(path), metadata={"format": _FORMAT, "content": facts})


def load_fit(estimator: Trained, path: Path | str) -> Trained:
    """The estimator with the fit in ``path``. Raises ``InputError`` for another file, or a fit made with other settings."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as stream:
            found = stream.metadata() or {}
            arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as a fit: {error}") from error
    if found.get("format") != _FORMAT or "seen" not in arrays:
        raise InputError(f"{path} holds no fit of trueline")
    content = json.loads(found["content"])
    if content["settings"] != settings_of(estimator):
        raise InputError(f"{path} holds a fit with the settings {content['settings']}, not {settings_of(estimator)}")
    seen = arrays.pop("seen")
    return dataclasses.replace(estimator, state=Fit(arrays, content["facts"], seen))  # type: ignore[type-var]


def settings_of(estimator: Any) -> dict[str, Any]:
    """Class and settings of an estimator, without its fit."""
    fields = {f.name: getattr(estimator, f.name) for f in dataclasses.fields(estimator) if f.name not in ("state", "on_empty")}
    return {"class": type(estimator).__name__, **fields}


def fit_from(estimator: Trained, source: str) -> Trained:
    """Train on a graded run directory, or take the fit out of a ``.safetensors`` file."""
    if source.endswith(".safetensors"):
        return load_fit(estimator, source)
    return estimator.fit(*labelled_run(source))


def labelled_run(path: str) -> tuple[Trace, NDArray[np.float64]]:
    """The greedy rows of a run and whether each item was right: (n_items,) 1, 0 or NaN. Raises ``InputError`` when it is not graded."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from trueline.traces.rundir import RunDirectory

    directory = RunDirectory.open(path)
    if not directory.exists("grades.parquet"):
        raise InputError(f"{path} has no grades.parquet; grade it first (Python: run.grade())")
    tables = [directory.read_shard(shard) for shard in directory.shards()]
    greedy = [table.filter(pc.equal(table["kind"], "greedy")) for table in tables]
    if not sum(len(table) for table in greedy):
        raise InputError(f"{path} holds no greedy answers to fit on")
    rows = pa.concat_tables(greedy, promote_options="default")
    grades = directory.read_table("grades.parquet", ["item_id", "kind", "draw", "correct"])
    grades = grades.filter(pc.and_(pc.equal(grades["kind"], "greedy"), pc.equal(grades["draw"], 0)))
    verdict = dict(zip(grades["item_id"].to_pylist(), grades["correct"].to_pylist(), strict=True))
    ids = tuple(rows["item_id"].to_pylist())
    correct = [np.nan if verdict.get(i) is None else float(verdict[i]) for i in ids]
    return Trace(rows, ids), np.array(correct)
