"""How far a long command is: bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from trueline.cli.terminal import err, say

#: Seconds between two lines where standard error is no terminal.
LINE_EVERY = 30.0
#: Seconds that a rate looks back.
_WINDOW = 60.0


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """A callback ``(step, done, total)`` that shows on standard error how far each step is; of captures also rate, failures and cost."""
    shown: Progress
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Rich

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    with Rich(*columns, console=err(), transient=True) as bars:
        shown = Bars(bars)
        yield shown


class Progress:
    """What both ways share: the rate of each step, and what a capture counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._counted: int | None = None
        self._also = ""

    def count(self, *, here: int, failed: int, cost: float | None) -> None:
        """What a capture says before its step: items asked in this call, failures among them, cost of the run."""
        self._counted = here
        parts = [f"{failed:,} failed" if failed else "", "" if cost is None else f"cost {cost:.4g}"]
        self._also = "".join(f", {part}" for part in parts if part)

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` (0: not known) are done."""
        self.show(step, done, total, self._said(step, done, total))
        self._counted, self._also = None, ""

    def show(self, step: str, done: int, total: int, said: str) -> None:
        """Put it on the screen."""
        raise NotImplementedError

    def _said(self, step: str, done: int, total: int) -> str:
        """``41.2/s, 0:12:30 left, 3 failed, cost 0.42``; what an earlier call had done does not count as speed."""
        now, work = self._clock(), done if self._counted is None else self._counted
        seen = self._seen.setdefault(step, deque())
        if not seen or now - seen[-1][0] >= 0.2 or done == total:
            seen.append((now, work))
        while len(seen) > 2 and now - seen[1][0] > _WINDOW:
            seen.popleft()
        elapsed, made = now - seen[0][0], work - seen[0][1]
        if elapsed <= 0 or made <= 0:
            return self._also.removeprefix(", ")
        rate = made / elapsed
        left = f", {duration((total - done) / rate)} left" if total > done else ""
        return f"{rate:.3g}/s{left}{self._also}" if rate < 1000 else f"{rate:,.0f}/s{left}{self._also}"


class Bars(Progress):
    """Bars of rich."""

    def __init__(self, bars: Any) -> None:
        super().__init__()
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def show(self, step: str, done: int, total: int, said: str) -> None:
        """Move the step's bar."""
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=total or None, said="")
        self._bars.update(self._tasks[step], completed=done, said=said)


class Lines(Progress):
    """One plain line every ``LINE_EVERY`` seconds, none in a short run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._next = clock() + LINE_EVERY

    def show(self, step: str, done: int, total: int, said: str) -> None:
        """Say it, when it is time."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + LINE_EVERY
        of = f"{done:,} of {total:,}" if total else f"{done:,}"
        say(f"{step}: {of}{', ' if said else ''}{said}")


def duration(seconds: float) -> str:
    """``1:02:03``, or ``2:03``; days where there are some."""
    whole = int(seconds + 0.5)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
