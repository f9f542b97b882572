"""Batches that follow the memory of the accelerator: one that does not fit is run again in halves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

import torch

from trueline.errors import ModelError

T = TypeVar("T")


def in_memory(
    requests: Sequence[int],
    split: Callable[[Sequence[int], int], Iterable[list[int]]],
    run: Callable[[Sequence[int], int], T],
    batch_size: int,
) -> Iterator[tuple[list[int], T | ModelError]]:
    """Run all ``requests`` in the batches that ``split(requests, batch_size)`` makes of them; yields each batch and its result.

    Where memory ends, that batch and those after it are split anew at half the size; what a batch gives must not depend on its size.
    A batch that does not fit at size 1 yields a ``ModelError`` in place of its result.
    """
    pending = deque((list(chunk), batch_size) for chunk in split(requests, batch_size))
    while pending:
        chunk, size = pending.popleft()
        if size > batch_size:
            pending.extendleft((part, batch_size) for part in reversed(list(split(chunk, batch_size))))
            continue
        if (done := _attempt(run, chunk, batch_size)) is not None:
            yield chunk, done[0]
        elif batch_size == 1:
            yield chunk, ModelError("the accelerator's memory is too small for this prompt, even alone: shorten it, or load fewer bits")
        else:
            batch_size = max(1, batch_size // 2)
            pending.appendleft((chunk, size))


def _attempt(run: Callable[[Sequence[int], int], T], chunk: list[int], batch_size: int) -> tuple[T] | None:
    """What ``run`` gives, or None when memory ended; its frames, which hold tensors, are gone by then."""
    done: tuple[T] | None = None
    with suppress(torch.OutOfMemoryError):
        done = (run(chunk, batch_size),)
    if done is None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    return done
