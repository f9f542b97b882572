"""A model of Inspect AI as a model of trueline: inside a task of Inspect, whatever trueline asks is asked through Inspect and logged there.

The other direction is `inspect_model`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio
import anyio.from_thread
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessageUser, GenerateConfig, ModelOutput
from inspect_ai.model import Model as Asked
from inspect_ai.util import LimitExceededError

from trueline.interop.inspect_messages import generation_of, messages_of
from trueline.interop.inspect_model import TruelineAPI
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult, SamplingLaw
from trueline.models.server.calls import Reply
from trueline.models.server.model import alternatives, read_options
from trueline.models.server.replies import UnusableReply

T = TypeVar("T")
#: Numbers of alternatives to a token that a provider is asked for, until one is given.
_TRIED = (20, 5)
PROBE = "Reply with the word yes."
#: What audits ask of a white box beside `Model`.
_INSIDE = ("continuation", "token_texts", "next_token_logprobs", "tokenizer")
_GREEDY = SamplingLaw(temperature=0.0)


@dataclass(frozen=True)
class Shown:
    """What a model shows beside its answers: log-probs of its tokens, and how many alternatives to each at most."""

    logprobs: bool = False
    top_logprobs: int = 0


async def reach(model: Asked) -> InspectModel:
    """The model, for work in a worker thread of this event loop. What it shows is found out by a question, if it is not one of trueline's.

    Raises what the provider raises when it answers nothing at all (a wrong key, an unknown model).
    """
    if isinstance(model.api, TruelineAPI):
        return OwnModel(model, model.api)
    return InspectModel(model, await _seen(model))


class InspectModel:
    """A `Model` that asks a model of Inspect; its methods are called from a worker thread (``anyio.to_thread.run_sync``).

    Scores of given texts are those of single tokens among the alternatives to the first one, as of a server. A request that fails is an
    error of that request; a limit of Inspect's ends the task.
    """

    def __init__(self, model: Asked, shown: Shown) -> None:
        self.model, self.shown = model, shown

    @property
    def uri(self) -> str:
        """``inspect:PROVIDER/NAME``."""
        return f"inspect:{self.model}"

    @property
    def capabilities(self) -> frozenset[str]:
        """Names from ``Model.capabilities``. Whether it reads images shows when it is asked."""
        known = {"logprobs"} if self.shown.logprobs else set[str]()
        return frozenset({"greedy", "samples", "chat", "images", *known, *({"topk", "score"} if self.shown.top_logprobs else ())})

    def fingerprint(self) -> Mapping[str, object]:
        """Provider and name: Inspect shows no weights."""
        return {"inspect": str(self.model)}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """Answer every request, as many at a time as Inspect lets through."""
        return anyio.from_thread.run(_together, [partial(self._request, request, settings) for request in requests])

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Log-probs of one-token options as the next token; -inf for one that is not among the alternatives."""
        return anyio.from_thread.run(_together, [partial(self._score, *pair) for pair in zip(prompts, options, strict=True)])

    async def _request(self, request: GenerationRequest, settings: GenerationSettings) -> RequestResult:
        top = alternatives(settings, settings.greedy_columns)
        drawn = alternatives(settings, settings.sample_columns)
        work = [partial(self._answer, request.prompt, settings, _GREEDY, None, top)] if request.greedy else []
        work += [partial(self._answer, request.prompt, settings, settings.law, seed, drawn) for seed in request.sample_seeds]
        made = await _together(work)
        greedy, samples = (made[0], made[1:]) if request.greedy else (None, made)
        good = tuple(answer for answer in samples if isinstance(answer, Generation))
        failed = dict.fromkeys(answer for answer in made if isinstance(answer, str))
        return RequestResult(greedy if isinstance(greedy, Generation) else None, good, "; ".join(failed) or None)

    async def _score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores:
        settings = GenerationSettings(max_new_tokens=1)
        made = await self._answer(prompt, settings, _GREEDY, None, self.shown.top_logprobs)
        return read_options(Reply((made,)), options)

    async def _answer(self, prompt: Prompt, settings: GenerationSettings, law: SamplingLaw, seed: int | None, top: int) -> Generation | str:
        """One answer, or why there is none."""
        config = GenerateConfig(
            max_tokens=settings.max_new_tokens,
            stop_seqs=list(settings.stop) or None,
            temperature=law.temperature,
            top_p=None if law.top_p == 1 else law.top_p,
            top_k=law.top_k or None,
            seed=None if seed is None else seed % 2**31,
            logprobs=self.shown.logprobs or None,
            top_logprobs=min(top, self.shown.top_logprobs) or None,
        )
        try:
            output = await self.model.generate(messages_of(prompt, seed=seed), config=config)
        except LimitExceededError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a provider raises is this request's error, as every audit counts it
            return line_of(error)
        return _read(output, bool(settings.stop))


class OwnModel(InspectModel):
    """One of trueline's models, asked through Inspect. Where Inspect has no question for it, scores of given texts and next tokens, the
    model is asked itself, and the transcript says how often."""

    def __init__(self, model: Asked, api: TruelineAPI) -> None:
        able = api.model.capabilities
        super().__init__(model, Shown("logprobs" in able, 2**31 if "topk" in able else 0))
        self.own = api.model
        for name in _INSIDE:
            if hasattr(self.own, name):
                setattr(self, name, getattr(self.own, name))

    @property
    def uri(self) -> str:
        """The model's own."""
        return self.own.uri

    @property
    def capabilities(self) -> frozenset[str]:
        """Those of the model that can be asked for through Inspect, and scores."""
        return self.own.capabilities & {"greedy", "samples", "chat", "logprobs", "topk", "score", "images"}

    def fingerprint(self) -> Mapping[str, object]:
        """The model's own: a run that was begun without Inspect goes on."""
        return self.own.fingerprint()

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Log-probs of the options."""
        transcript().info({"scored_prompts": len(prompts), "scored_texts": sum(map(len, options))}, source="trueline")
        return self.own.score(prompts, options)


async def _together(work: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """The results of all, in order; the first exception ends them all and is raised as it is."""
    found: dict[int, T] = {}
    ended: list[Exception] = []

    async def one(k: int) -> None:
        try:
            found[k] = await work[k]()
        except Exception as error:  # noqa: BLE001  raised again below, out of its group
            ended.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for k in range(len(work)):
            group.start_soon(one, k)
    if ended:
        raise ended[0]
    return [found[k] for k in range(len(work))]


async def _seen(model: Asked) -> Shown:
    """Ask for log-probs and alternatives, for fewer of them, for none; what a provider refuses it does not show."""
    asked = [ChatMessageUser(content=PROBE)]
    plain = GenerateConfig(max_tokens=16, temperature=0.0)
    for top in (*_TRIED, 0):
        try:
            output = await model.generate(list(asked), config=plain.merge(GenerateConfig(logprobs=True, top_logprobs=top or None)))
        except LimitExceededError:
            raise
        except Exception:  # noqa: BLE001  the last question, without log-probs, tells whether it answers at all
            continue
        made = _read(output, False)
        if isinstance(made, str) or made.token_logprobs is None:
            return Shown()
        return Shown(True, 0 if made.topk_logprobs is None else int(made.topk_logprobs.shape[1]))
    await model.generate(list(asked), config=plain)
    return Shown()


def _read(output: ModelOutput, stops: bool) -> Generation | str:
    if not output.choices:
        return output.error or "the model gave no output"
    try:
        return generation_of(output.choices[0], stops=stops, n_prompt_tokens=output.usage.input_tokens if output.usage else None)
    except UnusableReply as error:
        return f"rejected: {error}"


def line_of(error: BaseException) -> str:
    """An error in one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
