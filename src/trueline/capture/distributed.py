"""Capture by the workers of a cluster: shard after shard to whoever is free; this process alone writes the run directory."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from trueline.capture.cluster import ClusterModel, WorkerLost, fetch, import_ray
from trueline.capture.engine import SHARD_ITEMS
from trueline.capture.failed import n_failed
from trueline.capture.journal import Ledger
from trueline.capture.planner import Plan
from trueline.capture.progress import CaptureProgress
from trueline.capture.workers import Keeper, Part, work_of
from trueline.errors import InputError, ModelError
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
    shard_items: int = SHARD_ITEMS,
    retry_failed: bool = False,
    progress: CaptureProgress | None = None,
) -> None:
    """Write the shards that are not there yet, as ``capture`` and ``capture_remote`` would; a run may change between them.

    A worker that dies is started again by Ray and repeats its shard; one that is gone for good leaves it to the others. Raises
    ``ModelError`` when none is left, and whatever a model raises; finished shards stay, and replies of servers are in the journal.
    progress: called after each shard. ``retry_failed`` is refused with ``InputError``: the local engine does that.
    """
    if retry_failed:
        raise InputError("retry_failed asks single items again, which only the local engine does; leave one of the two out")
    items, done, here, failed = task.items, 0, 0, 0
    pending: deque[Part] = deque()
    for index, first in enumerate(range(0, len(items), shard_items)):
        part = Part(index, first, items[first : first + shard_items])
        if run.has_shard(index):
            done += len(part.items)
        else:
            pending.append(part)
    if progress is not None and done:
        progress(done, len(items))
    if not pending:
        return
    pool = _Pool(model, pending, work_of(task, plan, seed, batch_size), run)
    try:
        for part, table, usage in pool.finished():
            run.write_shard(part.index, table)
            if usage is not None:
                pool.paid(part.index, usage)
            done, here, failed = done + len(part.items), here + len(part.items), failed + n_failed(table)
            if progress is not None:
                progress(done, len(items), here=here, failed=failed)
    finally:
        pool.close()


class _Pool:
    """Which worker has what in hand."""

    def __init__(self, model: ClusterModel, pending: deque[Part], work: Any, run: RunDirectory) -> None:
        self.pending = pending
        self.workers = model.workers()
        self.in_hand = _IN_HAND if model.server is None else _IN_HAND_SERVER
        ray = import_ray()
        self._work = ray.put(work)
        self._wait = ray.wait
        self._ledger = Ledger(run)
        self._keeper: Any = None if model.server is None else _keeper(run.path)
        self._idle: list[Any] = []
        self._last = ""
        self.jobs: dict[Any, tuple[Any, Part | None]] = {worker.ready.remote(): (worker, None) for worker in self.workers}

    def finished(self) -> Any:
        """(part, table, usage) as they come, until no part is left."""
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
                self._last = str(lost)
                if part is not None:
                    self.pending.appendleft(part)
                    self._give()
                continue
            self._idle += [worker] * (self.in_hand if part is None else 1)
            self._give()
            if part is not None:
                yield part, *found

    def _give(self) -> None:
        while self.pending and self._idle:
            worker, part = self._idle.pop(), self.pending.popleft()
            arguments = (self._work, part) if self._keeper is None else (self._work, part, self._keeper)
            self.jobs[worker.capture.remote(*arguments)] = (worker, part)

    def paid(self, index: int, usage: Any) -> None:
        """A shard that a server answered is whole: note what it cost, forget its replies."""
        self._ledger.write((index, 0), usage)
        fetch(self._keeper.forget.remote((index, 0)))

    def close(self) -> None:
        """Drop what is still in hand, and close the journal."""
        ray = import_ray()
        for job in self.jobs:
            ray.cancel(job)
        if self._keeper is not None:
            ray.get(self._keeper.close.remote())
            ray.kill(self._keeper)


def _keeper(path: Path) -> Any:
    """The journal's process, on this machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray = import_ray()
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeping = ray.remote(Keeper).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return keeping.remote(str(path.resolve()))
