"""Steps of a reasoning: what leads to the answer, without exploration and repeats; by rule, or rewritten by a model.

The authors of RACE (arXiv 2506.04832) fine-tune an 8B model to rewrite; the rule is the choice here where there is no such model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from trueline.errors import InputError, ModelError
from trueline.models.base import GenerationRequest, GenerationSettings, Message, Model, Prompt

_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_WORDS = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_BACK_TRACKING = re.compile(r"\b(wait|actually|maybe not|let me (?:re)?check|hmm|on second thought)\b", re.IGNORECASE)
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the this that these those it its he she they them his her their we i you is are was were be been being am do does did has "
        "have had and or but so then thus hence therefore because if as of in on at to for from by with about into than not no yes will "
        "would can could may might must should there here what which who whom whose when where why how also just very more most answer "
        "question",
    )
)


@runtime_checkable
class StepExtractor(Protocol):
    """From question, reasoning and answer to the steps that lead to the answer, in order."""

    def __call__(self, question: str, reasoning: str, answer: str) -> list[str]: ...


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, stripped, without empty ones."""
    return [part.strip() for part in _SENTENCES.split(text) if part.strip()]


def content_words(text: str) -> set[str]:
    """Names, numbers and other content words of a text, in lower case."""
    return {word for word in (w.lower() for w in _WORDS.findall(text)) if word not in _FUNCTION_WORDS}


@dataclass(frozen=True)
class RuleStepExtractor:
    """Sentences that lead to the answer, found from its end: each shares a name, number or content word with the answer or a later step.

    Sentences that go back on what was said (wait, actually, let me check, ...) are left out. At most ``max_steps``, those nearest to the
    answer.
    """

    max_steps: int = 8

    def __post_init__(self) -> None:
        """Refuse fewer than one step."""
        if self.max_steps < 1:
            raise InputError(f"max_steps={self.max_steps} must be at least 1")

    def __call__(self, question: str, reasoning: str, answer: str) -> list[str]:
        """The kept sentences, in order; none when no sentence has to do with the answer."""
        wanted = content_words(answer)
        kept: list[str] = []
        for sentence in reversed(sentences(reasoning)):
            words = content_words(sentence)
            if len(kept) < self.max_steps and words & wanted and not _BACK_TRACKING.search(sentence) and sentence not in kept:
                kept.append(sentence)
                wanted |= words
        return kept[::-1]


MARKER = "###"
INSTRUCTION = (
    "Rewrite the reasoning as the shortest list of steps that leads from the question to the final answer.\n"
    "- Keep only what the final answer rests on; leave out guesses that were dropped, checks and detours.\n"
    "- Say each thing once. Keep the steps short.\n"
    "- Stay with what the reasoning says, even where it is wrong; correct nothing and add nothing.\n"
    f"- Begin each step with {MARKER} and write nothing else.\n\n"
    "Example\nQuestion: In which country was the architect of the Tower of Orla born?\n"
    "Reasoning: The Tower of Orla... was it Brenn? No, wait. Brenn built the bridge. The tower is by Sava Lind. Lind was born in Tarn, I "
    "think in Tarn, yes. Tarn lies in Ostria. Let me check: Ostria, yes.\nFinal answer: Ostria\n"
    f"Steps:\n{MARKER} Sava Lind built the Tower of Orla.\n{MARKER} Sava Lind was born in Tarn.\n{MARKER} Tarn lies in Ostria.\n\n"
    "Question: {question}\nReasoning: {reasoning}\nFinal answer: {answer}\nSteps:"
)


@dataclass(frozen=True)
class ModelStepExtractor:
    """A model rewrites the reasoning (greedy). Reasoning that does not fit is cut from its beginning, the answer never.

    model: any that can be asked. max_characters: of the reasoning at most. ``n_truncated`` counts reasonings that were cut.
    """

    model: Model
    max_new_tokens: int = 2048
    max_characters: int = 24_000
    instruction: str = INSTRUCTION
    _counts: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_truncated(self) -> int:
        """How many reasonings were cut so far."""
        return self._counts.get("truncated", 0)

    def __call__(self, question: str, reasoning: str, answer: str) -> list[str]:
        """The steps of one reasoning. Raises ``ModelError`` when the model fails."""
        return self.batch([(question, reasoning, answer)])[0]

    def batch(self, asked: Sequence[tuple[str, str, str]]) -> list[list[str]]:
        """The steps of several (question, reasoning, answer). Raises ``ModelError`` when the model fails on one."""
        kept = [reasoning[-self.max_characters :] for _, reasoning, _ in asked]
        found: list[list[str] | None] = [None] * len(asked)
        settings = GenerationSettings(max_new_tokens=self.max_new_tokens)
        while waiting := [k for k, steps in enumerate(found) if steps is None]:
            requests = [GenerationRequest(self._prompt(asked[k][0], kept[k], asked[k][2])) for k in waiting]
            for k, result in zip(waiting, self.model.generate(requests, settings), strict=True):
                if result.greedy is not None:
                    found[k] = _steps(result.greedy.text)
                elif len(kept[k]) > 1 and "context" in (result.error or ""):  # too long a prompt: try with the later half
                    kept[k] = kept[k][len(kept[k]) // 2 :]
                else:
                    raise ModelError(f"the step extractor {self.model.uri} failed: {result.error or 'no reply'}")
        cut = sum(len(k) < len(reasoning) for k, (_, reasoning, _) in zip(kept, asked, strict=True))
        self._counts["truncated"] = self.n_truncated + cut
        return [steps or [] for steps in found]

    def _prompt(self, question: str, reasoning: str, answer: str) -> Prompt:
        fields = {"question": question, "reasoning": reasoning, "answer": answer}
        # one pass: braces inside a text must stay what they are
        text = re.sub(r"\{(question|reasoning|answer)\}", lambda match: fields[match[1]], self.instruction)
        return Prompt(text=text, messages=(Message("user", text),))


def _steps(reply: str) -> list[str]:
    return [step.strip() for step in reply.split(MARKER) if step.strip()]
