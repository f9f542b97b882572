"""A scripted reasoning model: what it thinks and answers follows from the question's number and the draw, token by token."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.tasks.item import Item, Task

TOWNS = ("Kelby", "Morva", "Tisk")


class Thinker:
    """``style``: ``tags`` (<think>), ``label`` (Answer:), ``apart`` (a reasoning field). Every fifth question has no end."""

    uri = "test:thinker"
    capabilities = frozenset({"greedy", "samples", "logprobs", "score", "chat"})

    def __init__(self, style: str = "tags") -> None:
        self.style = style

    def fingerprint(self) -> Mapping[str, object]:
        return {"style": self.style}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        results = []
        for request in requests:
            asked = request.prompt.messages[-1].content
            if "robability" in asked:
                results.append(RequestResult(self._output("sure", "Probability: 0.8")))
                continue
            k = int(re.search(r"\d+", asked)[0])  # type: ignore[index]
            if k % 5 == 4:
                endless = (
                    self._output(f"P{k} works at", "") if self.style == "apart" else self._tokens(["<think>", f"P{k}", " works", " at"])
                )
                endless.finish_reason = "length"
                results.append(RequestResult(endless, tuple(self._pair(k, s, settings) for s in request.sample_seeds)))
            else:
                results.append(RequestResult(self._pair(k, 0, settings), tuple(self._pair(k, s, settings) for s in request.sample_seeds)))
        return results

    def _pair(self, k: int, seed: int, settings: GenerationSettings) -> Generation:
        town = TOWNS[(k + (seed % 3 if k % 2 else 0)) % 3]
        made = self._output(f"P{k} works at E{k}. E{k} is in {town}.", town)
        if settings.texts_with is None:
            made.token_texts = None
        return made

    def _output(self, reasoning: str, answer: str) -> Generation:
        thought = re.findall(r" ?[^ ]+", " " + reasoning)
        if self.style == "apart":
            made = self._tokens([answer, ""]) if answer else Generation("")
            made.reasoning, made.text = reasoning, answer
            return made
        if self.style == "label":
            return self._tokens(["Thought:", *thought, " Answer:", f" {answer}", ""])
        return self._tokens(["<think>", *thought, " </think>", f" {answer}", ""])

    def _tokens(self, pieces: list[str]) -> Generation:
        return Generation(
            "".join(pieces),
            tokens=list(range(len(pieces))),
            token_texts=pieces,
            token_logprobs=-np.arange(1.0, len(pieces) + 1) / 10,
            finish_reason="eos",
        )

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        return [OptionScores(np.log([0.7, 0.3])) for _ in prompts]


def thinking_task(n: int = 10) -> Task:
    """Questions whose answer is the town that the number gives."""
    items = [Item(f"q{k}", f"Where does P{k} work?", references=(TOWNS[k % 3],)) for k in range(n)]
    return Task("test:thinking", items, max_new_tokens=32)
