"""Find out what a server can do by asking it once: not by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from trueline.errors import ModelError
from trueline.models.base import Generation, Message, Prompt
from trueline.models.server.calls import Call, Reply
from trueline.models.server.replies import read_reply, request_body
from trueline.models.server.transport import NotFound, Refused, Transport

_QUESTION = "Name one colour."
#: What a request may carry and a server may refuse, most dispensable first.
_TOP = (20, 5, 1, 0)


@dataclass(frozen=True)
class Capabilities:
    """What the server was seen to do.

    route: ``chat`` or ``completions``. several: ``n`` above 1. logprobs; top_logprobs: most alternatives a token (0: none).
    seed: it takes one (whether it keeps to it is another matter). length_field: its name for the limit of tokens.
    """

    route: str
    several: bool
    logprobs: bool
    top_logprobs: int
    seed: bool
    length_field: str


async def probe(transport: Transport, model: str, api: str) -> Capabilities:
    """Ask one question with all that a capture may want; ask again with less only where the server refuses.

    Raises ``ModelError`` when it refuses even the plain question.
    """
    routes = ("chat", "completions") if api == "auto" else (api,)
    for route in routes[:-1]:
        try:
            return await _probe_route(transport, model, route)
        except NotFound:
            continue
        except _NoChat:
            continue
    try:
        return await _probe_route(transport, model, routes[-1])
    except _NoChat as error:
        raise ModelError(f"{transport.where} refuses a plain question: {error}") from None


class _NoChat(Exception):
    """The model has no chat form."""


async def _probe_route(transport: Transport, model: str, route: str) -> Capabilities:
    asked = Call(
        Prompt(_QUESTION, (Message("user", _QUESTION),)),
        max_tokens=16, n=2, temperature=1.0, top_p=1.0, seed=1, logprobs=True, top_logprobs=_TOP[0],
    )  # fmt: skip
    length = "max_tokens"
    while True:
        try:
            document, body = await transport.post(route, request_body(model, route, asked, length_field=length))
        except Refused as refused:
            if refused.status is None:
                who = "the server" if transport.where in str(refused) else transport.where
                raise ModelError(f"{who} did not answer a plain question: {refused}") from refused
            if "chat template" in str(refused).lower() or "chat_template" in str(refused):
                raise _NoChat(str(refused)) from refused
            if "max_completion_tokens" in str(refused) and length == "max_tokens":
                length = "max_completion_tokens"
                continue
            less = _less(asked, str(refused))
            if less is None:
                raise ModelError(f"{transport.where} refuses a plain question: {refused}") from refused
            asked = less
            continue
        return _seen(read_reply(document, asked, route, body), asked, route, length)


def _less(asked: Call, message: str) -> Call | None:
    """The same question with one thing less: the one that the refusal names, else the most dispensable; None when nothing is left."""
    smaller: dict[str, Callable[[], Call]] = {}
    if asked.top_logprobs:
        lower = _TOP[_TOP.index(asked.top_logprobs) + 1]
        smaller["top_logprobs"] = lambda: dataclasses.replace(asked, top_logprobs=lower)
    if asked.seed is not None:
        smaller["seed"] = lambda: dataclasses.replace(asked, seed=None)
    if asked.n > 1:
        smaller["'n'"] = lambda: dataclasses.replace(asked, n=1)
    if asked.logprobs:
        smaller["logprobs"] = lambda: dataclasses.replace(asked, logprobs=False, top_logprobs=0)
    if not smaller:
        return None
    named = [name for name in smaller if name in message or (name == "'n'" and ("n must" in message or '"n"' in message))]
    return smaller[named[0] if named else next(iter(smaller))]()


def _seen(reply: Reply, asked: Call, route: str, length: str) -> Capabilities:
    usable = [g for g in reply.generations if isinstance(g, Generation)]
    if not usable:
        why = reply.error or next((g for g in reply.generations if isinstance(g, str)), "no choices")
        raise ModelError(f"the server's answer to a plain question cannot be used: {why}")
    logprobs = any(g.token_logprobs is not None for g in usable)
    found = max((g.topk_logprobs.shape[1] for g in usable if g.topk_logprobs is not None), default=0)
    return Capabilities(
        route=route,
        several=asked.n > 1 and len(reply.generations) == asked.n,
        logprobs=logprobs,
        top_logprobs=min(found, asked.top_logprobs) if asked.top_logprobs else 0,
        seed=asked.seed is not None,
        length_field=length,
    )
