"""The capture engine for models behind a server: many items at a time, each reply on disk before it counts, none paid for twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trueline.capture.asking import Questions
from trueline.capture.engine import SHARD_ITEMS, settings_of, table_of
from trueline.capture.failed import mendable, to_ask_again
from trueline.capture.journal import Journal, Key, Ledger
from trueline.capture.parts import Part, server_parts
from trueline.capture.planner import Plan
from trueline.capture.progress import CaptureProgress
from trueline.capture.purse import Purse
from trueline.errors import BudgetReached
from trueline.models.server.calls import Call, Reply, Usage
from trueline.models.server.model import ServerModel, run_async
from trueline.models.server.replies import usage_of
from trueline.tasks.item import Item, Task
from trueline.tasks.thinking import load_splitter
from trueline.traces.rundir import RunDirectory

#: Seconds between two syncs of the journal.
_SYNC = 1.0


def capture_remote(
    model: ServerModel,
    task: Task,
    plan: Plan,
    run: RunDirectory,
    *,
    seed: int = 0,
    max_cost: float | None = None,
    shard_items: int = SHARD_ITEMS,
    retry_failed: bool = False,
    progress: CaptureProgress | None = None,
) -> None:
    """Write the shards that are not there yet; replies that an earlier try already got are read from the journal, not asked for again.

    max_cost: no item is begun that would, at the mean cost of those before it, bring the whole run's cost above this.
    retry_failed: what failed in finished shards is asked again, and nothing else of them. progress: called after each item.

    Raises ``BudgetReached`` when ``max_cost`` ends the capture, ``ModelError`` when no request can succeed. What was paid for is kept.
    """
    work = _Capture(model, task, plan, run, seed, max_cost, shard_items, retry_failed, progress)
    try:
        run_async(work.run_all())
    finally:
        work.journal.close()


@dataclass
class _InHand:
    """A part whose items are being asked.

    known: what the journal holds of it. rows: of the items that are finished, by position. usage: of all replies to it.
    """

    part: Part
    known: dict[Key, dict[str, Any]]
    usage: Usage
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


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
        retry_failed: bool,
        progress: CaptureProgress | None,
    ) -> None:
        self.model, self.task, self.plan, self.run = model, task, plan, run
        self.seed, self.shard_items, self.progress = seed, shard_items, progress
        self.retry_failed = retry_failed
        self.journal, self.ledger = Journal(run), Ledger(run)
        self.purse = Purse(model.price, max_cost, self.ledger.with_journal(self.journal))
        self.done = self.failed_here = 0
        self.splitter = load_splitter(plan.reasoning)
        self.settings = settings_of(task, plan, self.splitter)

    async def run_all(self) -> None:
        """Keep as many items in hand as keep every connection busy, in task order."""
        in_hand: set[asyncio.Task[None]] = set()
        async with self.model.session() as session:
            questions = Questions(session, self.task, self.plan, self.splitter, self.settings, self.seed)
            syncing = asyncio.create_task(self._sync())
            try:
                for held, item, index in self._unfinished():
                    await self._room(in_hand, self.model.options.concurrency * 2)
                    while in_hand and self.purse.undecided:
                        await self._room(in_hand, len(in_hand))
                    if not self.purse.begin(index):
                        await self._room(in_hand, 1)
                        raise BudgetReached(self.purse.stopped(self.done, len(self.task.items)))
                    in_hand.add(asyncio.create_task(self._item(questions, held, item, index)))
                await self._room(in_hand, 1)
            finally:
                for job in in_hand:
                    job.cancel()
                syncing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.gather(syncing, *in_hand, return_exceptions=True)

    def _unfinished(self) -> Iterator[tuple[_InHand, Item, int]]:
        """The items to ask, in order, each with its part and position."""
        failed = to_ask_again(self.run, self.retry_failed, self.journal.again())
        parts = server_parts(self.task, self.run, self.shard_items, failed)
        self._step(len(self.task.items) - sum(len(part.indices) for part in parts))
        for light in parts:
            part, known = light.opened(self.task, self.run), self.journal.read(light.name)
            usages = {key: usage_of(reply) for key, reply in known.items()}
            self.purse.known(usages)
            held = _InHand(part, known, sum(usages.values(), Usage()))
            for item, index in zip(part.items, part.indices, strict=True):
                yield held, item, index

    async def _room(self, in_hand: set[asyncio.Task[None]], most: int) -> None:
        """Wait until fewer than ``most`` items are in hand; an error of one of them ends the capture."""
        while len(in_hand) >= most:
            finished, _ = await asyncio.wait(in_hand, return_when=asyncio.FIRST_COMPLETED)
            for job in finished:
                in_hand.discard(job)
                job.result()

    async def _item(self, questions: Questions, held: _InHand, item: Item, index: int) -> None:
        """One item from its first request to its rows; the last item of a part writes the part."""

        async def ask(name: str, call: Call) -> Reply:
            known = held.known.pop((index, name), None)
            if known is not None:
                return questions.session.read(known, call)
            reply = await questions.session.ask(call)
            if reply.body is not None:
                self.journal.append(held.part.name, (index, name), reply.body)
            held.usage += reply.usage
            self.purse.pay(index, reply.usage)
            return reply

        before = {(row["kind"], row["draw"]): row for row in held.part.before.get(index, ())}
        held.rows[index] = await questions.rows(ask, item, index, before)
        self.purse.finish(index)
        self.failed_here += any(mendable(row) for row in held.rows[index])
        if len(held.rows) == len(held.part.indices):
            self._close(held)
        self._step(1)

    def _close(self, held: _InHand) -> None:
        """Write a part whose items are all there, then what it cost, then forget its replies: a kill between two of them costs nothing."""
        held.part.write(self.run, table_of([row for index in sorted(held.rows) for row in held.rows[index]]))
        self.ledger.write(held.part.name, held.usage)
        self.journal.forget(held.part.name)

    def _step(self, items: int) -> None:
        self.done += items
        if self.progress is not None:
            price = self.model.price
            cost = self.purse.cost if price.prompt or price.completion else None
            self.progress(self.done, len(self.task.items), here=self.purse.finished, failed=self.failed_here, cost=cost)

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(_SYNC)
            await asyncio.to_thread(self.journal.sync)
