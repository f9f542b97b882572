"""A model of trueline as a model of Inspect AI: ``get_model("trueline/world:chat")``, ``--model trueline/hf:DIRECTORY``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Lock
from typing import Any

import anyio
import anyio.to_thread
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    Content,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from trueline.capture.engine import draw_seed
from trueline.errors import InputError, ModelError
from trueline.interop.inspect_messages import SEED, prompt_of
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Model, Prompt, RequestResult, SamplingLaw
from trueline.models.loading import load_model

_STOPS = {"eos": "stop", "stop": "stop", "length": "max_tokens", "refusal": "content_filter"}
_KNOWN = ("stop", "max_tokens", "model_length", "tool_calls", "content_filter")


#: Requests of Inspect that are answered in one batch at most.
_TOGETHER = 64


@dataclass(eq=False)
class _Waiting:
    """A request in line, and what became of it."""

    request: GenerationRequest
    result: RequestResult | None = None
    failed: Exception | None = None


class TruelineAPI(ModelAPI):
    """Asks a model of trueline.

    Temperature 0 is its greedy answer; without a temperature it samples its own law. Without a seed the draws of one prompt are numbered,
    so that a fresh model gives the same answers again. Model arguments (``-M NAME=VALUE``) go to the model's loader.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        options = {**model_args, **({} if base_url is None else {"base_url": base_url})}
        self.model: Model = load_model(model_name, **options)
        self._drawn: Counter[Prompt] = Counter()
        self._one_at_a_time = Lock()
        self._free = anyio.Lock()
        self._waiting: dict[GenerationSettings, list[_Waiting]] = {}

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Answer one conversation. Raises `InputError` for tools, which these models do not call, and `ModelError` without an answer."""
        if tools:
            raise InputError(f"models of trueline call no tools; this task offers {tools[0].name}")
        prompt = prompt_of(input)
        whole = (input[-1].metadata or {}).get(SEED) if input else None
        seed = whole if isinstance(whole, int) else config.seed
        request, settings = self._request(prompt, config, seed), _settings(config)
        found = await self._answer(request, settings)
        choices = [_choice(self._with_texts(generation), config) for generation in found]
        used = ModelUsage(input_tokens=found[0].n_prompt_tokens or 0, output_tokens=sum(len(g.tokens or ()) for g in found))
        used.total_tokens = used.input_tokens + used.output_tokens
        return ModelOutput(model=self.model.uri, choices=choices, usage=used)

    def max_connections(self) -> int:
        """As many as are decoded together."""
        return _TOGETHER

    def _request(self, prompt: Prompt, config: GenerateConfig, seed: int | None) -> GenerationRequest:
        n = config.num_choices or 1
        if config.temperature == 0:
            if n > 1:
                raise InputError(f"{n} greedy answers would be one and the same; give a temperature above 0")
            return GenerationRequest(prompt)
        if seed is not None:
            seeds = tuple(seed + k for k in range(n))
        else:
            first = self._drawn[prompt]
            self._drawn[prompt] += n
            seeds = tuple(draw_seed(0, repr(prompt), first + k) for k in range(n))
        return GenerationRequest(prompt, greedy=False, sample_seeds=seeds)

    def _with_texts(self, made: Generation) -> Generation:
        """Samples come without the texts of their alternatives."""
        read = getattr(self.model, "token_texts", None)
        if made.topk_texts is None and made.topk_ids is not None and read is not None:
            made.topk_texts = [read(ids) for ids in made.topk_ids.tolist()]
        return made

    async def _answer(self, request: GenerationRequest, settings: GenerationSettings) -> list[Generation]:
        """Whoever comes first once the model is free asks for all who wait with the same settings."""
        own = _Waiting(request)
        self._waiting.setdefault(settings, []).append(own)
        async with self._free:
            while own.result is None and own.failed is None:  # a long line takes several batches
                line = self._waiting[settings]
                batch, self._waiting[settings] = line[:_TOGETHER], line[_TOGETHER:]
                await anyio.to_thread.run_sync(self._ask, batch, settings)
        if own.failed is not None:
            raise own.failed
        result = own.result or RequestResult()
        found = [result.greedy] if request.greedy and result.greedy is not None else list(result.samples)
        failed = next((g.error for g in found if g.error), None)
        if result.error or failed or not found:
            raise ModelError(result.error or failed or f"{self.model.uri} gave no answer")
        return found

    def _ask(self, batch: list[_Waiting], settings: GenerationSettings) -> None:
        try:
            with self._one_at_a_time:
                results = self.model.generate([waiting.request for waiting in batch], settings)
        except Exception as error:  # noqa: BLE001  raised again for each of them
            for waiting in batch:
                waiting.failed = error
            return
        for waiting, result in zip(batch, results, strict=True):
            waiting.result = result


def _settings(config: GenerateConfig) -> GenerationSettings:
    alternatives = config.top_logprobs or 0
    law = SamplingLaw(config.temperature or 1.0, 1.0 if config.top_p is None else config.top_p, config.top_k or 0)
    return GenerationSettings(
        max_new_tokens=config.max_tokens or 64,
        law=law,
        stop=tuple(config.stop_seqs or ()),
        greedy_columns=frozenset({"topk", "topk_texts"} if alternatives else ()),
        sample_columns=frozenset(({"token_texts"} if config.logprobs else set()) | ({"topk"} if alternatives else set())),
        top_k_alternatives=max(alternatives, 1),
    )


def _choice(made: Generation, config: GenerateConfig) -> ChatCompletionChoice:
    content: str | list[Content] = made.text.strip()
    if made.reasoning is not None:
        content = [ContentReasoning(reasoning=made.reasoning), ContentText(text=made.text.strip())]
    stop = _STOPS.get(made.finish_reason or "", made.finish_reason)
    return ChatCompletionChoice(
        message=ChatMessageAssistant(content=content, source="generate"),
        stop_reason=stop if stop in _KNOWN else "unknown",  # type: ignore[arg-type]
        logprobs=_logprobs(made) if config.logprobs else None,
    )


def _logprobs(made: Generation) -> Logprobs | None:
    if made.token_logprobs is None or made.token_texts is None:
        return None
    rows = []
    for k, (text, value) in enumerate(zip(made.token_texts, made.token_logprobs, strict=True)):
        tops = None
        if made.topk_texts is not None and made.topk_logprobs is not None:
            pairs = zip(made.topk_texts[k], made.topk_logprobs[k], strict=True)
            tops = [TopLogprob(token=t, logprob=float(v)) for t, v in pairs]
        rows.append(Logprob(token=text, logprob=float(value), top_logprobs=tops))
    return Logprobs(content=rows)
