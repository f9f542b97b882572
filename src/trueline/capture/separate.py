"""Take the outputs of a model apart: reasoning, answer, and where they lie among the tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trueline.models.base import Generation, RequestResult
from trueline.tasks.thinking import UNCLOSED, Splitter, token_spans


def separated(result: RequestResult, splitter: Splitter) -> RequestResult:
    """Every generation of a result taken apart."""
    greedy = None if result.greedy is None else separate(result.greedy, splitter)
    return replace(result, greedy=greedy, samples=tuple(separate(sample, splitter) for sample in result.samples))


def separate(generation: Generation, splitter: Splitter) -> Generation:
    """The generation with the answer alone as its text.

    What a server keeps apart stays as it is: its log-probs are the answer's. An output whose reasoning never ends has no text, an
    ``error``, and all of it as reasoning.
    """
    if generation.reasoning is not None:
        unanswered = not generation.text.strip() and generation.finish_reason == "length"
        known = None if generation.token_logprobs is None else 0
        return replace(generation, answer_start=known, error=UNCLOSED if unanswered else None)
    found = splitter.split(generation.text)
    if found.answer is None:
        return replace(generation, text="", reasoning=generation.text.strip(), error=UNCLOSED)
    if found.reasoning is None:
        return generation
    spans = None if generation.token_texts is None else token_spans(generation.token_texts, splitter)
    return replace(
        generation,
        text=found.answer,
        reasoning=found.reasoning,
        reasoning_span=None if spans is None else spans.reasoning,
        answer_start=None if spans is None else spans.answer_start,
    )


def answered(result: RequestResult) -> Generation | None:
    """The greedy output of a separated result, if it has an answer."""
    return None if result.greedy is None or result.greedy.error is not None else result.greedy


def answer_alone(row: dict[str, Any], splitter: Splitter) -> dict[str, Any]:
    """The columns of a generation that goes on from a forced beginning, with the answer alone as its text."""
    if row.get("text") is None:
        return row
    found = splitter.split(row["text"])
    if found.answer is None:
        return {**row, "text": None, "error": UNCLOSED}
    return row if found.reasoning is None else {**row, "text": found.answer, "reasoning": found.reasoning}
