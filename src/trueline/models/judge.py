"""A model as the judge of answers: asked for one word, read strictly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trueline.models.base import GenerationRequest, GenerationSettings, Message, Model, Prompt
from trueline.tasks.item import Grade, Item

_INTRODUCTION = "You check a proposed answer against reference answers."
_QUESTION = "Does the proposed answer mean the same as one of the reference answers? Reply with one word, correct or incorrect."
_WORD = re.compile(r"\b(?:(not\s+correct|incorrect|wrong)|correct)\b", re.IGNORECASE)


@dataclass(frozen=True)
class LlmJudge:
    """Grades answers with a model; a reply that is not one clear verdict leaves the answer ungraded, with the reply as the reason."""

    model: Model
    max_new_tokens: int = 8

    def __call__(self, item: Item, text: str) -> Grade:
        """Judge one answer."""
        return self.grade_many([item], [text])[0]

    def grade_many(self, items: Sequence[Item], texts: Sequence[str]) -> list[Grade]:
        """Judge many answers in one call of the model. Items without references and empty answers cost no call."""
        grades: list[Grade | None] = [_without_asking(item, text) for item, text in zip(items, texts, strict=True)]
        asked = [k for k, grade in enumerate(grades) if grade is None]
        requests = [GenerationRequest(judge_prompt(items[k], texts[k])) for k in asked]
        results = self.model.generate(requests, GenerationSettings(max_new_tokens=self.max_new_tokens)) if requests else []
        for k, result in zip(asked, results, strict=True):
            if result.greedy is None:
                grades[k] = Grade(None, answer=texts[k].strip(), reason=f"the judge failed: {result.error}")
            else:
                grades[k] = read_verdict(result.greedy.text, texts[k])
        return [grade for grade in grades if grade is not None]


def load(uri: str) -> LlmJudge:
    """The judge behind ``llm:URI``."""
    from trueline.models.loading import load_model

    return LlmJudge(load_model(uri))


def judge_prompt(item: Item, text: str) -> Prompt:
    """What the judge is shown, as chat turns and as plain text."""
    asked = (
        f"{_INTRODUCTION}\n\nQuestion: {item.question}\nReference answers: {' | '.join(item.references)}\n"
        f"Proposed answer: {text.strip()}\n\n{_QUESTION}"
    )
    return Prompt(text=f"{asked}\nVerdict:", messages=(Message("user", asked),))


def read_verdict(reply: str, text: str) -> Grade:
    """The grade a reply states; None when it states none or both."""
    verdicts = {match[1] is None for match in _WORD.finditer(reply)}
    if len(verdicts) != 1:
        return Grade(None, answer=text.strip(), reason=f"the judge's reply has no clear verdict: {reply.strip()[:80]!r}")
    return Grade(verdicts.pop(), answer=text.strip())


def _without_asking(item: Item, text: str) -> Grade | None:
    if not item.references:
        return Grade(None, reason="no reference answer")
    return None if text.strip() else Grade(False, answer="", reason="empty answer")
