"""Progress on standard error: rate, time left, failures and cost of a capture; plain lines where there is no terminal."""

from __future__ import annotations

from typing import Any

import pytest

from trueline.capture.progress import CountsCapture, capture_progress
from trueline.cli.progress import LINE_EVERY, Bars, Lines, duration, progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_now_and_then_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(clock)
    tell = capture_progress(lines)
    assert tell is not None
    for second in range(125):
        clock.now = 100.0 + second
        tell(40_000 + 10 * second, 50_000, here=10 * second, failed=3 if second > 40 else 0, cost=0.01 * second)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "capture: 40,300 of 50,000, 10/s, 16:10 left, cost 0.3",
        "capture: 40,600 of 50,000, 10/s, 15:40 left, 3 failed, cost 0.6",
        "capture: 40,900 of 50,000, 10/s, 15:10 left, 3 failed, cost 0.9",
        "capture: 41,200 of 50,000, 10/s, 14:40 left, 3 failed, cost 1.2",
    ]


def test_a_short_command_says_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as step:
        for done in range(5):
            step("score", done, 5)
    assert capsys.readouterr().err == ""
    assert LINE_EVERY >= 10


def test_the_rate_is_that_of_the_last_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(clock)
    for second in range(600):
        clock.now = 100.0 + second
        lines("rows", second * (1000 if second < 300 else 1) + (0 if second < 300 else 300_000), 0)
    assert capsys.readouterr().err.splitlines()[-1] == "rows: 300,570, 1/s"


def test_what_an_earlier_call_had_done_is_no_speed_and_unknown_totals_have_no_end() -> None:
    shown: list[tuple[int, str]] = []

    class Tasks:
        def add_task(self, name: str, **fields: Any) -> int:
            assert fields["total"] is None
            return 7

        def update(self, task: int, *, completed: int, said: str) -> None:
            assert task == 7
            shown.append((completed, said))

    bars = Bars(Tasks())
    bars._clock = clock = Clock()
    for rows in (0, 500, 2500):
        bars("rows", rows, 0)
        clock.now += 1.0
    assert shown == [(0, ""), (500, "500/s"), (2500, "1,250/s")]
    assert isinstance(bars, CountsCapture)


def test_a_plain_function_is_told_the_step_alone() -> None:
    told: list[tuple[str, int, int]] = []
    tell = capture_progress(lambda *step: told.append(step))
    assert tell is not None
    tell(1, 2, here=1, failed=1, cost=0.5)
    assert told == [("capture", 1, 2)]
    assert capture_progress(None) is None


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3725, "1:02:05"), (90_000, "1 d 1 h"), (86_399.9, "1 d 0 h")])
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
