"""Answers that may carry markers, asked once into a run directory and read from there: one value an item."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trueline.audits.marker_reading import Emitted, read_emitted
from trueline.capture.needs import Needs
from trueline.capture.planner import Plan, make_plan
from trueline.capturing import Progress, capture_run
from trueline.errors import InputError
from trueline.models.base import Model, SamplingLaw
from trueline.stats.estimate import FloatArray
from trueline.tasks.graders import grade_all, load_grader
from trueline.tasks.item import Task
from trueline.tasks.markers import Marker

_COLUMNS = ("item_index", "kind", "text", "error", "finish_reason", "token_texts", "token_logprobs", "topk_logprobs")
_ROWS = 2000


@dataclass(frozen=True)
class EmissionAnswers:
    """One value an item, NaN where it is not known.

    kinds : n_items of "weakener", "strengthener", "none", or None where there is no answer
    texts : n_items answers without their markers
    correct, probability, entropy : (n_items,) float64, see `trueline.audits.marker_reading.Emitted`
    errors : distinct reasons of failures. n_failed, n_truncated : items without an answer, and cut at the limit of tokens.
    """

    kinds: tuple[str | None, ...]
    texts: tuple[str | None, ...]
    correct: FloatArray
    probability: FloatArray
    entropy: FloatArray
    errors: tuple[str, ...]
    n_failed: int
    n_truncated: int


def emission_plan(model: Model, task: Task, top_k: int) -> Plan:
    """One greedy answer an item, with what the model shows of its tokens."""
    shown = {"logprobs": "token_logprobs", "topk": "topk_logprobs"}
    columns = frozenset(column for capability, column in shown.items() if capability in model.capabilities)
    plan = make_plan(
        model=model.uri,
        capabilities=model.capabilities,
        task=task.name,
        n_items=len(task.items),
        needs={"markers": Needs(greedy=columns | {"text"})},
        n_samples=0,
        law=SamplingLaw(),
        max_new_tokens=task.max_new_tokens,
        judge=None,
        strict=True,
    )
    return dataclasses.replace(plan, top_k_alternatives=top_k)


def ask(
    model: Model,
    task: Task,
    folder: Path,
    *,
    markers: Sequence[Marker],
    top_k: int,
    max_new_tokens: int,
    batch_size: int = 64,
    max_cost: float | None = None,
    progress: Progress | None = None,
) -> EmissionAnswers:
    """Ask what is not yet in ``folder``, and read it.

    A completion model ends its answer at the line's end, or it would go on with questions of its own.

    Raises
    ------
    InputError
        A model that answers nothing.
    """
    stop = task.stop if "chat" in model.capabilities or "\n" in task.stop else (*task.stop, "\n")
    asked = dataclasses.replace(task, max_new_tokens=max_new_tokens, stop=stop)
    run = capture_run(
        model, asked, emission_plan(model, asked, top_k), out=folder, batch_size=batch_size, max_cost=max_cost, progress=progress
    )
    found: list[Emitted | None] = [None] * len(task.items)
    whole: list[str] = [""] * len(task.items)
    errors: dict[str, None] = {}
    cut = 0
    for block in run.blocks(rows=_ROWS, columns=_COLUMNS):
        for row in block.table.to_pylist():
            if row["kind"] != "greedy":
                continue
            if row["text"] is None:
                errors[str(row["error"])] = None
                continue
            cut += row["finish_reason"] == "length"
            whole[row["item_index"]] = row["text"]
            found[row["item_index"]] = read_emitted(
                row["text"], markers,
                token_texts=row["token_texts"], token_logprobs=row["token_logprobs"], topk_logprobs=row["topk_logprobs"],
            )  # fmt: skip
    if not any(f is not None for f in found):
        raise InputError(f"{model.uri} answered none of the {len(found)} prompts: {'; '.join(list(errors)[:3]) or 'no text came back'}")
    return EmissionAnswers(
        kinds=tuple(None if f is None else f.kind for f in found),
        texts=tuple(None if f is None else f.answer for f in found),
        correct=_graded(task, found, whole),
        probability=np.array([math.nan if f is None else f.probability for f in found]),
        entropy=np.array([math.nan if f is None else f.entropy for f in found]),
        errors=tuple(errors),
        n_failed=sum(f is None for f in found),
        n_truncated=cut,
    )


def _graded(task: Task, found: Sequence[Emitted | None], whole: Sequence[str]) -> FloatArray:
    """Right or wrong by the task's grader: the answer without its marker, or all that was said ("Paris is probably right")."""
    grader = load_grader(task.grader, task)
    out = np.full(len(found), np.nan)
    there = [i for i, f in enumerate(found) if f is not None]
    items = [task.items[i] for i in there]
    for texts in ([found[i].answer for i in there], [whole[i] for i in there]):  # type: ignore[union-attr]
        for i, grade in zip(there, grade_all(grader, items, texts), strict=True):
            if grade.correct is not None:
                out[i] = np.fmax(out[i], float(grade.correct))
    return out
