"""What a capture tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable


class CaptureProgress(Protocol):
    """What an engine calls: items done of all; how many of them in this call, and how many of these failed; the cost so far, if any."""

    def __call__(self, done: int, total: int, *, here: int = 0, failed: int = 0, cost: float | None = None) -> None: ...


@runtime_checkable
class CountsCapture(Protocol):
    """A progress callback that also wants to know how a capture fares: ``count`` is called before each step of one."""

    def count(self, *, here: int, failed: int, cost: float | None) -> None:
        """here: items asked in this call. failed: those of them with an error. cost: of the whole run so far, None without prices."""


def capture_progress(progress: Callable[[str, int, int], None] | None) -> CaptureProgress | None:
    """A callback ``(step, done, total)`` as an engine calls it, under the step ``capture``."""
    if progress is None:
        return None
    counting: object = progress

    def tell(done: int, total: int, *, here: int = 0, failed: int = 0, cost: float | None = None) -> None:
        if isinstance(counting, CountsCapture):
            counting.count(here=here, failed=failed, cost=cost)
        progress("capture", done, total)

    return tell
