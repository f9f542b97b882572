"""An audit as a task of Inspect AI: one sample that runs the audit, with its questions in the transcript and its record in the log."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import anyio.from_thread
import anyio.to_thread
import numpy as np
from inspect_ai import Epochs, Task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from trueline.errors import InputError, TruelineError
from trueline.interop.inspect_asked import reach
from trueline.interop.inspect_registry import first_answer
from trueline.interop.logs import AUDIT, OWN
from trueline.models.base import Model

#: Gives the model that Inspect evaluates, another one by its name in Inspect, or that of a role (``role:grader``).
Reach = Callable[[str | None], Model]
#: Figures of a record that the log shows as metrics; all that the headline names stand in the explanation.
_MOST_FIGURES = 60
_ROLE = "role:"


@dataclass(frozen=True)
class Ready:
    """An audit that has read its settings and its data.

    run: asks the model and returns what it found (see `inspect_audit`). about: one line on it. headline: parts of the record, by dotted
    names, whose figures the log shows. report: file of the HTML report; write: writes it from what was found.
    """

    run: Callable[[Reach], object]
    about: str
    headline: tuple[str, ...] = ()
    report: str | None = None
    write: Callable[[Any, str], object] | None = None


def inspect_audit(audit: Callable[[Model], object], name: str, *, headline: Sequence[str] = ()) -> Task:
    """Any audit as a task of Inspect AI, for `inspect_ai.eval` with any of its models.

    Parameters
    ----------
    audit : called with the model that Inspect evaluates, in a thread of its own; returns a record, or an object that has one
        (``document``, ``to_json()``) or is a dataclass. `lambda judge: DiscretionAudit(principles, oracle=judge).run(pairs)` is one.
        What it asks later may depend on what was answered before.
    name : of the task.
    headline : parts of the record, by dotted names, whose figures become metrics of the log.

    The record is in the log: `audit_document`.
    """
    return task_of(name, Ready(lambda ask: audit(ask(None)), name, tuple(headline)))


def audit_document(log: EvalLog | str | os.PathLike[str]) -> dict[str, Any]:
    """The record of an audit that ran as a task of Inspect, as the audit itself gives it.

    Raises ``InputError`` for a log of something else, or of an audit that did not end.
    """
    opened = log if isinstance(log, EvalLog) and log.samples else read_eval_log(log.location if isinstance(log, EvalLog) else str(log))
    for sample in opened.samples or ():
        found = sample.metadata.get(OWN)
        if isinstance(found, dict) and isinstance(found.get("document"), dict):
            return dict(found["document"])
    raise InputError(f"{opened.location} holds no audit's record (task {opened.eval.task}, status {opened.status})")


def task_of(name: str, ready: Ready) -> Task:
    """The task that runs it."""
    sample = Sample(id=name, input=f"trueline audit {name}: {ready.about}")
    return Task(
        dataset=MemoryDataset([sample], name=ready.about),
        solver=audited(ready),
        scorer=record(list(ready.headline)),
        epochs=Epochs(1, first_answer()),
        name=name,
        metadata={AUDIT: name},
    )


@contextmanager
def one_line() -> Iterator[None]:
    """What trueline refuses, Inspect says in one line, without a traceback."""
    try:
        yield
    except TruelineError as error:
        raise PrerequisiteError(f"error: {error}".replace("[", r"\[")) from error


@solver
def audited(ready: Ready) -> Solver:
    """Runs the audit in a thread whose questions come back to Inspect's event loop."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        models: dict[str | None, Model] = {}

        async def opened(name: str | None) -> Model:
            role = name[len(_ROLE) :] if name is not None and name.startswith(_ROLE) else None
            return await reach(get_model(role=role, required=True) if role else get_model(name))

        def ask(name: str | None = None) -> Model:
            if name not in models:
                models[name] = anyio.from_thread.run(opened, name)
            return models[name]

        found = await anyio.to_thread.run_sync(ready.run, ask)
        document = document_of(found)
        if ready.report is not None and ready.write is not None:
            ready.write(found, ready.report)
        state.metadata[OWN] = {"document": document}
        state.output = ModelOutput.from_content(str(state.model), summary(document, ready.headline))
        return state

    return solve


@metric
def figures() -> Metric:
    """The headline figures with their intervals, and how many are missing."""

    def compute(scores: list[SampleScore]) -> Any:
        return dict(scores[0].score.metadata or {}) if scores else {}

    return compute


@scorer(metrics=[figures()])
def record(headline: list[str]) -> Scorer:
    """The headline figures of the record; no verdict."""

    async def score(state: TaskState, target: Target) -> Score:
        document = state.metadata.get(OWN, {}).get("document", {})
        found = {name: row for name, row in figures_of(document, headline)[:_MOST_FIGURES] if not math.isnan(_number(row["value"]))}
        known = {f"{name}{end}": _number(row[end[1:] or "value"]) for name, row in found.items() for end in ("", "_low", "_high")}
        ends = {name: value for name, value in known.items() if not math.isnan(value)}
        shown = {name: _number(row["value"]) for name, row in found.items()}
        return Score(value=shown or {"done": 1.0}, explanation=state.output.completion, metadata=ends or {"done": 1.0})

    return score


def document_of(found: object) -> dict[str, Any]:
    """The JSON-safe record of what an audit returned."""
    if isinstance(found, Mapping):
        record_: Any = found
    elif hasattr(found, "document"):
        record_ = found.document
    elif hasattr(found, "to_json"):
        record_ = found.to_json()
    elif is_dataclass(found) and not isinstance(found, type):
        record_ = {field.name: getattr(found, field.name) for field in fields(found)}
    else:
        raise InputError(f"the audit returned {type(found).__name__}; expected a record, or an object with one (document, to_json)")
    return {str(name): _plain(value) for name, value in record_.items()}


def figures_of(document: Mapping[str, Any], headline: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """(name, record of an estimate) of the headline parts; of several parts, the name begins with the part's."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for part in headline:
        at: Any = document
        for key in part.split("."):
            at = at.get(key) if isinstance(at, Mapping) else None
        found += _estimates(at, part.rpartition(".")[2] if len(headline) > 1 else "")
    return found


def summary(document: Mapping[str, Any], headline: Sequence[str]) -> str:
    """The headline figures and the warnings, a line each."""
    lines = [f"{name}: {_shown(row)}" for name, row in figures_of(document, headline)]
    lines += [f"warning: {text}" for text in document.get("warnings") or ()]
    return "\n".join([*lines, "The whole record is in the sample's metadata."])


def _estimates(at: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(at, Mapping) and {"value", "low", "high"} <= set(at):
        yield name, at
    elif isinstance(at, Mapping):
        for key, value in at.items():
            yield from _estimates(value, f"{name}_{key}" if name else str(key))


def _shown(row: Mapping[str, Any]) -> str:
    value, low, high = (_number(row[key]) for key in ("value", "low", "high"))
    return f"undefined ({row.get('reason') or 'no reason given'})" if math.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _plain(value: Any) -> Any:
    """JSON-safe: arrays as lists, what is undefined as None."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value) if isinstance(value, Path) else repr(value)
