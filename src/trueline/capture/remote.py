"""The capture engine for models behind a server: many items at a time, each reply on disk before it counts, none paid for twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueline.capture.engine import SHARD_ITEMS, draw_seed, generation_row, settings_of, table_of
from trueline.capture.journal import Journal, Ledger
from trueline.capture.planner import Plan
from trueline.capture.probes import NOTHING_TO_SUPPORT, P_TRUE_OPTIONS, SUPPORT_TOKENS, answer_prompt, probe_prompt, support_prompts
from trueline.capture.separate import separate
from trueline.errors import BudgetReached
from trueline.models.base import Generation, GenerationRequest
from trueline.models.server.calls import Call, Reply, Usage
from trueline.models.server.model import ServerModel, Session, option_call, read_options, run_async
from trueline.tasks.item import Item, Task
from trueline.tasks.thinking import Splitter, for_replies, load_splitter
from trueline.traces.rundir import RunDirectory

#: Seconds between two syncs of the journal.
_SYNC = 1.0

Progress = Callable[[int, int], None]


def capture_remote(
    model: ServerModel,
    task: Task,
    plan: Plan,
    run: RunDirectory,
    *,
    seed: int = 0,
    max_cost: float | None = None,
    shard_items: int = SHARD_ITEMS,
    progress: Progress | None = None,
) -> None:
    """Write the shards that are not there yet; replies that an earlier try already got are read from the journal, not asked for again.

    max_cost: no item is begun that would, at the mean cost of those before it, bring the whole run's cost above this.
    progress: called with (items done, items in all).

    Raises ``BudgetReached`` when ``max_cost`` ends the capture, ``ModelError`` when no request can succeed. What was paid for is kept.
    """
    work = _Capture(model, task, plan, run, seed, max_cost, shard_items, progress)
    try:
        run_async(work.run_all())
    finally:
        work.journal.close()


@dataclass
class _Shard:
    """An unfinished shard: what the journal holds of it, the rows of its finished items, what it cost."""

    index: int
    items: Sequence[Item]
    first: int
    known: dict[tuple[int, str], dict[str, Any]]
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


class _Capture:
    def __init__(
        self,
        model: ServerModel,
        task: Task,
        plan: Plan,
        run: RunDirectory,
        seed: int,
        max_cost: float | None,
        shard_items: int,
        progress: Progress | None,
    ) -> None:
        self.model, self.task, self.plan, self.run = model, task, plan, run
        self.seed, self.max_cost, self.shard_items, self.progress = seed, max_cost, shard_items, progress
        self.journal, self.ledger = Journal(run), Ledger(run)
        self.spent = self.ledger.total()
        self.done = self.finished_here = 0
        self.cost_here = self.cost_finished = 0.0  # of every reply since the start; of the items that are finished
        self.splitter = load_splitter(plan.reasoning)
        self.settings = settings_of(task, plan, self.splitter)

    async def run_all(self) -> None:
        """Keep as many items in hand as keep every connection busy, in task order."""
        total = len(self.task.items)
        unfinished = self._unfinished()
        in_hand: set[asyncio.Task[None]] = set()
        async with self.model.session() as session:
            syncing = asyncio.create_task(self._sync())
            try:
                for shard, position in unfinished:
                    await self._room(in_hand, self.model.options.concurrency * 2)
                    if not await self._affordable(in_hand):
                        await self._room(in_hand, 1)
                        raise BudgetReached(self._stopped(total))
                    in_hand.add(asyncio.create_task(self._item(session, shard, position)))
                await self._room(in_hand, 1)
            finally:
                for job in in_hand:
                    job.cancel()
                syncing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.gather(syncing, *in_hand, return_exceptions=True)

    def _unfinished(self) -> Iterator[tuple[_Shard, int]]:
        items = self.task.items
        for index, first in enumerate(range(0, len(items), self.shard_items)):
            part = items[first : first + self.shard_items]
            if self.run.has_shard(index):
                self.journal.forget(index)
                self._step(len(part))
                continue
            shard = _Shard(index, part, first, self.journal.read(index))
            for position in range(len(part)):
                yield shard, position

    async def _room(self, in_hand: set[asyncio.Task[None]], most: int) -> None:
        """Wait until fewer than ``most`` items are in hand; an error of one of them ends the capture."""
        while len(in_hand) >= most:
            finished, _ = await asyncio.wait(in_hand, return_when=asyncio.FIRST_COMPLETED)
            in_hand -= finished
            for job in finished:
                job.result()

    async def _affordable(self, in_hand: set[asyncio.Task[None]]) -> bool:
        if self.max_cost is None:
            return True
        while in_hand and not self.finished_here:  # the first item tells what an item costs
            await self._room(in_hand, len(in_hand))
        mean = self.cost_finished / self.finished_here if self.finished_here else 0.0
        begun = self.cost_here - self.cost_finished  # what the items in hand have cost so far
        return self.model.price.of(self.spent) + max(mean * (len(in_hand) + 1) - begun, mean) <= self.max_cost

    async def _item(self, session: Session, shard: _Shard, position: int) -> None:
        """One item from its first request to its rows; the last item of a shard writes the shard."""
        item, index = shard.items[position], shard.first + position
        own = 0.0

        async def ask(name: str, call: Call) -> Reply:
            known = shard.known.pop((index, name), None)
            if known is not None:
                reply = session.read(known, call)
            else:
                reply = await session.ask(call)
                if reply.body is not None:
                    self.journal.append(shard.index, (index, name), reply.body)
            shard.usage += reply.usage
            self.spent += reply.usage
            nonlocal own
            cost = self.model.price.of(reply.usage)
            own, self.cost_here = own + cost, self.cost_here + cost
            return reply

        shard.rows[position] = await self._rows(session, ask, item, index)
        self.finished_here += 1
        self.cost_finished += own
        if len(shard.rows) == len(shard.items):
            rows = [row for k in sorted(shard.rows) for row in shard.rows[k]]
            self.run.write_shard(shard.index, table_of(rows))
            self.ledger.write(shard.index, shard.usage)
            self.journal.forget(shard.index)
        self._step(1)

    async def _rows(self, session: Session, ask: Callable[[str, Call], Any], item: Item, index: int) -> list[dict[str, Any]]:
        key = {"item_id": item.id, "item_index": index}
        seeds = tuple(draw_seed(self.seed, item.id, draw) for draw in range(self.plan.n_samples))
        calls = session.calls(GenerationRequest(answer_prompt(item, self.task), sample_seeds=seeds), self.settings)
        replies = await asyncio.gather(*(ask(name, call) for name, call in calls))
        answer, rows = None, []
        for (name, call), reply in zip(calls, replies, strict=True):
            shown = name == "greedy" or "token_texts" in self.plan.sample_columns
            contents = _contents(reply, call.n, self.splitter, token_texts=shown)
            if name == "greedy":
                rows.append({"kind": "greedy", "draw": 0, **contents[0]})
                answer = contents[0].get("text")
                continue
            first = int(name.partition(":")[2])
            drawn = {"temperature": call.temperature, "top_p": call.top_p, "top_k": call.top_k}
            rows += [
                {"kind": "sample", "draw": first + k, **drawn, "seed": seeds[first + k], **content} for k, content in enumerate(contents)
            ]
        said = [row["text"] for row in rows if row["kind"] == "sample" and row.get("text") is not None]
        alone = sorted(self.plan.needs.probes - {"selfcheck_prompt"})
        rows += await asyncio.gather(*(self._probe(session, ask, name, item, answer) for name in alone))
        if "selfcheck_prompt" in self.plan.needs.probes:
            rows += await self._selfcheck(ask, answer or "", said)
        return [{**key, **row} for row in rows]

    async def _probe(self, session: Session, ask: Callable[[str, Call], Any], name: str, item: Item, answer: str | None) -> dict[str, Any]:
        row: dict[str, Any] = {"kind": name, "draw": 0}
        if answer is None:
            return {**row, "error": "not asked: the item has no greedy answer"}
        prompt = probe_prompt(name, item, self.task, answer)
        if name == "p_true":
            score = read_options(await ask(name, option_call(prompt, session.seen)), P_TRUE_OPTIONS)
            if score.error:
                return {**row, "error": score.error}
            return {**row, "options": list(P_TRUE_OPTIONS), "option_logprobs": score.logprobs}
        reply = await ask(name, Call(prompt, max_tokens=self.settings.max_new_tokens + 16, logprobs=True))
        return {**row, **_contents(reply, 1, for_replies(self.splitter))[0]}

    async def _selfcheck(self, ask: Callable[[str, Call], Any], answer: str, said: list[str]) -> list[dict[str, Any]]:
        """One row a sentence of the answer and sample; equal prompts are asked once."""
        prompts, name = support_prompts(self.task, answer, said), "selfcheck_prompt"
        distinct = list(dict.fromkeys(prompts))
        calls = [(f"{name}:{k}", Call(prompt, max_tokens=SUPPORT_TOKENS, logprobs=True)) for k, prompt in enumerate(distinct)]
        replies = await asyncio.gather(*(ask(key, call) for key, call in calls))
        row = {p: _contents(reply, 1, for_replies(self.splitter))[0] for p, reply in zip(distinct, replies, strict=True)}
        found = [row[prompt] for prompt in prompts] or [{"error": NOTHING_TO_SUPPORT}]
        return [{"kind": name, "draw": draw, **content} for draw, content in enumerate(found)]

    def _step(self, items: int) -> None:
        self.done += items
        if self.progress is not None:
            self.progress(self.done, len(self.task.items))

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(_SYNC)
            await asyncio.to_thread(self.journal.sync)

    def _stopped(self, total: int) -> str:
        cost = self.model.price.of(self.spent)
        return (
            f"stopped at a cost of {cost:.4g}, before --max-cost {self.max_cost:g}: {self.done} of {total} items are done and kept; "
            "give the same command with a higher --max-cost to go on"
        )


def _contents(reply: Reply, n: int, splitter: Splitter, *, token_texts: bool = False) -> list[dict[str, Any]]:
    """Row contents of the ``n`` generations a call asked for."""
    found: list[dict[str, Any]] = []
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
