"""A model behind an OpenAI-compatible server, as a ``Model``."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np

from trueline.errors import InputError, ModelError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.models.server.calls import Call, Price, Reply, ServerOptions, Usage, read_key, shown_url
from trueline.models.server.probing import Capabilities, most_samples, probe
from trueline.models.server.replies import read_reply, request_body
from trueline.models.server.transport import Refused, Transport

T = TypeVar("T")

#: Shown with the plan.
SAME_ANSWERS = "the server's answers to one question at temperature 2 were all the same: if it ignores temperature, samples tell nothing"
#: Why a question with fixed options has no answer although the server replied.
NO_OPTION_LISTED = "none of the options is among the alternatives that the server lists"


def load(
    name: str,
    *,
    base_url: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
    api: str = "auto",
    concurrency: int = 32,
    timeout: float = 120.0,
    retries: int = 6,
    price_prompt: float = 0.0,
    price_completion: float = 0.0,
) -> ServerModel:
    """The model that a server calls ``name``; the loader of ``openai:NAME``.

    base_url: default ``OPENAI_BASE_URL``, else OpenAI's own. key_file: a file that only you can read; default ``OPENAI_API_KEY``.
    api: ``chat``, ``completions`` or ``auto``. concurrency: most requests in flight. timeout: seconds a request. retries: further tries.
    price_prompt, price_completion: price of a million tokens, for the cost.

    Raises ``InputError`` for settings that cannot be; nothing is asked of the server yet.
    """
    url = base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    options = ServerOptions(url, read_key(key_file), api, concurrency, timeout, retries)
    if options.api_key == "none" and "api.openai.com" in url:
        raise InputError("no key for api.openai.com: set OPENAI_API_KEY, or set OPENAI_BASE_URL to the server you mean")
    return ServerModel(name, options, Price(price_prompt, price_completion))


class ServerModel:
    """A ``Model`` that asks a server. What the server can do is found out by one question when it first matters.

    ``usage``: tokens and requests paid for by this object.
    """

    def __init__(self, name: str, options: ServerOptions, price: Price | None = None) -> None:
        if not name.strip():
            raise InputError("a model behind a server needs its name, such as openai:gpt-4o-mini")
        self.name = name
        self.options = options
        self.price = price or Price()
        self.usage = Usage()
        self._seen: Capabilities | None = None
        self._most: dict[int, int] = {}  # samples wanted -> samples a call

    def __repr__(self) -> str:
        return f"ServerModel({self.name!r}, {shown_url(self.options.base_url)!r})"

    @property
    def uri(self) -> str:
        """``openai:NAME``."""
        return f"openai:{self.name}"

    @property
    def seen(self) -> Capabilities:
        """What the server can do; asks it once."""
        if self._seen is None:
            self._seen = run_async(self._probe())
        return self._seen

    def knowing(self, seen: Capabilities) -> ServerModel:
        """The same model, which need not ask what its server can do."""
        model = ServerModel(self.name, self.options, self.price)
        model._seen, model._most = seen, dict(self._most)
        return model

    @property
    def capabilities(self) -> frozenset[str]:
        """Names from ``Model.capabilities``; asks the server once."""
        seen = self.seen
        found = {"samples"} | ({"greedy"} if seen.greedy else set()) | ({"chat"} if seen.route == "chat" else set())
        found |= {"logprobs"} if seen.logprobs else set()
        found |= {"topk", "score"} if seen.top_logprobs > 1 else set()
        return frozenset(found)

    @property
    def decoding(self) -> str | None:
        """What a reader of the plan must know about how the server decodes, if anything."""
        return None if self.seen.varied else SAME_ANSWERS

    def fingerprint(self) -> Mapping[str, object]:
        """Server and model name: a server does not show its weights."""
        return {"server": shown_url(self.options.base_url), "name": self.name, "api": self.options.api}

    async def _probe(self) -> Capabilities:
        transport = Transport(dataclasses.replace(self.options, concurrency=1), probing=True)
        try:
            return await probe(transport, self.name, self.options.api)
        finally:
            await transport.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Connections for many requests inside one event loop."""
        if self._seen is None:
            self._seen = await self._probe()
        session = Session(self, Transport(self.options), self._seen)
        try:
            yield session
        finally:
            await session.transport.close()

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """Answer every request, many at a time. A request that cannot be answered gets ``error``."""

        async def all_of_them() -> list[RequestResult]:
            async with self.session() as session:
                return await asyncio.gather(*(session.generate(request, settings) for request in requests))

        return run_async(all_of_them())

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Log-probs of one-token options as the next token, read from the alternatives of the first token.

        An option that is not among the alternatives gets -inf: its probability is below all that the server lists.
        """

        async def all_of_them() -> list[OptionScores]:
            async with self.session() as session:
                return await asyncio.gather(*(session.score(p, o) for p, o in zip(prompts, options, strict=True)))

        return run_async(all_of_them())


class Session:
    """Open connections of a ``ServerModel``; belongs to one event loop."""

    def __init__(self, model: ServerModel, transport: Transport, seen: Capabilities) -> None:
        self.model = model
        self.transport = transport
        self.seen = seen
        self._finding = asyncio.Lock()

    async def ask(self, call: Call) -> Reply:
        """One request. Raises ``ModelError`` when no request can succeed; a request that fails alone is a reply with ``error``."""
        call = self.fitted(call)
        try:
            document, body = await self.transport.post(
                self.seen.route, request_body(self.model.name, self.seen.route, call, self.seen.dialect)
            )
        except Refused as refused:
            return Reply(error=str(refused))
        reply = read_reply(document, call, self.seen.route, body)
        self.model.usage += reply.usage
        return reply

    def read(self, document: Mapping[str, Any], call: Call) -> Reply:
        """The reply that ``document`` was to ``call``."""
        return read_reply(document, self.fitted(call), self.seen.route)

    def fitted(self, call: Call) -> Call:
        """The call without what the server does not take.

        Raises ``ModelError`` for a temperature that it refuses: another one would be another law.
        """
        if not (self.seen.greedy if call.temperature == 0 else self.seen.dialect.temperature or call.temperature == 1):
            raise ModelError(f"the server does not take temperature {call.temperature:g} for {self.model.uri}")
        return dataclasses.replace(
            call,
            logprobs=call.logprobs and self.seen.logprobs,
            top_logprobs=min(max(call.top_logprobs, self.seen.least), self.seen.top_logprobs) if call.logprobs else 0,
            seed=call.seed if self.seen.seed else None,
        )

    async def _at_once(self, wanted: int) -> int:
        """How many samples one call may bring; the server is asked once."""
        if not self.seen.several:
            return 1
        async with self._finding:
            known = self.model._most
            if wanted not in known:
                known[wanted] = await most_samples(self.transport, self.model.name, self.seen, wanted)
        return known[wanted]

    async def calls(self, request: GenerationRequest, settings: GenerationSettings) -> list[tuple[str, Call]]:
        """The calls of one request, each with its name: ``greedy``, and ``sample:DRAW`` for the draws from DRAW on.

        With ``n`` the samples come in as few calls as the server allows, each under its first draw's seed; without, each draw has a call
        and its seed.
        """
        shared = {"prompt": request.prompt, "max_tokens": settings.max_new_tokens, "stop": settings.stop, "logprobs": True}
        calls = []
        if request.greedy:
            calls.append(("greedy", Call(temperature=0.0, top_logprobs=alternatives(settings, settings.greedy_columns), **shared)))  # type: ignore[arg-type]
        law = settings.law
        drawn = {"temperature": law.temperature, "top_p": law.top_p, "top_k": law.top_k, **shared}
        drawn["top_logprobs"] = alternatives(settings, settings.sample_columns)
        seeds = [seed % 2**31 for seed in request.sample_seeds]  # servers keep seeds in 32 bits
        most = await self._at_once(len(seeds)) if len(seeds) > 1 else 1
        for first in range(0, len(seeds), most):
            n = min(most, len(seeds) - first)
            calls.append((f"sample:{first}", Call(n=n, seed=seeds[first], **drawn)))  # type: ignore[arg-type]
        return calls

    async def generate(self, request: GenerationRequest, settings: GenerationSettings) -> RequestResult:
        """All generations of one request."""
        calls = await self.calls(request, settings)
        replies = await asyncio.gather(*(self.ask(call) for _, call in calls))
        return assemble({name: reply for (name, _), reply in zip(calls, replies, strict=True)})

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores:
        """See ``ServerModel.score``."""
        return read_options(await self.ask(option_call(prompt, self.seen)), options)


def alternatives(settings: GenerationSettings, columns: frozenset[str]) -> int:
    """How many alternatives to a token these trace columns need."""
    if "topk" in columns:
        return settings.top_k_alternatives
    return 2 if columns & {"token_max_logp", "token_second_logp"} else 0


def option_call(prompt: Prompt, seen: Capabilities) -> Call:
    """The call whose first token tells the probability of each option."""
    return Call(prompt, max_tokens=1, logprobs=True, top_logprobs=seen.top_logprobs)


def read_options(reply: Reply, options: Sequence[str]) -> OptionScores:
    """Log-probs of the options among the alternatives of the first token; spaces around a token do not count."""
    nothing = np.full(len(options), math.nan)
    first = reply.generations[0] if reply.generations else None
    if not isinstance(first, Generation):
        return OptionScores(nothing, reply.error or first or "no reply")
    if first.topk_logprobs is None or first.topk_texts is None:
        return OptionScores(nothing, "the server gave no alternatives to its first token")
    listed = [(text.strip(), value) for text, value in zip(first.topk_texts[0], first.topk_logprobs[0], strict=True)]
    found = [[value for text, value in listed if text == option.strip()] for option in options]
    if not any(found):
        return OptionScores(nothing, NO_OPTION_LISTED)
    return OptionScores(np.array([float(np.logaddexp.reduce(values)) if values else -math.inf for values in found]))


def assemble(replies: Mapping[str, Reply]) -> RequestResult:
    """The result of one request from the replies to its calls: the samples that came, and why others did not."""
    greedy: Generation | None = None
    samples: list[Generation] = []
    errors = []
    for name, reply in replies.items():
        if reply.error is not None:
            errors.append(reply.error)
        for generation in reply.generations:
            if isinstance(generation, str):
                errors.append(generation)
            elif name == "greedy":
                greedy = generation
            else:
                samples.append(generation)
    return RequestResult(greedy, tuple(samples), "; ".join(dict.fromkeys(errors)) or None)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end, also from inside a running event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
