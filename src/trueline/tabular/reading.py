"""Ask a model and read the answer as far as it determines a risk: the law over options, the digits of a number, or a text.

A local model is asked for the exact probability of every token that can stand for an answer. A server shows its 20 likeliest tokens; what
is not among them counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trueline.errors import InputError, ModelError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Model, Prompt
from trueline.tabular.answers import VARIANTS, best_numeric, is_numeric_token, number_of_tokens, parse_probability
from trueline.tabular.prompting import Asking
from trueline.tabular.questions import Choices, Numeric, Question

if TYPE_CHECKING:
    from trueline.models.local import LocalModel

_ALTERNATIVES = 20
#: Tokens of a number that a server is asked for: two of digits, and as many for "0.".
_NUMBER_TOKENS = 4
#: A server's number read from its text wins where the two readings differ by more.
_READINGS_DIFFER = 0.01


class Reader:
    """Asks one model; `read` gives one JSON-safe answer a prompt, or a `ModelError`.

    Choices: (n_variants, n_options) probabilities. Numeric: {"value": number or None}. Reasoned: {"text": str}.
    """

    def __init__(self, model: Model, question: Question, truncate: bool = False) -> None:
        """Raises ``InputError`` when the model cannot be asked such a question."""
        self.model, self.question, self.truncate = model, question, truncate
        self.chat = "chat" in model.capabilities
        self.local = hasattr(model, "next_token_logprobs") and hasattr(model, "tokenizer")
        if isinstance(question, Choices | Numeric) and not self.local:
            usable = {"topk", "score"} if isinstance(question, Choices) else {"topk"}
            if not usable & model.capabilities:
                raise InputError(
                    f"{model.uri} shows no log-probs of alternatives, which this question is read from; "
                    "ask it as Reasoned (--question reasoned)"
                )

    def prompt(self, asking: Asking) -> Prompt:
        """The prompt in the model's form; a server's chat cannot be given the beginning of an answer."""
        return asking.prompt(chat=self.chat, prefilled=self.local)

    def read(self, prompts: Sequence[Prompt]) -> list[Any]:
        """Ask all prompts."""
        if isinstance(self.question, Choices):
            return self._choices(prompts, self.question)
        if isinstance(self.question, Numeric):
            return self._numbers(prompts, self.question)
        settings = GenerationSettings(max_new_tokens=self.question.max_new_tokens)
        return [found if isinstance(found, ModelError) else {"text": found.text} for found in self._generate(prompts, settings)]

    def _generate(self, prompts: Sequence[Prompt], settings: GenerationSettings) -> list[Generation | ModelError]:
        results = self.model.generate([GenerationRequest(prompt) for prompt in prompts], settings)
        return [ModelError(r.error or "no answer") if r.greedy is None else r.greedy for r in results]

    # -- options --------------------------------------------------------------------------------------------------------

    def _choices(self, prompts: Sequence[Prompt], question: Choices) -> list[Any]:
        labels = question.labels
        if self.local:
            return self._exact_choices(prompts, labels)
        if "topk" not in self.model.capabilities:
            return self._scored_choices(prompts, labels)
        settings = GenerationSettings(max_new_tokens=1, greedy_columns=frozenset({"topk"}), top_k_alternatives=_ALTERNATIVES)
        found = self._generate(prompts, settings)
        return [f if isinstance(f, ModelError) else _table(_alternatives(f, 0), labels) for f in found]

    def _exact_choices(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[Any]:
        cells = [
            (v, o, token)
            for v, lead in enumerate(VARIANTS)
            for o, label in enumerate(labels)
            if (token := self._vocabulary.get(lead + label)) is not None
        ]
        if not cells:
            raise InputError(f"the tokenizer of {self.model.uri} has no token for any of the answers {', '.join(labels)}")
        local: LocalModel = self.model  # type: ignore[assignment]
        tables = []
        for found in local.next_token_logprobs(prompts, [token for *_, token in cells], truncate=self.truncate):
            table = np.zeros((len(VARIANTS), len(labels)))
            if not isinstance(found, ModelError):
                for (v, o, _), value in zip(cells, found, strict=True):
                    table[v, o] = math.exp(value)
            tables.append(found if isinstance(found, ModelError) else table.tolist())
        return tables

    def _scored_choices(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[Any]:
        """For models that score given texts: bare labels and those with a leading space."""
        options = [*labels, *(f" {label}" for label in labels)]
        answers: list[Any] = []
        for found in self.model.score(prompts, [options] * len(prompts)):
            if found.error is not None:
                answers.append(ModelError(found.error))
                continue
            table = np.zeros((len(VARIANTS), len(labels)))
            table[:2] = np.exp(found.logprobs).reshape(2, -1)
            answers.append(table.tolist())
        return answers

    # -- numbers --------------------------------------------------------------------------------------------------------

    def _numbers(self, prompts: Sequence[Prompt], question: Numeric) -> list[Any]:
        return self._exact_numbers(prompts, question) if self.local else self._listed_numbers(prompts, question)

    def _exact_numbers(self, prompts: Sequence[Prompt], question: Numeric) -> list[Any]:
        """Two passes behind "0."; four without it, for "0." is then two of them."""
        names = [name for name in self._vocabulary if is_numeric_token(name)]
        if not names:
            raise InputError(f"the tokenizer of {self.model.uri} has no token of digits")
        ids = [self._vocabulary[name] for name in names]
        local: LocalModel = self.model  # type: ignore[assignment]
        said: list[list[int]] = [[] for _ in prompts]
        errors: dict[int, ModelError] = {}
        for _ in range(2 if question.prefill_zero else _NUMBER_TOKENS):
            for i, found in enumerate(local.next_token_logprobs(prompts, ids, after=said, truncate=self.truncate)):
                if isinstance(found, ModelError):
                    errors[i] = found
                else:
                    said[i].append(ids[int(np.argmax(found))])
        text_of = dict(zip(ids, names, strict=True))
        prefix = "0." if question.prefill_zero else ""
        return [errors.get(i, {"value": number_of_tokens([text_of[t] for t in tokens], prefix)}) for i, tokens in enumerate(said)]

    def _listed_numbers(self, prompts: Sequence[Prompt], question: Numeric) -> list[Any]:
        settings = GenerationSettings(max_new_tokens=_NUMBER_TOKENS, greedy_columns=frozenset({"topk"}), top_k_alternatives=_ALTERNATIVES)
        # only a completion model was given the "0."
        prefix = "0." if question.prefill_zero and not self.chat else ""
        answers: list[Any] = []
        for found in self._generate(prompts, settings):
            answers.append(found if isinstance(found, ModelError) else {"value": _listed_number(found, prefix)})
        return answers

    @cached_property
    def _vocabulary(self) -> Mapping[str, int]:
        vocabulary: Mapping[str, int] = self.model.tokenizer.get_vocab()  # type: ignore[attr-defined]
        return vocabulary


def _alternatives(generation: Generation, position: int) -> dict[str, float]:
    """Token text -> probability at one position of an answer."""
    if generation.topk_logprobs is None or generation.topk_texts is None or position >= len(generation.topk_texts):
        return {}
    found: dict[str, float] = {}
    for text, value in zip(generation.topk_texts[position], generation.topk_logprobs[position], strict=True):
        if value == value:
            found[text] = min(1.0, found.get(text, 0.0) + math.exp(value))
    return found


def _table(probs: Mapping[str, float], labels: Sequence[str]) -> list[list[float]]:
    return [[probs.get(lead + label, 0.0) for label in labels] for lead in VARIANTS]


def _listed_number(generation: Generation, prefix: str) -> float | None:
    """The number of the likeliest numeric tokens, or that of the whole text where they differ."""
    n = len(generation.topk_texts or ())
    tokens = [best_numeric(_alternatives(generation, k)) for k in range(2 if prefix else n)]
    read = number_of_tokens(tokens, prefix)
    said = number_of_tokens([generation.text.strip()[:40]], prefix) if prefix else parse_probability(generation.text[:400])
    if said is None or read is None:
        return said if read is None else read
    return said if abs(said - read) > _READINGS_DIFFER else read
