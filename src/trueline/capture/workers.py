"""What runs in the processes of a cluster: a model that is loaded once and answers shard after shard."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from trueline.capture.budget import Trial, trial
from trueline.capture.journal import Key
from trueline.capture.parts import Part
from trueline.capture.planner import Plan
from trueline.models.base import Model
from trueline.models.server.calls import Price, Usage
from trueline.tasks.item import Item, Task

if TYPE_CHECKING:
    from trueline.models.server.probing import Capabilities

T = TypeVar("T")

#: Seconds between two syncs of the journal.
_SYNC = 1.0


@dataclass(frozen=True)
class Work:
    """What all shards of a capture have in common; ``task`` holds what prompts are made from, and one item for form's sake.

    limited: an item is begun only when the ``Keeper`` says that its cost fits.
    """

    task: Task
    plan: Plan
    seed: int
    batch_size: int
    limited: bool = False

    def task_of(self, part: Part) -> Task:
        """The task with the items of ``part``."""
        return replace(self.task, items=part.items)


def work_of(task: Task, plan: Plan, seed: int, batch_size: int, *, limited: bool = False) -> Work:
    """The work without what only grading needs, which may be functions of any kind."""
    bare = replace(task, items=task.items[:1], grader="exact", grade_oracle=None, canonical=None, paraphrases=None)
    return Work(bare, plan, seed, batch_size, limited)


@dataclass(frozen=True)
class Answered:
    """What a worker made of a part.

    rows: None where a limit on the cost ended it early. usage: of a server's replies. n_items: those that are finished.
    """

    rows: pa.Table | None
    usage: Usage | None
    n_items: int


class Worker:
    """Holds a model of this process. After a restart it is loaded again when it is first needed."""

    def __init__(self, uri: str, options: Mapping[str, object]) -> None:
        self.uri, self.options = uri, dict(options)
        self._model: Model | None = None

    def load(self) -> Model:
        """The model, loaded once."""
        if self._model is None:
            from trueline.models.loading import load_model

            self._model = load_model(self.uri, **self.options)
        return self._model

    def ready(self) -> None:
        """Load the model. Raises what its loader raises."""
        self.load()

    def describe(self) -> dict[str, Any]:
        """What a plan and a manifest want to know of the model."""
        model = self.load()
        return {
            "capabilities": model.capabilities,
            "shape": getattr(model, "shape", None),
            "decoding": getattr(model, "decoding", None),
            "fingerprint": dict(model.fingerprint()),
        }

    def trial(self, work: Work, part: Part) -> Trial:
        """How long the items of ``part`` take here."""
        return trial(self.load(), work.task_of(part), work.plan, work.batch_size)

    def capture(self, work: Work, part: Part) -> Answered:
        """The rows of one part; they cost no tokens of anybody's."""
        from trueline.capture.engine import capture_items

        shared: dict[str, Any] = {"indices": part.indices, "seed": work.seed, "batch_size": work.batch_size}
        rows = capture_items(self.load(), work.task_of(part), work.plan, part.items, **shared)
        return Answered(rows, None, len(part.items))


class Keeper:
    """The journal and the purse of a capture from servers, on the machine of the run directory: a reply is here before it counts."""

    def __init__(self, path: str, price: Price, max_cost: float | None) -> None:
        from trueline.capture.journal import Journal, Ledger
        from trueline.capture.purse import Purse
        from trueline.traces.rundir import RunDirectory

        run = RunDirectory(path)
        self.journal = Journal(run)
        self.purse = Purse(price, max_cost, Ledger(run).with_journal(self.journal))
        self._refused = False
        self._decided = asyncio.Event()
        self._synced = time.monotonic()

    async def begin(self, index: int) -> bool:
        """Whether an item may be begun: once it may not, none may. Waits while the first item shows what an item costs."""
        while self.purse.undecided:
            self._decided.clear()
            await self._decided.wait()
        self._refused = self._refused or not self.purse.begin(index)
        return not self._refused

    def finish(self, index: int) -> None:
        """An item that was begun has its rows."""
        self.purse.finish(index)
        self._decided.set()

    def drop(self, indices: Sequence[int]) -> None:
        """The worker that had these items in hand is gone."""
        self.purse.drop(indices)
        self._decided.set()

    def read(self, part: tuple[int, int]) -> dict[Key, dict[str, Any]]:
        """The replies that an earlier try at this part already got."""
        from trueline.models.server.replies import usage_of

        known = self.journal.read(part)
        self.purse.known({key: usage_of(reply) for key, reply in known.items()})
        return known

    def append(self, part: tuple[int, int], key: Key, body: bytes, usage: Usage) -> None:
        """Write one reply."""
        self.journal.append(part, key, body)
        self.purse.pay(key[0], usage)
        if time.monotonic() - self._synced > _SYNC:
            self.journal.sync()
            self._synced = time.monotonic()

    def forget(self, part: tuple[int, int]) -> None:
        """Delete the replies of a part that is whole."""
        self.journal.forget(part)

    def cost(self) -> float:
        """Of the whole run so far."""
        return self.purse.cost

    def stopped(self, done: int, total: int) -> str:
        """What to tell of a capture that the limit ended."""
        return self.purse.stopped(done, total)

    def close(self) -> None:
        """Sync and close."""
        self.journal.close()


class ServerWorker:
    """Asks a server, many items at a time. Its key comes from the environment of its machine, or a file there."""

    def __init__(self, uri: str, options: Mapping[str, Any], seen: Capabilities) -> None:
        self.uri, self.options, self.seen = uri, dict(options), seen
        self._opened = contextlib.AsyncExitStack()
        self._session: Any = None
        self._asking = asyncio.Lock()  # one question at a time keeps the items in order
        self._room: Any = None

    async def ready(self) -> None:
        """Open the connections."""
        if self._session is None:
            from trueline.models.loading import load_model

            model: Any = load_model(self.uri, **self.options)
            self._room = asyncio.Semaphore(2 * model.options.concurrency)  # enough to keep every connection busy
            self._session = await self._opened.enter_async_context(model.knowing(self.seen).session())

    async def capture(self, work: Work, part: Part, keeper: Any) -> Answered:
        """The rows of one part and the tokens they cost. Replies that are in the journal are not asked for again."""
        from trueline.capture.asking import Questions
        from trueline.capture.engine import settings_of, table_of
        from trueline.models.server.replies import usage_of
        from trueline.tasks.thinking import load_splitter

        await self.ready()
        known = await keeper.read.remote(part.name)
        usage = sum((usage_of(reply) for reply in known.values()), Usage())
        task, splitter = work.task_of(part), load_splitter(work.plan.reasoning)
        questions = Questions(self._session, task, work.plan, splitter, settings_of(task, work.plan, splitter), work.seed)

        async def one(item: Item, index: int) -> list[dict[str, Any]] | None:
            async def ask(call_name: str, call: Any) -> Any:
                nonlocal usage
                entry = known.pop((index, call_name), None)
                if entry is not None:
                    return self._session.read(entry, call)
                reply = await self._session.ask(call)
                if reply.body is not None:
                    await keeper.append.remote(part.name, (index, call_name), reply.body, reply.usage)
                usage += reply.usage
                return reply

            async with self._room:
                if work.limited and not await self._may_begin(keeper, index):
                    return None
                rows = await questions.rows(ask, item, index, {(row["kind"], row["draw"]): row for row in part.before.get(index, ())})
                if work.limited:
                    await keeper.finish.remote(index)
                return rows

        found = await _all_or_error([one(item, index) for item, index in zip(part.items, part.indices, strict=True)])
        finished = [rows for rows in found if rows is not None]
        whole = len(finished) == len(found)
        return Answered(table_of([row for rows in finished for row in rows]) if whole else None, usage, len(finished))

    async def _may_begin(self, keeper: Any, index: int) -> bool:
        async with self._asking:
            return bool(await keeper.begin.remote(index))


async def _all_or_error(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each gives, in order; an error of one ends the others."""
    jobs = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*jobs)
    finally:
        for job in jobs:
            job.cancel()
