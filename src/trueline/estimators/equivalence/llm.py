"""A language model as a judge: do two answers to a question mean the same, yes or no?"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueline.errors import ModelError
from trueline.estimators.equivalence.base import Verdicts
from trueline.models.base import GenerationRequest, GenerationSettings, Message, Model, Prompt

TEMPLATE = (
    "Question: {question}\nFirst answer: {premise}\nSecond answer: {hypothesis}\n"
    "Do the two answers mean the same thing, as answers to this question? Reply with yes or no and nothing else."
)


@dataclass(frozen=True)
class LLMJudge:
    """Asks any model whether two answers mean the same. P(entail) is P(yes), P(contradict) is P(no); there is no neutral verdict
    but for a reply that is neither.

    A model that can score continuations is read by the log-probs of " yes" and " no"; any other one by its greedy reply.
    """

    model: Model
    template: str = TEMPLATE
    self_pairs: bool = False
    batch_size: int = 128

    @property
    def name(self) -> str:
        """``llm:`` and the model's URI."""
        return f"llm:{self.model.uri}"

    def fingerprint(self) -> str:
        """Hash of the model's fingerprint and the template."""
        text = json.dumps([dict(self.model.fingerprint()), self.template, "score" in self.model.capabilities], sort_keys=True, default=str)
        return f"llm-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        """The prompt, and an empty second part."""
        fields = {"{question}": question, "{premise}": premise, "{hypothesis}": hypothesis}
        # one pass: braces inside an answer must stay what they are
        return re.sub(r"\{(question|premise|hypothesis)\}", lambda match: fields[match[0]], self.template), ""

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        """Verdicts on rendered pairs. Raises ``ModelError`` when the model fails on one: a verdict is never made up."""
        prompts = [Prompt(text=f"{text}\nReply:", messages=(Message("user", text),)) for text, _ in pairs]
        probs = self._scored(prompts) if "score" in self.model.capabilities else self._asked(prompts)
        return Verdicts(np.asarray(probs, dtype=np.float64).reshape(len(pairs), 3), np.zeros(len(pairs), dtype=bool))

    def _scored(self, prompts: list[Prompt]) -> list[tuple[float, float, float]]:
        probs = []
        for result in self.model.score(prompts, [(" yes", " no")] * len(prompts)):
            if result.error is not None:
                raise ModelError(f"the judge {self.name} could not compare two answers: {result.error}")
            yes, no = (float(x) for x in result.logprobs)
            p = float(np.exp(yes - np.logaddexp(yes, no)))
            probs.append((p, 0.0, 1.0 - p))
        return probs

    def _asked(self, prompts: list[Prompt]) -> list[tuple[float, float, float]]:
        settings = GenerationSettings(max_new_tokens=8)
        probs = []
        for result in self.model.generate([GenerationRequest(prompt) for prompt in prompts], settings):
            if result.error is not None or result.greedy is None:
                raise ModelError(f"the judge {self.name} could not compare two answers: {result.error or 'no reply'}")
            word = re.search(r"\b(yes|no)\b", result.greedy.text.lower())
            if word is None:
                probs.append((0.0, 1.0, 0.0))
            else:
                probs.append((1.0, 0.0, 0.0) if word[0] == "yes" else (0.0, 0.0, 1.0))
        return probs
