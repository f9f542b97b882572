"""Does a model that is taught to say "I think" or "I am sure" mean it? Examples in the prompt teach it, new questions show it.

Zhou, Jurafsky and Hashimoto 2023 (arXiv 2302.13439). The answers of some examples carry a weakener or a strengthener, chosen by the model's
own probability of its answer, or by whether that answer is right; how many examples is not published
(8 here; 50 where the context is long).
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from trueline.audits.emission_answers import EmissionAnswers, ask, emission_plan
from trueline.audits.emission_summary import emission_document
from trueline.capture.probes import answer_prompt
from trueline.capturing import Progress
from trueline.errors import InputError
from trueline.items import choose
from trueline.models.base import Model
from trueline.policies.emit_markers import EmitMarkers, Shot, with_shots
from trueline.stats.engine import CI
from trueline.tasks.item import Item, Task
from trueline.tasks.loading import load_task
from trueline.tasks.markers import Marker, load_markers

Scheme = Literal["weakener_below", "strengthener_above", "both"]
By = Literal["probability", "correctness"]
#: Questions from which the examples are chosen, for each example: so that there are sure and unsure ones among them.
POOL = 4


@dataclass(frozen=True, eq=False)
class EmissionReport:
    """What an emission audit found.

    Attributes
    ----------
    document : dict
        JSON-safe. ``classes``: share, accuracy, mean probability of the answer, the same before, and entropy of each emitted class;
        ``gaps`` between classes; ``before`` and ``after``: accuracy, probability and calibration error of all answers; ``shots``;
        ``warnings``.
    shots : tuple of Shot
        The examples.
    answers : EmissionAnswers
        One value an item.
    """

    document: dict[str, Any]
    task: Task
    shots: tuple[Shot, ...]
    answers: EmissionAnswers

    def policy(self, model: Model) -> EmitMarkers:
        """The model with these examples before every prompt. Raises ``InputError`` where there were none."""
        return EmitMarkers(model, self.task, self.shots)


@dataclass(frozen=True)
class EmissionAudit:
    """Teach a model to emit markers by examples in its prompt, and hold what it then says against its answers.

    Attributes
    ----------
    task : Task or str
        Questions with references; those of the examples are not asked (nor any that share a cluster with them).
    shots : int
        Examples, half of them sure and half unsure as far as there are such. 0: none; what the model says by itself.
    scheme : {"weakener_below", "strengthener_above", "both"}
        Weaken when unsure, strengthen when sure, or both.
    cut : float
        Unsure is an answer of a lower probability, in (0, 1).
    by : {"probability", "correctness"}
        Sure by the model's own probability of its answer, or by whether that answer is right.
    n_items : int
        New questions, a fixed pseudo-random sample.
    weakener, strengthener : str
        Phrases that the examples carry.
    markers : sequence of Marker, optional
        Those that are recognised in what the model says. Default: the shipped list.
    max_new_tokens, top_k : int
        Tokens of an answer with its marker, and most likely tokens read at each.
    ci : CI
        Level, and replicates of the calibration error.
    seed : int
        Of the choice and the order of examples.
    """

    task: Task | str
    shots: int = 8
    scheme: Scheme = "weakener_below"
    cut: float = 0.5
    by: By = "probability"
    n_items: int = 200
    weakener: str = "I think it is"
    strengthener: str = "I am sure it is"
    markers: Sequence[Marker] | None = None
    max_new_tokens: int = 24
    top_k: int = 50
    ci: CI = field(default_factory=CI)
    seed: int = 0
    batch_size: int = 64
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        for name, least in (("shots", 0), ("n_items", 1), ("max_new_tokens", 1), ("top_k", 1), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}")
        for name, known in (("scheme", get_args(Scheme)), ("by", get_args(By))):
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(known)}")
        if not 0 < self.cut < 1:
            raise InputError(f"cut is {self.cut}; expected a probability between 0 and 1")
        for name in ("weakener", "strengthener"):
            if not getattr(self, name).strip():
                raise InputError(f"{name} is empty; expected a phrase")

    def plan(self, model: Model) -> dict[str, int]:
        """How many questions, examples and calls of the model it takes."""
        pool, asked = self._split()
        passes = [emission_plan(model, task, self.top_k).calls for task in (pool, asked, asked) if task is not None][
            : 3 if self.shots else 1
        ]
        calls = {name: sum(part.get(name, 0) for part in passes) for name in passes[0]}
        return {"items": len(asked.items), "shots": self.shots, **calls}

    def run(
        self, model: Model, *, before: Model | None = None, out: str | os.PathLike[str] | None = None, progress: Progress | None = None
    ) -> EmissionReport:
        """Ask the model and sum up.

        before: the model that the answers are compared with, asked without markers in the examples. Default: the model itself; without
        examples there is then no comparison. out: folder that keeps the answers; the same audit goes on there where it was stopped.
        progress: callable(step, done, total).

        Raises
        ------
        InputError
            Too few questions, a model that answers nothing, answers of other settings in ``out`` (SettingsMismatch), a model without
            log-probs asked to choose examples by probability.
        """
        if self.by == "probability" and self.shots and "logprobs" not in model.capabilities:
            raise InputError(f"{model.uri} shows no log-probs, so it cannot choose examples by probability; choose by='correctness'")
        pool, asked = self._split()
        settings: dict[str, Any] = {
            "markers": self._known, "top_k": self.top_k, "max_new_tokens": self.max_new_tokens, "batch_size": self.batch_size,
            "max_cost": self.max_cost, "progress": progress,
        }  # fmt: skip
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if out is None else Path(out)
            shots: tuple[Shot, ...] = ()
            plain: tuple[Shot, ...] = ()
            sure: list[bool] = []
            if pool is not None:
                known = ask(model, pool, folder / "pool", **settings)
                chosen = self._choose(pool, known)
                sure = [s for _, s in chosen]
                shots = tuple(Shot(item, self._said(item, s)) for item, s in chosen)
                plain = tuple(Shot(item, item.references[0]) for item, _ in chosen)
            reference = before or (model if shots else None)
            first = None if reference is None else ask(reference, _after(asked, plain), folder / "before", **settings)
            found = ask(model, _after(asked, shots), folder / "after", **settings)
        document = self._head(model, before) | emission_document(asked, found, first, ci=self.ci)
        document["shots"] = [{"question": shot.item.question, "said": shot.said, "sure": s} for shot, s in zip(shots, sure, strict=True)]
        document["warnings"] += _one_sided(sure)
        return EmissionReport(document, self._task, shots, found)

    def _split(self) -> tuple[Task | None, Task]:
        """Questions from which examples are chosen (None: no examples), and those that are asked; they share no cluster."""
        usable = [item for item in self._task.items if item.references]
        if not usable:
            raise InputError(f"none of the {len(self._task.items)} items of {self._task.name} has a reference")
        task = dataclasses.replace(self._task, items=usable)
        if not self.shots:
            return None, choose(task, self.n_items, self.seed)
        order = np.random.default_rng(self.seed).permutation(len(usable))
        size = min(POOL * self.shots, len(usable) // 2)
        pool = [usable[int(k)] for k in order[:size]]
        taken = {item.cluster for item in pool if item.cluster is not None}
        rest = [item for k in sorted(map(int, order[size:])) if (item := usable[k]).cluster not in taken]
        if size < self.shots or not rest:
            need = f"{2 * self.shots} in different clusters"
            raise InputError(f"{len(usable)} items of {task.name} have a reference; {self.shots} examples and new questions need {need}")
        return dataclasses.replace(task, items=pool), choose(dataclasses.replace(task, items=rest), self.n_items, self.seed)

    def _choose(self, pool: Task, known: EmissionAnswers) -> list[tuple[Item, bool]]:
        """Items of the examples, and whether the model is sure of each: half and half where it can be, in random order."""
        values = known.probability if self.by == "probability" else known.correct
        sure = values >= self.cut
        usable = np.flatnonzero(np.isfinite(values))
        if len(usable) < self.shots:
            raise InputError(f"only {len(usable)} of {len(pool.items)} answers could be judged; {self.shots} examples are wanted")
        sides = [[int(k) for k in usable if sure[k] == side] for side in (False, True)]
        half = self.shots // 2
        unsure = min(len(sides[0]), max(half, self.shots - len(sides[1])))
        picked = [*sides[0][:unsure], *sides[1][: self.shots - unsure]]
        order = np.random.default_rng([self.seed, 1]).permutation(len(picked))
        return [(pool.items[picked[int(k)]], bool(sure[picked[int(k)]])) for k in order]

    def _said(self, item: Item, sure: bool) -> str:
        phrase = self.strengthener if sure else self.weakener
        marked = self.scheme == "both" or (self.scheme == "weakener_below") != sure
        return f"{phrase} {item.references[0]}" if marked else item.references[0]

    def _head(self, model: Model, before: Model | None) -> dict[str, Any]:
        names = ("scheme", "cut", "by", "weakener", "strengthener", "max_new_tokens", "top_k", "seed")
        return {
            "audit": "emission",
            "model": model.uri,
            "before_model": None if before is None else before.uri,
            "task": self._task.name,
            "n_shots": self.shots,
            **{name: getattr(self, name) for name in names},
        }

    @cached_property
    def _task(self) -> Task:
        return load_task(self.task) if isinstance(self.task, str) else self.task

    @cached_property
    def _known(self) -> tuple[Marker, ...]:
        """Markers that are recognised: the list, and the phrases of the examples."""
        given = load_markers() if self.markers is None else list(self.markers)
        own = [Marker(self.weakener, "weakener"), Marker(self.strengthener, "strengthener")]
        return (*own, *(m for m in given if m.marker not in (self.weakener, self.strengthener)))


def _after(task: Task, shots: Sequence[Shot]) -> Task:
    """The same questions after examples."""
    if not shots:
        return task
    items = []
    for item in task.items:
        prompt = with_shots(answer_prompt(item, task), shots, task)
        turns = tuple((m.role, m.content) for m in prompt.messages)
        items.append(dataclasses.replace(item, prompt_text=prompt.text, messages=turns))
    return dataclasses.replace(task, items=items)


def _one_sided(sure: Sequence[bool]) -> list[str]:
    if not sure or 0 < sum(sure) < len(sure):
        return []
    side = "sure" if sure[0] else "unsure"
    return [
        f"The model is {side} of all {len(sure)} examples: they cannot teach it when to say so. Choose another cut, or other questions."
    ]
