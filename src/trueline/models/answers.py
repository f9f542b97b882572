"""What is decoded for a request, and decoded rows put together as its result."""

from __future__ import annotations

from collections.abc import Sequence

from trueline.errors import InputError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, RequestResult
from trueline.models.encoding import TextCodec
from trueline.models.sampling import check_law
from trueline.models.steps import DecodedRow, Row
from trueline.models.token_stats import check_columns


def rows_of(request: GenerationRequest, limit: int) -> list[Row]:
    """What to decode for one request, of prompt 0."""
    if not all(0 < len(tokens) <= limit for tokens in request.forced):
        raise InputError(f"a forced beginning must hold 1 to max_new_tokens={limit} tokens; for the plain answer ask for the greedy one")
    greedy = [Row(0, None)] * request.greedy
    return [*greedy, *(Row(0, seed) for seed in request.sample_seeds), *(Row(0, None, tokens) for tokens in request.forced)]


def check_settings(settings: GenerationSettings) -> None:
    """Raise ``InputError`` for settings that mean nothing."""
    check_law(settings.law)
    check_columns(settings.greedy_columns | settings.sample_columns)
    for name in ("max_new_tokens", "batch_size", "top_k_alternatives"):
        if getattr(settings, name) < 1:
            raise InputError(f"{name} must be at least 1, got {getattr(settings, name)}")
    if "" in settings.stop:
        raise InputError("a stop string must not be empty")


def answer_texts(codec: TextCodec, rows: Sequence[DecodedRow], stops: tuple[str, ...]) -> list[str]:
    """The text of each row: an end-of-sequence token is left out, a stop string and what follows it cut off."""
    texts = codec.decode([row.tokens[:-1] if row.finish_reason == "eos" else row.tokens for row in rows])
    return [
        text[: min(text.find(stop) for stop in stops if stop in text)] if row.finish_reason == "stop" else text
        for row, text in zip(rows, texts, strict=True)
    ]


def request_result(
    codec: TextCodec, answers: Sequence[tuple[Row, DecodedRow, str]], n_prompt: int, settings: GenerationSettings
) -> RequestResult:
    """The rows of one request, each with its text, as its result."""
    if broken := [len(answer.tokens) for _, answer, _ in answers if answer.finish_reason == "nan"]:
        return RequestResult(error=f"the model's next-token law is not a number (NaN logits) at token {broken[0]} of an answer")
    greedy: Generation | None = None
    samples, forced = [], []
    for row, answer, text in answers:
        generation = Generation(
            text,
            tokens=answer.tokens,
            token_logprobs=answer.logprobs,
            stats=answer.stats,
            topk_ids=answer.topk_ids,
            topk_logprobs=answer.topk_logprobs,
            inside=answer.inside,
            finish_reason=answer.finish_reason,
            n_prompt_tokens=n_prompt,
        )
        marked = settings.texts_with is not None and settings.texts_with in text
        if row.seed is None or marked or "token_texts" in settings.sample_columns:
            n_text = len(answer.tokens) - (answer.finish_reason == "eos")
            generation.token_texts = codec.token_texts(answer.tokens[:n_text], text) + [""] * (len(answer.tokens) - n_text)
        if row.forced:
            forced.append(generation)
        elif row.seed is None:
            if "topk_texts" in settings.greedy_columns and answer.topk_ids is not None:
                generation.topk_texts = codec.alternative_texts(answer.tokens, answer.topk_ids.tolist())
            greedy = generation
        else:
            samples.append(generation)
    return RequestResult(greedy, tuple(samples), forced=tuple(forced))
