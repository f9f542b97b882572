"""Have a model say how sure it is: examples in the prompt whose answers carry expressions of certainty or doubt.

Zhou, Jurafsky and Hashimoto 2023 (arXiv 2302.13439), section on emitted markers. `trueline.audits.EmissionAudit` chooses the examples and
measures whether the model means what it then says.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.capture.probes import answer_prompt
from trueline.errors import InputError
from trueline.models.base import GenerationRequest, GenerationSettings, Message, Model, OptionScores, Prompt, RequestResult
from trueline.tasks.item import Item, Task

#: Between two examples of a text prompt.
BREAK = "\n\n"


@dataclass(frozen=True)
class Shot:
    """An example: a question and what is said to it, marker and answer."""

    item: Item
    said: str


def with_shots(prompt: Prompt, shots: Sequence[Shot], task: Task) -> Prompt:
    """Put examples before a prompt: as texts, and as turns of a conversation after its system message. The task says how they are asked."""
    if not shots:
        return prompt
    asked = [answer_prompt(shot.item, task) for shot in shots]
    texts = [f"{(p.text or '').rstrip(' ')} {shot.said}" for p, shot in zip(asked, shots, strict=True)]
    turns = [m for p, shot in zip(asked, shots, strict=True) for m in (*_untold(p.messages), Message("assistant", shot.said))]
    head = tuple(m for m in prompt.messages[:1] if m.role == "system")
    messages = (*head, *turns, *prompt.messages[len(head) :]) if prompt.messages else ()
    return Prompt(text=None if prompt.text is None else BREAK.join([*texts, prompt.text]), messages=messages)


def _untold(messages: Sequence[Message]) -> Sequence[Message]:
    return [m for m in messages if m.role != "system"]


@dataclass(frozen=True)
class EmitMarkers:
    """A model that sees the examples before every prompt; what it is asked otherwise, and what it can, stays as it is.

    Attributes
    ----------
    model : Model
    task : Task
        Its template and system message say how the examples are asked; its items do not matter.
    shots : tuple of Shot

    Raises
    ------
    InputError
        Without an example.
    """

    model: Model
    task: Task
    shots: tuple[Shot, ...]

    def __post_init__(self) -> None:
        """Refuse to do nothing."""
        if not self.shots:
            raise InputError("there is no example; expected at least one")

    @property
    def uri(self) -> str:
        """Of the model, and the examples' own hash: another choice of them is another model."""
        said = json.dumps([[s.item.question, s.said] for s in self.shots], ensure_ascii=True)
        return f"{self.model.uri}+emit-markers-{hashlib.sha256(said.encode()).hexdigest()[:8]}"

    @property
    def capabilities(self) -> frozenset[str]:
        """Those of the model."""
        return self.model.capabilities

    def fingerprint(self) -> Mapping[str, object]:
        """The model's, and what is put before its prompts."""
        (probe,) = [with_shots(Prompt(""), self.shots, self.task)]
        return {"policy": "emit-markers", "model": dict(self.model.fingerprint()), "before": probe.text}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """Answers after the examples."""
        return self.model.generate([dataclasses.replace(r, prompt=self.before(r.prompt)) for r in requests], settings)

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Scores of continuations after the examples."""
        return self.model.score([self.before(p) for p in prompts], options)

    def before(self, prompt: Prompt) -> Prompt:
        """The prompt with the examples before it."""
        return with_shots(prompt, self.shots, self.task)

    def __getattr__(self, name: str) -> Any:
        """What only some models have (their shape, texts of tokens), from the model."""
        if name.startswith("_") or name in {f.name for f in dataclasses.fields(self)}:
            raise AttributeError(name)
        return getattr(self.model, name)
