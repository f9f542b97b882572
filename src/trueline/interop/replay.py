"""Audits of models that another tool asks: record what an audit would ask, have it asked elsewhere, and replay the answers to the audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Model, OptionScores, Prompt, RequestResult
from trueline.run import Run
from trueline.tasks.item import Item, Task

Audit = Callable[[Model], object]
_UNASKED = "recorded, not asked"


def audit_task(audit: Audit, name: str, *, samples: bool = True) -> Task:
    """The prompts that an audit asks of its model, as a task: for `inspect_task`, or for `measure`.

    Parameters
    ----------
    audit : called with a model that answers nothing, such as ``lambda judge: DiscretionAudit(principles, oracle=judge).run(pairs)``.
        What it asks must not depend on answers, and it must be able to do with texts: scores of given continuations cannot be asked
        elsewhere.
    name : of the task.
    samples : whether the audit may ask for sampled answers; False: for the greedy one alone.

    Raises ``InputError`` when the audit asks nothing that can be recorded.
    """
    asked = _Recorder(samples)
    refused: InputError | None = None
    try:
        audit(asked)
    except InputError as error:  # an audit without a single answer may refuse to conclude; what it asked is what is wanted here
        refused = error
    if not asked.prompts:
        raise InputError(f"the audit asked for no text that could be recorded{'' if refused is None else f': {refused}'}") from refused
    items = [_item(key, prompt) for key, prompt in asked.prompts.items()]
    notes = (f"{asked.most_samples} sampled answers a prompt are asked for",) if asked.most_samples else ()
    return Task(name, items, template="{question}", max_new_tokens=asked.max_new_tokens, stop=asked.stop, reasoning="none", notes=notes)


class Replay:
    """A model that gives the answers that a run holds, such as the imported log of an `audit_task`; it asks nobody.

    A prompt that the run does not know is an error of that request, which every audit counts.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._greedy: dict[str, Generation] = {}
        self._samples: dict[str, list[Generation]] = {}
        for block in run.blocks(columns=["text", "error", "token_logprobs", "token_texts", "finish_reason"]):
            for row in block.table.to_pylist():
                if row["kind"] == "greedy":
                    self._greedy[row["item_id"]] = _generation(row)
                elif row["kind"] == "sample":
                    self._samples.setdefault(row["item_id"], []).append(_generation(row))
        every = [*self._greedy.values(), *(g for found in self._samples.values() for g in found)]
        known = bool(every) and all(g.token_logprobs is not None for g in every if g.error is None)
        self.capabilities = frozenset(
            {"chat", *({"greedy"} if self._greedy else ()), *({"samples"} if self._samples else ()), *({"logprobs"} if known else ())}
        )

    @property
    def uri(self) -> str:
        """The model of the run."""
        return str(self._run.manifest["model"]["uri"])

    def fingerprint(self) -> Mapping[str, object]:
        """That of the run."""
        found: dict[str, object] = self._run.manifest["model"]["fingerprint"]
        return found

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """The stored answers, samples in order; seeds and settings are those of the run."""
        del settings
        return [self._answer(request) for request in requests]

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Not to be had from a log."""
        return [OptionScores(np.full(len(part), np.nan), error="a log holds no scores of given texts") for part in options]

    def _answer(self, request: GenerationRequest) -> RequestResult:
        key = prompt_key(request.prompt)
        greedy, samples = self._greedy.get(key), self._samples.get(key, [])
        if (request.greedy and greedy is None) or len(samples) < len(request.sample_seeds):
            held = f"{len(samples)} sampled answers" if key in self._samples or key in self._greedy else "no answer"
            return RequestResult(error=f"the run holds {held} to this prompt")
        return RequestResult(greedy if request.greedy else None, tuple(samples[: len(request.sample_seeds)]))


class _Recorder:
    """Notes what it is asked and answers nothing."""

    def __init__(self, samples: bool) -> None:
        self.prompts: dict[str, Prompt] = {}
        self.max_new_tokens, self.most_samples = 1, 0
        self.stop: tuple[str, ...] = ()
        self.capabilities = frozenset({"chat", "greedy", *({"samples"} if samples else ())})

    @property
    def uri(self) -> str:
        return "recorder:"

    def fingerprint(self) -> Mapping[str, object]:
        return {"recorder": True}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        for request in requests:
            self.prompts.setdefault(prompt_key(request.prompt), request.prompt)
            self.most_samples = max(self.most_samples, len(request.sample_seeds))
        self.max_new_tokens = max(self.max_new_tokens, settings.max_new_tokens)
        self.stop = settings.stop or self.stop
        return [RequestResult(error=_UNASKED) for _ in requests]

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        return [OptionScores(np.full(len(part), np.nan), error=_UNASKED) for part in options]


def prompt_key(prompt: Prompt) -> str:
    """The id of a prompt as an item: a hash of all that a model may be shown."""
    shown = json.dumps([prompt.text, [[m.role, m.content] for m in prompt.messages]], ensure_ascii=True)
    return hashlib.blake2b(shown.encode(), digest_size=12).hexdigest()


def _item(key: str, prompt: Prompt) -> Item:
    turns = tuple((m.role, m.content) for m in prompt.messages)
    return Item(key, turns[-1][1] if turns else prompt.text or "", prompt_text=prompt.text, messages=turns)


def _generation(row: Mapping[str, Any]) -> Generation:
    logprobs = row["token_logprobs"]
    return Generation(
        row["text"] or "",
        token_texts=row["token_texts"],
        token_logprobs=None if logprobs is None else np.array(logprobs),
        error=row["error"],
        finish_reason=row["finish_reason"],
    )
