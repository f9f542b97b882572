"""Runs of models whose accuracy and self-knowledge are planted, so that a comparison or a gate has a known answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lawmodel import ANSWERS, LawModel

import trueline as tl
from trueline.models.base import GenerationRequest, GenerationSettings, RequestResult
from trueline.tasks.item import Item, Task


def places(start: int = 0, stop: int = 200, *, question: str = "Where is place {k}?", clusters: bool = False, name: str = "places") -> Task:
    """Items ``q<start>`` to ``q<stop - 1>``; with clusters every two of them belong together."""
    items = [
        Item(id=f"q{k}", question=question.format(k=k), references=(ANSWERS[k % 3],), cluster=f"c{k // 2}" if clusters else None)
        for k in range(start, stop)
    ]
    return Task(name=name, items=items, max_new_tokens=8)


class Planted(LawModel):
    """Right on a share of the questions; ``knows``: how far its probability of the answer tells right from wrong."""

    def __init__(self, task: Task, right: float, knows: float = 2.0, seed: int = 0, uri: str = "test:planted") -> None:
        super().__init__()
        self.uri = uri
        rng = np.random.default_rng(seed)
        correct = rng.random(len(task.items)) < right
        confidence = 0.4 + 0.55 / (1 + np.exp(-(knows * (correct - 0.5) + rng.normal(size=len(correct)))))
        self.plan = {
            item.question: ((ANSWERS.index(item.references[0]) + (0 if c else 1)) % 3, float(p))
            for item, c, p in zip(task.items, correct, confidence, strict=True)
        }

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        results = []
        for request in requests:
            question = request.prompt.messages[-1].content
            if "BROKEN" in question:
                results.append(RequestResult(error="the question is broken"))
                continue
            k, confidence = self.plan[question]
            p = np.full(len(ANSWERS), (1 - confidence) / 2)
            p[k] = confidence
            results.append(RequestResult(self._answer(k, p, settings)))
        return results


def planted_run(path: Path, task: Task, right: float, knows: float = 2.0, *, seed: int = 0, **options: Any) -> tl.Run:
    """A measured, graded and scored run of a planted model."""
    model = Planted(task, right, knows, seed, options.pop("uri", "test:planted"))
    return tl.measure(model, task, options.pop("estimators", ["sequence_nll", "mean_nll"]), samples=0, out=path, **options)
