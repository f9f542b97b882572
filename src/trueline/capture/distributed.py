"""Capture by the workers of a cluster: shard after shard to whoever is free; this process alone writes the run directory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trueline.capture.cluster import ClusterModel, WorkerLost, fetch, import_ray
from trueline.capture.engine import SHARD_ITEMS
from trueline.capture.failed import n_failed, next_round, to_ask_again
from trueline.capture.journal import Journal, Ledger
from trueline.capture.parts import Part, parts_of, server_parts
from trueline.capture.planner import Plan
from trueline.capture.progress import CaptureProgress
from trueline.capture.workers import Answered, Keeper, Work, work_of
from trueline.errors import BudgetReached, ModelError
from trueline.models.server.calls import Price, Usage
from trueline.tasks.item import Task
from trueline.traces.rundir import RunDirectory

#: Shards that one worker has in hand: with a server the next one keeps its connections busy while the last replies come in.
_IN_HAND, _IN_HAND_SERVER = 1, 2


def capture_cluster(
    model: ClusterModel,
    task: Task,
    plan: Plan,
    run: RunDirectory,
    *,
    seed: int = 0,
    batch_size: int = 64,
    max_cost: float | None = None,
    shard_items: int = SHARD_ITEMS,
    retry_failed: bool = False,
    progress: CaptureProgress | None = None,
) -> None:
    """Write the shards that are not there yet, as ``capture`` and ``capture_remote`` would; a run may change between them.

    A worker that dies leaves what it had in hand to the others, and comes back when Ray has started it again. max_cost: of the whole
    run, as ``capture_remote`` keeps it. retry_failed: what failed in finished shards is asked again. progress: called after each part.

    Raises ``ModelError`` when no worker is left, ``BudgetReached``, and whatever a model raises; finished shards stay, and replies of
    servers are in the journal.
    """
    parts = _parts(model, task, run, shard_items, retry_failed)
    total, here, failed = len(task.items), 0, 0
    done = total - sum(len(part.indices) for part in parts)
    if progress is not None and done:
        progress(done, total)
    if not parts:
        return
    pool = _Pool(model, task, parts, work_of(task, plan, seed, batch_size, limited=max_cost is not None), run, max_cost)
    try:
        for part, answered in pool.finished():
            here += answered.n_items
            if answered.rows is None:
                pool.pending.clear()  # nobody may begin another item; what is in hand comes to its end
                continue
            part.write(run, answered.rows)
            pool.paid(part, answered.usage)
            failed += n_failed(answered.rows)
            if progress is not None:
                progress(done + here, total, here=here, failed=failed, cost=pool.cost())
        if done + here < total:
            raise BudgetReached(pool.stopped(done + here, total))
    finally:
        pool.close()


def _parts(model: ClusterModel, task: Task, run: RunDirectory, shard_items: int, retry_failed: bool) -> deque[Part]:
    if model.server is not None:
        failed = to_ask_again(run, retry_failed, Journal(run).again())
        return deque(server_parts(task, run, shard_items, failed))
    return deque(parts_of(task, run, shard_items, to_ask_again(run, retry_failed), lambda found: next_round(run, found)))


class _Pool:
    """Which worker has what in hand."""

    def __init__(
        self, model: ClusterModel, task: Task, pending: deque[Part], work: Work, run: RunDirectory, max_cost: float | None
    ) -> None:
        self.pending = pending
        self.in_hand = _IN_HAND if model.server is None else _IN_HAND_SERVER
        ray = import_ray()
        workers = model.workers()
        self._work = ray.put(work)
        self._wait = ray.wait
        self._task, self._run, self._price = task, run, model.price
        self._ledger = Ledger(run)
        self._keeper: Any = None if model.server is None else _keeper(run.path, model.price, max_cost)
        self._present: list[Any] = []
        self._last = ""
        self.jobs: dict[Any, tuple[Any, Part | None]] = {worker.ready.remote(): (worker, None) for worker in workers}

    def finished(self) -> Iterator[tuple[Part, Answered]]:
        """What the workers made of each part as it comes, until no part is left."""
        while self.pending or any(part is not None for _, part in self.jobs.values()):
            if not self.jobs:
                raise ModelError(
                    f"every worker died more often than max_restarts allows; what was finished is kept. The last one: {self._last}"
                )
            (job,), _ = self._wait(list(self.jobs), num_returns=1)
            worker, part = self.jobs.pop(job)
            try:
                found = fetch(job)
            except WorkerLost as lost:
                self._lost(worker, part, str(lost))
                continue
            if part is None:
                self._present.append(worker)
            self._give()
            if part is not None:
                yield part, found

    def _lost(self, worker: Any, part: Part | None, why: str) -> None:
        """The others do what it had in hand; it comes back when Ray has started it again, wherever there is room."""
        self._last = why
        if part is None:  # it was to come back, and is gone for good
            return
        self._present = [other for other in self._present if other is not worker]
        if not any(other is worker and doing is None for other, doing in self.jobs.values()):
            self.jobs[worker.ready.remote()] = (worker, None)
        if self._keeper is not None:
            fetch(self._keeper.drop.remote(part.indices))
        self.pending.appendleft(part)
        self._give()

    def _give(self) -> None:
        """Parts for who has the fewest in hand."""
        while self.pending and self._present:
            held = [sum(other is worker for other, _ in self.jobs.values()) for worker in self._present]
            least = min(held)
            if least >= self.in_hand:
                return
            worker, part = self._present[held.index(least)], self.pending.popleft()
            arguments = [self._work, part.opened(self._task, self._run), *([] if self._keeper is None else [self._keeper])]
            # not repeated by Ray: a worker that finds no room to start again would keep the part for itself
            self.jobs[worker.capture.options(max_task_retries=0).remote(*arguments)] = (worker, part)

    def paid(self, part: Part, usage: Usage | None) -> None:
        """A part is whole: note what a server's answers cost, forget its replies."""
        if usage is not None:
            self._ledger.write(part.name, usage)
            fetch(self._keeper.forget.remote(part.name))

    def cost(self) -> float | None:
        """Of the run so far, where a price is known."""
        priced = self._keeper is not None and (self._price.prompt or self._price.completion)
        return fetch(self._keeper.cost.remote()) if priced else None

    def stopped(self, done: int, total: int) -> str:
        """Why a capture that a limit ended did not come to its end."""
        found: str = fetch(self._keeper.stopped.remote(done, total))
        return found

    def close(self) -> None:
        """Drop what is still in hand, and close the journal."""
        ray = import_ray()
        for job in self.jobs:
            ray.cancel(job)
        if self._keeper is not None:
            ray.get(self._keeper.close.remote())
            ray.kill(self._keeper)


def _keeper(path: Path, price: Price, max_cost: float | None) -> Any:
    """The journal's process, on this machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray = import_ray()
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeping = ray.remote(Keeper).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return keeping.remote(str(path.resolve()), price, max_cost)
