"""What runs in the processes of a cluster: a model that is loaded once and answers shard after shard."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from trueline.capture.planner import Plan
from trueline.models.base import Model
from trueline.tasks.item import Item, Task

if TYPE_CHECKING:
    from trueline.models.server.probing import Capabilities

#: Seconds between two syncs of the journal.
_SYNC = 1.0


@dataclass(frozen=True)
class Part:
    """One shard's share of a task. ``first``: position of its first item in the task."""

    index: int
    first: int
    items: Sequence[Item]


@dataclass(frozen=True)
class Work:
    """What all shards of a capture have in common; ``task`` holds what prompts are made from, and one item for form's sake."""

    task: Task
    plan: Plan
    seed: int
    batch_size: int

    def task_of(self, part: Part) -> Task:
        """The task with the items of ``part``."""
        return replace(self.task, items=part.items)


def work_of(task: Task, plan: Plan, seed: int, batch_size: int) -> Work:
    """The work without what only grading needs, which may be functions of any kind."""
    bare = replace(task, items=task.items[:1], grader="exact", grade_oracle=None, canonical=None, paraphrases=None)
    return Work(bare, plan, seed, batch_size)


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

    def capture(self, work: Work, part: Part) -> tuple[pa.Table, None]:
        """The rows of one shard; they cost no tokens of anybody's."""
        from trueline.capture.engine import capture_items

        task = work.task_of(part)
        rows = capture_items(self.load(), task, work.plan, part.items, first_index=part.first, seed=work.seed, batch_size=work.batch_size)
        return rows, None


class Keeper:
    """The journal of a capture from servers, on the machine that holds the run directory: a reply is here before it counts."""

    def __init__(self, path: str) -> None:
        from trueline.capture.journal import Journal
        from trueline.traces.rundir import RunDirectory

        self.journal = Journal(RunDirectory(path))
        self._synced = time.monotonic()

    def read(self, part: tuple[int, int]) -> dict[tuple[int, str], dict[str, Any]]:
        """The replies that an earlier try at this shard already got."""
        return self.journal.read(part)

    def append(self, part: tuple[int, int], key: tuple[int, str], body: bytes) -> None:
        """Write one reply."""
        self.journal.append(part, key, body)
        if time.monotonic() - self._synced > _SYNC:
            self.journal.sync()
            self._synced = time.monotonic()

    def forget(self, part: tuple[int, int]) -> None:
        """Delete the replies of a shard that is whole."""
        self.journal.forget(part)

    def close(self) -> None:
        """Sync and close."""
        self.journal.close()


class ServerWorker:
    """Asks a server, many items at a time. Its key comes from the environment of its machine, or a file there."""

    def __init__(self, uri: str, options: Mapping[str, Any], seen: Capabilities) -> None:
        self.uri, self.options, self.seen = uri, dict(options), seen
        self._opened = contextlib.AsyncExitStack()
        self._session: Any = None

    async def ready(self) -> None:
        """Open the connections."""
        if self._session is None:
            from trueline.models.loading import load_model

            model: Any = load_model(self.uri, **self.options)
            self._session = await self._opened.enter_async_context(model.knowing(self.seen).session())

    async def capture(self, work: Work, part: Part, keeper: Any) -> tuple[pa.Table, Any]:
        """The rows of one shard and the tokens they cost. Replies that are in the journal are not asked for again."""
        from trueline.capture.asking import Questions
        from trueline.capture.engine import settings_of, table_of
        from trueline.models.server.calls import Usage
        from trueline.models.server.replies import usage_of
        from trueline.tasks.thinking import load_splitter

        await self.ready()
        name = (part.index, 0)
        known = await keeper.read.remote(name)
        usage = sum((usage_of(reply) for reply in known.values()), Usage())
        task, splitter = work.task_of(part), load_splitter(work.plan.reasoning)
        questions = Questions(self._session, task, work.plan, splitter, settings_of(task, work.plan, splitter), work.seed)

        async def one(position: int, item: Item) -> list[dict[str, Any]]:
            index = part.first + position

            async def ask(call_name: str, call: Any) -> Any:
                nonlocal usage
                entry = known.pop((index, call_name), None)
                if entry is not None:
                    return self._session.read(entry, call)
                reply = await self._session.ask(call)
                if reply.body is not None:
                    await keeper.append.remote(name, (index, call_name), reply.body)
                usage += reply.usage
                return reply

            return await questions.rows(ask, item, index, {})

        jobs = [asyncio.create_task(one(position, item)) for position, item in enumerate(part.items)]
        try:
            rows = [row for found in await asyncio.gather(*jobs) for row in found]
        finally:
            for job in jobs:
                job.cancel()
        return table_of(rows), usage
