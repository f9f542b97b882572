"""What is left to ask of a run: its unfinished shards, then what failed in the finished ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from trueline.capture.failed import FailedItems, replace_items, rows_of
from trueline.capture.journal import Journal, Ledger
from trueline.tasks.item import Item, Task
from trueline.traces.rundir import RunDirectory


@dataclass(frozen=True)
class Part:
    """Items that are written together: an unfinished shard, or the failed items of a finished one.

    indices: their positions in the task, ascending. again: the round, 0 is the first. failed: where their rows stand so far.
    items, before: the items themselves, and their rows so far by position; both only of an ``opened`` part.
    """

    shard: int
    indices: Sequence[int]
    again: int = 0
    failed: FailedItems | None = None
    items: Sequence[Item] = ()
    before: Mapping[int, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def name(self) -> tuple[int, int]:
        """As journal and ledger know it."""
        return self.shard, self.again

    def opened(self, task: Task, run: RunDirectory) -> Part:
        """The part with its items: only those in hand need to be in memory."""
        if self.failed is None:
            return replace(self, items=task.items[self.indices[0] : self.indices[-1] + 1])
        return replace(self, items=[task.items[index] for index in self.indices], before=rows_of(run, self.failed))

    def write(self, run: RunDirectory, rows: pa.Table) -> None:
        """Put the rows of all its items into the run."""
        if self.failed is None:
            run.write_shard(self.shard, rows)
        else:
            replace_items(run, self.failed, rows, self.again)


def parts_of(
    task: Task, run: RunDirectory, shard_items: int, failed: Sequence[FailedItems], round_of: Callable[[FailedItems], int]
) -> Iterator[Part]:
    """What is not finished, in the order in which it is asked: shards that are not there, then the items of ``failed``."""
    for shard, start in enumerate(range(0, len(task.items), shard_items)):
        if not run.has_shard(shard):
            yield Part(shard, range(start, min(start + shard_items, len(task.items))))
    for found in failed:
        yield Part(found.shard, found.indices, round_of(found), found)


def server_parts(task: Task, run: RunDirectory, shard_items: int, failed: Sequence[FailedItems]) -> list[Part]:
    """``parts_of`` for items that a server answers; what a kill left half noted of finished parts is put in order.

    failed: of the finished shards; those of which an earlier try began to ask again keep the number of that round.
    """
    journal, ledger = Journal(run), Ledger(run)
    begun, rounds = journal.again(), ledger.rounds()
    unfinished = {(found.shard, begun[found.shard]) for found in failed if found.shard in begun}
    for part in journal.parts():  # a kill came between such a part and the end of its replies
        if run.has_shard(part[0]) and part not in unfinished:
            ledger.write(part, journal.usage(part))
            journal.forget(part)
    return list(parts_of(task, run, shard_items, failed, lambda found: begun.get(found.shard) or rounds.get(found.shard, 0) + 1))
