"""Findings of an emission audit from its answers: each emitted class, gaps between classes, and all answers before and after."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trueline.audits.emission_answers import EmissionAnswers
from trueline.metrics.ece import ece
from trueline.metrics.emission import KINDS, emission
from trueline.metrics.marker_contrasts import LEAST_ITEMS, class_contrast
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate, FloatArray
from trueline.tasks.item import Task

_TRUNCATED = 0.01


def emission_document(task: Task, after: EmissionAnswers, before: EmissionAnswers | None, *, ci: CI) -> dict[str, Any]:
    """Findings as a JSON-safe record; see `trueline.audits.EmissionReport`."""
    answered = np.array([kind is not None for kind in after.kinds])
    labels = _clusters(task)
    kept = None if labels is None else [label for label, there in zip(labels, answered, strict=True) if there]
    values = {"entropy": after.entropy}
    if before is not None:
        values |= {"probability_before": before.probability, "accuracy_before": before.correct, "entropy_before": before.entropy}
    more = {name: column[answered] for name, column in values.items() if np.isfinite(column).any()}
    kinds = [kind for kind in after.kinds if kind is not None]
    found = emission(kinds, after.correct[answered], after.probability[answered], more=more, clusters=kept, level=ci.level).to_json()
    document: dict[str, Any] = {
        "n_items": len(task.items),
        "level": ci.level,
        **found,
        "after": _whole(task, after, ci),
        "before": None if before is None else _whole(task, before, ci),
        "change": None if before is None else _change(after, before, labels, ci),
        "failed_prompts": after.n_failed + (0 if before is None else before.n_failed),
        "truncated": after.n_truncated,
    }
    return document | {"warnings": _warnings(document, after, before)}


def _clusters(task: Task) -> list[str] | None:
    labels = [item.cluster or f"\0{item.id}" for item in task.items]
    return labels if len(set(labels)) < len(labels) else None


def _whole(task: Task, answers: EmissionAnswers, ci: CI) -> dict[str, Any]:
    """Of all answers under one condition."""
    labels = _clusters(task)
    n = max(1, sum(kind is not None for kind in answers.kinds))
    zeros = np.zeros(len(task.items))
    means = {
        name: class_contrast(values, zeros, clusters=labels, level=ci.level, n_boot=2).estimate.to_json()
        for name, values in (("accuracy", answers.correct), ("probability", answers.probability), ("entropy", answers.entropy))
    }
    share = {kind: answers.kinds.count(kind) / n for kind in KINDS}
    return {"share": share, **means, "ece": _ece(answers, labels, ci).to_json()}


def _ece(answers: EmissionAnswers, labels: list[str] | None, ci: CI) -> Estimate:
    usable = np.isfinite(answers.probability) & np.isfinite(answers.correct)
    if not usable.any():
        return Estimate(math.nan, level=ci.level, reason="no answer has both a probability and a verdict")
    few = usable.sum() < LEAST_ITEMS
    small = CI(kind="none" if few else ci.kind, level=ci.level, n_boot=min(ci.n_boot, 500), seed=ci.seed)
    rows = usable.nonzero()[0]
    clusters = None if labels is None else [labels[r] for r in rows]
    return ece(np.minimum(answers.probability[usable], 1.0), answers.correct[usable], clusters=clusters, ci=small)


def _change(after: EmissionAnswers, before: EmissionAnswers, labels: list[str] | None, ci: CI) -> dict[str, Any]:
    """After less before, paired by item."""

    def paired(first: FloatArray, second: FloatArray) -> dict[str, Any]:
        return class_contrast(first, second, clusters=labels, level=ci.level, n_boot=2).to_json()

    return {name: paired(getattr(after, field), getattr(before, field)) for name, field in
            (("accuracy", "correct"), ("probability", "probability"), ("entropy", "entropy"))}  # fmt: skip


def _warnings(document: dict[str, Any], after: EmissionAnswers, before: EmissionAnswers | None) -> list[str]:
    said = []
    n = document["n_items"]
    if n < LEAST_ITEMS:
        said.append(f"Only {n} new questions: no intervals below {LEAST_ITEMS}.")
    for name, answers in (("with markers", after), ("before", before)):
        if answers is None:
            continue
        if answers.n_failed:
            said.append(f"{answers.n_failed} of {n} prompts failed ({name}) and are left out: {'; '.join(answers.errors[:3])}")
        if answers.n_truncated > _TRUNCATED * n:
            said.append(f"{answers.n_truncated} of {n} answers ({name}) were cut at the limit of tokens: their probability is too high.")
    if not np.isfinite(after.probability).any():
        said.append("The model shows no log-probs: accuracy alone.")
    emitted = [kind for kind in KINDS if document["classes"][kind]["share"]["value"]]
    if len(emitted) == 1:
        said.append(f"All answers are of one class ({emitted[0]}): what is emitted says nothing about what is right.")
    return said
