"""Find out what a server can do by asking it: not by its name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trueline.errors import ModelError
from trueline.models.base import Generation, Message, Prompt
from trueline.models.server.calls import PLAIN, Call, Dialect, Reply
from trueline.models.server.replies import UnusableReply, logprob_entries, read_reply, request_body
from trueline.models.server.transport import NotFound, Refused, Transport

_QUESTION = "Name one colour."
#: Alternatives to a token that are asked for, most first.
_TOP = (20, 5, 1, 0)
#: Settings beyond the protocol that turn a server's own truncation and penalties off.
_NEUTRAL = (("top_k", 0), ("min_p", 0.0), ("repetition_penalty", 1.0))
#: A temperature at which two answers are hardly ever the same, and the highest that servers take.
_HOT = 2.0


@dataclass(frozen=True)
class Capabilities:
    """What the server was seen to do.

    route: ``chat`` or ``completions``. several: ``n`` above 1 (how far above: ``most_samples``). logprobs; top_logprobs: most alternatives
    a token (0: none). seed: it takes one (whether it keeps to it is another matter). dialect: how it wants to be asked.
    least: fewest alternatives that must be asked for to be given log-probs. greedy: it takes temperature 0.
    varied: answers to one question at a high temperature differ; where not, it may not sample at all.
    """

    route: str
    several: bool
    logprobs: bool
    top_logprobs: int
    seed: bool
    dialect: Dialect = PLAIN
    least: int = 0
    greedy: bool = True
    varied: bool = True


async def probe(transport: Transport, model: str, api: str) -> Capabilities:
    """Ask one question with all that a capture may want, again with less where the server refuses, then once more as greedily as can be.

    With ``api="auto"`` completions are tried where chat fails. Raises ``ModelError`` when even the plain question has no answer.
    """
    if api != "auto":
        return await _Probe(transport, model, api).run()
    try:
        return await _Probe(transport, model, "chat").run()
    except (NotFound, Unanswered) as chat:
        try:
            return await _Probe(transport, model, "completions").run()
        except (NotFound, Unanswered) as error:
            # of two refusals the one that speaks of more than a missing route tells more
            raise (error if isinstance(chat, NotFound) else chat) from None


class Unanswered(ModelError):
    """The server has no answer to a plain question on this route."""


async def most_samples(transport: Transport, model: str, seen: Capabilities, wanted: int) -> int:
    """How many samples one request brings, at most ``wanted``: servers that take ``n`` have limits of their own.

    Raises ``ModelError`` where nothing answers: a smaller number on a guess would change the calls of a run that goes on.
    """
    question = Call(Prompt(_QUESTION, (Message("user", _QUESTION),)), max_tokens=1, n=wanted, temperature=1.0)
    while question.n > 2:
        try:
            document, _ = await transport.post(seen.route, request_body(model, seen.route, question, seen.dialect))
        except Refused as refused:
            if refused.stranger:
                raise ModelError(f"{transport.where} did not answer a plain question: {refused}") from refused
            question = dataclasses.replace(question, n=(question.n + 1) // 2)
            continue
        return max(1, min(question.n, len(read_reply(document, question, seen.route).generations)))
    return min(wanted, 2)


class _Probe:
    """The questions put to one route."""

    def __init__(self, transport: Transport, model: str, route: str) -> None:
        self.transport, self.model, self.route = transport, model, route
        self.dialect = Dialect(neutral=_NEUTRAL)
        self.guessed: set[str] = set()

    async def run(self) -> Capabilities:
        asked = Call(
            Prompt(_QUESTION, (Message("user", _QUESTION),)),
            max_tokens=16, n=2, temperature=1.0, top_p=1.0, seed=1, logprobs=True, top_logprobs=_TOP[0],
        )  # fmt: skip
        asked, reply, document = await self._fitted(asked)
        logprobs, top = _shown(document, asked)
        several = asked.n > 1 and len(reply.generations) == asked.n
        greedy, bare = await self._greedy(asked)
        return Capabilities(
            route=self.route,
            several=several,
            logprobs=logprobs,
            top_logprobs=min(top, asked.top_logprobs),
            seed=asked.seed is not None,
            dialect=self.dialect,
            least=0 if bare or not top else 1,
            greedy=greedy,
            varied=await self._varied(asked, reply, several),
        )

    async def _ask(self, call: Call) -> tuple[Reply, dict[str, Any]]:
        document, body = await self.transport.post(self.route, request_body(self.model, self.route, call, self.dialect))
        return read_reply(document, call, self.route, body), document

    def _unanswered(self, refused: Refused) -> ModelError:
        who = "the server" if self.transport.where in str(refused) else self.transport.where
        kind = ModelError if refused.stranger else Unanswered  # where no such server is, another route will not help
        return kind(f"{who} did not answer a plain question: {refused}")

    async def _fitted(self, asked: Call) -> tuple[Call, Reply, dict[str, Any]]:
        """The call that the server answers, and its answer; the dialect is found on the way."""
        whole = asked
        while True:
            try:
                reply, document = await self._ask(asked)
            except Refused as refused:
                if refused.status is None:
                    raise self._unanswered(refused) from refused
                less = self._less(asked, str(refused))
                if less is None:
                    raise Unanswered(f"{self.transport.where} refuses a plain question: {refused}") from refused
                asked, self.dialect = less
                continue
            if not _texts(reply):
                why = reply.error or next((g for g in reply.generations if isinstance(g, str)), "no choices")
                raise ModelError(f"the server's answer to a plain question cannot be used: {why}")
            return await self._restored(whole, asked, reply, document)

    async def _restored(self, whole: Call, asked: Call, reply: Reply, document: dict[str, Any]) -> tuple[Call, Reply, dict[str, Any]]:
        """Put back what was left out only on the guess that a refusal without names meant it, one thing after the other."""
        for name in ("neutral", "top_logprobs", "seed"):
            if name not in self.guessed:
                continue
            dialect, fuller = self.dialect, asked
            if name == "neutral":
                self.dialect = dataclasses.replace(dialect, neutral=_NEUTRAL)
            else:
                fuller = dataclasses.replace(asked, **{name: getattr(whole, name)})
            try:
                reply, document = await self._ask(fuller)
                asked = fuller
            except Refused:
                self.dialect = dialect
        return asked, reply, document

    def _less(self, asked: Call, message: str) -> tuple[Call, Dialect] | None:
        """The same question with one thing less: what the refusal names, else the most dispensable; None when nothing is left."""
        dialect = self.dialect
        if "max_completion_tokens" in message and dialect.length_field == "max_tokens":
            return asked, dataclasses.replace(dialect, length_field="max_completion_tokens")
        steps = dict(_steps(asked, dialect))
        named = next((name for name in steps if _names(message, name)), None)
        if named is None and dialect.neutral:
            self.guessed.add("neutral")
            return asked, dataclasses.replace(dialect, neutral=())
        if named is None and steps:
            named = next(iter(steps))
            self.guessed.add(named)
        return steps.get(named) if named else None

    async def _greedy(self, asked: Call) -> tuple[bool, bool]:
        """Whether temperature 0 is taken (reasoning models of some vendors take 1 alone), and log-probs come without alternatives."""
        if not self.dialect.temperature:
            return False, False
        cold = dataclasses.replace(asked, n=1, temperature=0.0, seed=None, top_logprobs=0)
        try:
            return True, _shown((await self._ask(cold))[1], cold)[0]
        except Refused as refused:
            if refused.status is None:
                raise self._unanswered(refused) from refused
            return False, False

    async def _varied(self, asked: Call, reply: Reply, several: bool) -> bool:
        """Whether the temperature does anything. Only asked where the first question leaves it open."""
        if len(set(_texts(reply))) > 1:
            return True
        hot = _HOT if self.dialect.temperature else 1.0
        seen = set()
        for seed in (2, 3) if several else (2, 3, 4):
            again = dataclasses.replace(asked, temperature=hot, seed=None if asked.seed is None else seed)
            try:
                seen.update(_texts((await self._ask(again))[0]))
            except Refused:
                return True  # it tells one temperature from another
            if len(seen) > 1:
                return True
        return seen == {""}  # reasoning that was cut before an answer began tells nothing


def _names(message: str, name: str) -> bool:
    if name == "n":
        return any(said in message for said in ("'n'", '"n"', "n must", "`n`"))
    return re.search(rf"(?<![a-z_]){name}(?![a-z_])", message) is not None


def _steps(asked: Call, dialect: Dialect) -> Iterator[tuple[str, tuple[Call, Dialect]]]:
    """What can be left out, most dispensable first; the names are those that servers use in a refusal."""
    for name, value in dialect.neutral:
        rest = tuple(pair for pair in dialect.neutral if pair[0] != name)
        off = ((name, -1), *rest) if (name, value) == ("top_k", 0) else rest  # older servers turn it off by -1
        yield name, (asked, dataclasses.replace(dialect, neutral=off))
    if asked.top_logprobs:
        lower = dataclasses.replace(asked, top_logprobs=_TOP[_TOP.index(asked.top_logprobs) + 1])
        yield "top_logprobs", (lower, dialect)
        yield "logprobs", (lower, dialect)  # its limit is the number of alternatives; dropped when there are none
    if asked.seed is not None:
        yield "seed", (dataclasses.replace(asked, seed=None), dialect)
    if asked.n > 1:
        yield "n", (dataclasses.replace(asked, n=1), dialect)
    if asked.logprobs and not asked.top_logprobs:
        yield "logprobs", (dataclasses.replace(asked, logprobs=False), dialect)
    if dialect.top_p:
        yield "top_p", (asked, dataclasses.replace(dialect, top_p=False))
    if dialect.temperature:
        yield "temperature", (asked, dataclasses.replace(dialect, temperature=False))


def _texts(reply: Reply) -> list[str]:
    return [g.text for g in reply.generations if isinstance(g, Generation)]


def _shown(document: Mapping[str, Any], asked: Call) -> tuple[bool, int]:
    """Whether log-probs came, and how many alternatives: of any token, as those of an answer cut in its reasoning belong to none."""
    if not asked.logprobs:
        return False, 0
    found = []
    for choice in document.get("choices") or ():
        try:
            found += [entry for entry in logprob_entries(choice) if isinstance(entry[1], int | float)]
        except UnusableReply:
            continue
    return bool(found), min((len(top) for _, _, top in found), default=0)
