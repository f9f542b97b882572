"""The capture engine for models behind a server: many items at a time, each reply on disk before it counts, none paid for twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trueline.capture.asking import Questions
from trueline.capture.engine import SHARD_ITEMS, settings_of, table_of
from trueline.capture.failed import FailedItems, failed_items, mendable, replace_items, rows_of
from trueline.capture.journal import Journal, Ledger
from trueline.capture.planner import Plan
from trueline.capture.progress import CaptureProgress
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
class _Part:
    """Items that are written together: an unfinished shard, or the failed items of a finished one.

    items: by position in the task. known: what the journal holds of them. before: their rows, where they were asked before.
    """

    shard: int
    items: Mapping[int, Item]
    known: dict[tuple[int, str], dict[str, Any]]
    again: int = 0
    failed: FailedItems | None = None
    before: Mapping[int, list[dict[str, Any]]] = field(default_factory=dict)
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    @property
    def name(self) -> tuple[int, int]:
        """As journal and ledger know it."""
        return self.shard, self.again


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
        self.seed, self.max_cost, self.shard_items, self.progress = seed, max_cost, shard_items, progress
        self.retry_failed = retry_failed
        self.journal, self.ledger = Journal(run), Ledger(run)
        self.spent = self.ledger.total()
        self.done = self.finished_here = self.failed_here = 0
        self.cost_here = self.cost_finished = 0.0  # of every reply since the start; of the items that are finished
        self.splitter = load_splitter(plan.reasoning)
        self.settings = settings_of(task, plan, self.splitter)

    async def run_all(self) -> None:
        """Keep as many items in hand as keep every connection busy, in task order."""
        in_hand: set[asyncio.Task[None]] = set()
        async with self.model.session() as session:
            questions = Questions(session, self.task, self.plan, self.splitter, self.settings, self.seed)
            syncing = asyncio.create_task(self._sync())
            try:
                for part, index in self._unfinished():
                    await self._room(in_hand, self.model.options.concurrency * 2)
                    if not await self._affordable(in_hand):
                        await self._room(in_hand, 1)
                        raise BudgetReached(self._stopped())
                    in_hand.add(asyncio.create_task(self._item(questions, part, index)))
                await self._room(in_hand, 1)
            finally:
                for job in in_hand:
                    job.cancel()
                syncing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.gather(syncing, *in_hand, return_exceptions=True)

    def _unfinished(self) -> Iterator[tuple[_Part, int]]:
        """Parts and the items to ask in them: first what was never asked, then what failed in the shards that are there."""
        items, starts = self.task.items, range(0, len(self.task.items), self.shard_items)
        failed = self._failed()
        finished = [shard for shard in range(len(starts)) if self.run.has_shard(shard)]
        held = sum(min(self.shard_items, len(items) - starts[shard]) for shard in finished)
        self._step(held - sum(len(part.indices) for part in failed))
        for shard in finished:
            self.journal.forget((shard, 0))
        for shard in sorted(set(range(len(starts))) - set(finished)):
            asked = range(starts[shard], min(starts[shard] + self.shard_items, len(items)))
            part = self._part(shard, dict(zip(asked, items[asked.start : asked.stop], strict=True)))
            for index in asked:
                yield part, index
        for found in failed:
            part = self._part_again(found)
            for index in found.indices:
                yield part, index
        for shard, again in self.journal.again().items():  # a kill came between such a shard and its line in the ledger
            if all(found.shard != shard for found in failed):
                self._close(self._part(shard, {}, again))

    def _failed(self) -> list[FailedItems]:
        """What failed in the shards that are there: of all of them, or of those that an earlier try began to ask again."""
        begun = self.journal.again()
        if not self.retry_failed and not begun:
            return []
        return [found for found in failed_items(self.run) if self.retry_failed or found.shard in begun]

    def _part(self, shard: int, items: Mapping[int, Item], again: int = 0) -> _Part:
        known = self.journal.read((shard, again))
        paid = sum((usage_of(reply) for reply in known.values()), Usage())
        self.spent += paid
        return _Part(shard, items, known, again, usage=paid)

    def _part_again(self, failed: FailedItems) -> _Part:
        again = self.journal.again().get(failed.shard) or self.ledger.rounds().get(failed.shard, 0) + 1
        part = self._part(failed.shard, {index: self.task.items[index] for index in failed.indices}, again)
        part.failed, part.before = failed, rows_of(self.run, failed)
        return part

    async def _room(self, in_hand: set[asyncio.Task[None]], most: int) -> None:
        """Wait until fewer than ``most`` items are in hand; an error of one of them ends the capture."""
        while len(in_hand) >= most:
            finished, _ = await asyncio.wait(in_hand, return_when=asyncio.FIRST_COMPLETED)
            for job in finished:
                in_hand.discard(job)
                job.result()

    async def _affordable(self, in_hand: set[asyncio.Task[None]]) -> bool:
        if self.max_cost is None:
            return True
        while in_hand and not self.finished_here:  # the first item tells what an item costs
            await self._room(in_hand, len(in_hand))
        mean = self.cost_finished / self.finished_here if self.finished_here else 0.0
        begun = self.cost_here - self.cost_finished  # what the items in hand have cost so far
        return self.model.price.of(self.spent) + max(mean * (len(in_hand) + 1) - begun, mean) <= self.max_cost

    async def _item(self, questions: Questions, part: _Part, index: int) -> None:
        """One item from its first request to its rows; the last item of a part writes the part."""
        own = 0.0

        async def ask(name: str, call: Call) -> Reply:
            known = part.known.pop((index, name), None)
            if known is not None:
                reply = questions.session.read(known, call)
            else:
                reply = await questions.session.ask(call)
                if reply.body is not None:
                    self.journal.append(part.name, (index, name), reply.body)
                part.usage += reply.usage
                self.spent += reply.usage
            nonlocal own
            cost = self.model.price.of(reply.usage)
            own, self.cost_here = own + cost, self.cost_here + cost
            return reply

        before = {(row["kind"], row["draw"]): row for row in part.before.get(index, ())}
        part.rows[index] = await questions.rows(ask, part.items[index], index, before)
        self.finished_here += 1
        self.cost_finished += own
        self.failed_here += any(mendable(row) for row in part.rows[index])
        if len(part.rows) == len(part.items):
            self._close(part)
        self._step(1)

    def _close(self, part: _Part) -> None:
        """Write a part whose items are all there, then what it cost, then forget its replies: a kill between two of them costs nothing."""
        if part.rows:
            table = table_of([row for index in sorted(part.rows) for row in part.rows[index]])
            if part.failed is None:
                self.run.write_shard(part.shard, table)
            else:
                replace_items(self.run, part.failed, table, part.again)
        self.ledger.write(part.name, part.usage)
        self.journal.forget(part.name)

    def _step(self, items: int) -> None:
        self.done += items
        if self.progress is not None:
            price = self.model.price
            cost = price.of(self.spent) if price.prompt or price.completion else None
            self.progress(self.done, len(self.task.items), here=self.finished_here, failed=self.failed_here, cost=cost)

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(_SYNC)
            await asyncio.to_thread(self.journal.sync)

    def _stopped(self) -> str:
        cost = self.model.price.of(self.spent)
        return (
            f"stopped at a cost of {cost:.4g}, before --max-cost {self.max_cost:g}: {self.done} of {len(self.task.items)} items are done "
            "and kept; give the same command with a higher --max-cost to go on"
        )
