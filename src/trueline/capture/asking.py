"""One item put to a server: its calls, and the trace rows that their replies make. What an earlier try left good is not asked again."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.capture.engine import draw_seed, generation_row
from trueline.capture.failed import mendable
from trueline.capture.planner import Plan
from trueline.capture.probes import (
    NO_ANSWER,
    NOTHING_TO_SUPPORT,
    P_TRUE_OPTIONS,
    SUPPORT_TOKENS,
    answer_prompt,
    probe_prompt,
    support_prompts,
)
from trueline.capture.separate import separate
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Prompt
from trueline.models.server.calls import Call, Reply
from trueline.models.server.model import Session, option_call, read_options
from trueline.tasks.item import Item, Task
from trueline.tasks.thinking import Splitter, for_replies

Row = dict[str, Any]
#: (kind, draw) -> row of one item.
Rows = Mapping[tuple[str, int], Row]
#: Puts one call, known by its name within the item, to the server or finds its reply in the journal.
Ask = Callable[[str, Call], Awaitable[Reply]]


@dataclass(frozen=True)
class Questions:
    """How the items of one capture are asked."""

    session: Session
    task: Task
    plan: Plan
    splitter: Splitter
    settings: GenerationSettings
    seed: int

    async def rows(self, ask: Ask, item: Item, index: int, before: Rows) -> list[Row]:
        """The rows of one item: greedy, samples, probes. Rows of ``before`` that hold no error stay as they are."""
        kept = {key: row for key, row in before.items() if not mendable(row)}
        answers = await self._answers(ask, item, kept)
        greedy = next((row for row in answers if row["kind"] == "greedy"), {})
        answer = greedy.get("text")
        if greedy and kept.get(("greedy", 0)) is not greedy:  # a new answer: what was asked about the old one tells nothing
            kept = {}
        alone = sorted(self.plan.needs.probes - {"selfcheck_prompt"})
        rows = answers + list(await asyncio.gather(*(self._probe(ask, name, item, answer, kept) for name in alone)))
        if "selfcheck_prompt" in self.plan.needs.probes:
            rows += await self._selfcheck(ask, answers, before)
        return [{"item_id": item.id, "item_index": index, **row} for row in rows]

    async def _answers(self, ask: Ask, item: Item, kept: Rows) -> list[Row]:
        seeds = tuple(draw_seed(self.seed, item.id, draw) for draw in range(self.plan.n_samples))
        request = GenerationRequest(answer_prompt(item, self.task), greedy=self.plan.greedy, sample_seeds=seeds)
        calls = [part for name, call in await self.session.calls(request, self.settings) for part in _missing(name, call, seeds, kept)]
        replies = await asyncio.gather(*(ask(name, call) for name, call, _ in calls))
        found: dict[tuple[str, int], Row] = {key: row for key, row in kept.items() if key[0] in ("greedy", "sample")}
        for (name, call, draws), reply in zip(calls, replies, strict=True):
            shown = name == "greedy" or "token_texts" in self.plan.sample_columns
            contents = _contents(reply, call.n, self.splitter, token_texts=shown)
            if name == "greedy":
                found["greedy", 0] = {"kind": "greedy", "draw": 0, **contents[0]}
                continue
            drawn = {"temperature": call.temperature, "top_p": call.top_p, "top_k": call.top_k}
            for draw, content in zip(draws, contents, strict=True):
                found["sample", draw] = {"kind": "sample", "draw": draw, **drawn, "seed": seeds[draw], **content}
        return [found[key] for key in sorted(found)]  # greedy before samples, samples by their draw

    async def _probe(self, ask: Ask, name: str, item: Item, answer: str | None, kept: Rows) -> Row:
        if (name, 0) in kept and kept[name, 0].get("error") != NO_ANSWER:
            return kept[name, 0]
        row: Row = {"kind": name, "draw": 0}
        if answer is None:
            return {**row, "error": NO_ANSWER}
        prompt = probe_prompt(name, item, self.task, answer)
        if name == "p_true":
            score = read_options(await ask(name, option_call(prompt, self.session.seen)), P_TRUE_OPTIONS)
            if score.error:
                return {**row, "error": score.error}
            return {**row, "options": list(P_TRUE_OPTIONS), "option_logprobs": score.logprobs}
        reply = await ask(name, Call(prompt, max_tokens=self.settings.max_new_tokens + 16, logprobs=True))
        return {**row, **_contents(reply, 1, for_replies(self.splitter))[0]}

    async def _selfcheck(self, ask: Ask, answers: Sequence[Row], before: Rows) -> list[Row]:
        """One row a sentence of the answer and sample; equal prompts are asked once."""
        kind = "selfcheck_prompt"
        earlier = [row for key, row in sorted(before.items()) if key[0] == kind]
        asked = self._support([row for key, row in before.items() if key[0] in ("greedy", "sample")])
        known = {}
        if len(asked) == len(earlier):
            known = {prompt: row for prompt, row in zip(asked, earlier, strict=True) if row.get("error") is None}
        prompts = self._support(answers)
        distinct = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
        calls = [(f"{kind}:{_digest(prompt)}", Call(prompt, max_tokens=SUPPORT_TOKENS, logprobs=True)) for prompt in distinct]
        replies = await asyncio.gather(*(ask(name, call) for name, call in calls))
        known |= {p: _contents(reply, 1, for_replies(self.splitter))[0] for p, reply in zip(distinct, replies, strict=True)}
        found = [known[prompt] for prompt in prompts] or [{"error": NOTHING_TO_SUPPORT}]
        return [{**content, "kind": kind, "draw": draw} for draw, content in enumerate(found)]

    def _support(self, answers: Sequence[Row]) -> list[Prompt]:
        """The questions that greedy and sample rows, in the order of their draws, lead to."""
        greedy = next((row.get("text") for row in answers if row["kind"] == "greedy"), None)
        drawn = sorted((row for row in answers if row["kind"] == "sample" and row.get("text") is not None), key=lambda row: row["draw"])
        return support_prompts(self.task, greedy or "", [row["text"] for row in drawn])


def _missing(name: str, call: Call, seeds: Sequence[int], kept: Rows) -> list[tuple[str, Call, range | list[int]]]:
    """The part of a call whose generations are not kept, as [(name, call, draws)], or nothing."""
    if name == "greedy":
        return [] if ("greedy", 0) in kept else [(name, call, range(1))]
    first = int(name.partition(":")[2])
    draws = [draw for draw in range(first, first + call.n) if ("sample", draw) not in kept]
    if len(draws) == call.n:
        return [(name, call, draws)]
    if not draws:
        return []
    return [(f"sample:{draws[0]}", dataclasses.replace(call, n=len(draws), seed=seeds[draws[0]] % 2**31), draws)]


def _digest(prompt: Prompt) -> str:
    """A name of a prompt that does not depend on which other prompts there are."""
    return hashlib.blake2b(repr(prompt).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _contents(reply: Reply, n: int, splitter: Splitter, *, token_texts: bool = False) -> list[Row]:
    """Row contents of the ``n`` generations a call asked for."""
    found: list[Row] = []
    for k in range(n):
        if k >= len(reply.generations):
            found.append({"error": reply.error or "the server sent fewer answers than asked for"})
            continue
        generation = reply.generations[k]
        if isinstance(generation, Generation):
            found.append(generation_row(separate(generation, splitter), token_texts=token_texts))
        else:
            found.append({"error": generation})
    return found
