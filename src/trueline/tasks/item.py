"""What is asked: an item is one question with what is known about its answer; a task is a set of items and how to grade them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueline.errors import InputError
from trueline.tasks.annotations import Reading
from trueline.tasks.pictures import Picture

#: What items without metadata or truth share, so that a million of them stay small.
NOTHING: Mapping[str, Any] = {}


def _nothing() -> Mapping[str, Any]:
    return NOTHING


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    Attributes
    ----------
    id: unique within the task.
    question: the bare question, as shown to judges and in reports.
    prompt_text: the whole text a completion model continues; None: built from the task's template.
    messages: chat turns as ``(role, content)``; empty: one user turn holding the question.
    references: accepted answers; empty when unknown.
    cluster: items that share it are not independent (same person, same document); None: its own.
    annotations: what several annotators answered (`tasks.annotations`); empty when there are none.
    images: shown with the question to a model that reads images.
    metadata: JSON-safe extras. truth: known true quantities by name (``aleatoric`` in nats, ``exposure``, ``epistemic``).
    """

    id: str
    question: str
    prompt_text: str | None = None
    messages: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()
    cluster: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=_nothing)
    truth: Mapping[str, float] = field(default_factory=_nothing)
    annotations: tuple[Reading, ...] = ()
    images: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Grade:
    """Verdict on one answer.

    ``correct`` None means that it could not be judged (``reason`` says why). ``probability`` is the true probability that the
    answer is right where it is known (known world). ``score``: graded quality in [0, 1] where the grader has one.
    """

    correct: bool | None
    refused: bool = False
    answer: str | None = None
    probability: float | None = None
    score: float | None = None
    reason: str | None = None


#: A grader is a function of the item and the answer text; its name goes into the manifest.
Grader = Callable[[Item, str], Grade]


@dataclass(frozen=True)
class Task:
    """Items, prompt template and grading.

    Attributes
    ----------
    name: URI or path it came from. items: in stable order.
    template: used for a completion model when an item has no ``prompt_text``; ``{question}`` is replaced (never ``format``).
    system: system message for chat models, or None.
    grader: a name known to ``tasks.graders`` ("normalised", "contains", ..., "oracle") or a user's own function.
    grade_oracle, canonical: for tasks whose truth is known: the oracle's grade, and the oracle's equivalence key of an answer.
    paraphrases: other wordings of an item's question as (name, question), where the task knows them.
    prompts: overrides of probe prompts by name (``capture.PROBES``; "csl": what is said after an answer).
    reasoning: how the reasoning of an output is told from its answer (see ``tasks.thinking.load_splitter``).
    max_new_tokens, stop: defaults for generation. notes: what the loader left out or assumed, for the report.
    """

    name: str
    items: Sequence[Item]
    template: str = "Question: {question}\nAnswer:"
    system: str | None = None
    grader: str | Grader = "normalised"
    grade_oracle: Grader | None = None
    canonical: Callable[[Item, str], str] | None = None
    paraphrases: Callable[[Item], Sequence[tuple[str, str]]] | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    max_new_tokens: int = 64
    reasoning: str = "auto"
    stop: tuple[str, ...] = ()
    version: str = "1"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty task and duplicate ids."""
        if not self.items:
            raise InputError(f"task {self.name!r} has no items; give at least one question")
        seen: set[str] = set()
        if hasattr(self.items, "repeated"):  # a table of items tells without making each of them
            if self.items.repeated is not None:
                raise _twice(self.name, self.items[self.items.repeated[1]].id)
            return
        for item in self.items:
            if item.id in seen:
                raise _twice(self.name, item.id)
            seen.add(item.id)

    def __len__(self) -> int:
        return len(self.items)


def _twice(task: str, ident: str) -> InputError:
    return InputError(f"task {task!r}: id {ident!r} occurs more than once; ids must be unique")
