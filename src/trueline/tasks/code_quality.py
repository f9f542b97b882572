"""How good a program is: 0 unless it parses, else half a point and half the share of the assertions that pass.

Source: Huang et al., arXiv 2307.10236. Each assertion runs by itself (``tasks.sandbox``); all or nothing is pass@1. Nothing is run unless
``allow_exec`` says so in that very call: a stored run or a task file cannot say it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trueline.errors import InputError
from trueline.tasks.code_answers import program_of
from trueline.tasks.item import Grade, Grader, Item
from trueline.tasks.python_source import parse_python
from trueline.tasks.sandbox import Limits, isolation_problem, run_checks

#: Seconds that all programs of one grading may take together.
TOTAL_SECONDS = 3600.0
#: Programs run at a time.
WORKERS = 2


def code_quality_rule(parses: bool, n_passed: int, n_assertions: int) -> float:
    """Quality in [0, 1] of a program. Raises ``InputError`` without assertions or for impossible counts.

    >>> code_quality_rule(True, 2, 4), code_quality_rule(False, 0, 4)
    (0.75, 0.0)
    """
    if not 0 <= n_passed <= n_assertions or n_assertions < 1:
        raise InputError(f"{n_passed} of {n_assertions} assertions passed; expected 1 or more, and no more passed than there are")
    return 0.5 + 0.5 * n_passed / n_assertions if parses else 0.0


def code_quality(program: str, tests: Sequence[str], timeout_s: float = 3.0, *, setup: str = "", allow_exec: bool = False) -> float:
    """Quality in [0, 1] of a program under ``tests``, each an assertion or other source that raises where it fails.

    timeout_s: wall seconds of each test; one that takes longer has failed. setup: source that runs before each test, after the program.

    Raises ``InputError`` without ``allow_exec``, without tests, or where this machine cannot isolate a program.
    """
    _demand(allow_exec)
    if parse_python(program) is None:
        return code_quality_rule(False, 0, len(tests))
    verdicts = run_checks(program, tests, setup=setup, limits=Limits(seconds=timeout_s))
    return code_quality_rule(True, verdicts.count("ok"), len(tests))


@dataclass(frozen=True)
class CodeQuality:
    """The grader ``code_quality``: ``score`` is the quality, ``correct`` says whether every assertion passed (pass@1).

    limits: of each assertion. total_seconds: once so long has passed, answers that were not run yet stay ungraded, with that as the reason.
    workers: programs run at a time. Made by ``code_grader`` or ``load_grader(..., allow_exec=True)``.
    """

    limits: Limits
    total_seconds: float = TOTAL_SECONDS
    workers: int = WORKERS

    def __call__(self, item: Item, text: str) -> Grade:
        """The grade of one answer."""
        return self.grade_many([item], [text])[0]

    def grade_many(self, items: Sequence[Item], texts: Sequence[str]) -> list[Grade]:
        """Grades of many answers, some at a time."""
        until = time.monotonic() + self.total_seconds
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(lambda item, text: self._grade(item, text, until), items, texts))

    def _grade(self, item: Item, text: str, until: float) -> Grade:
        tests = item.metadata.get("tests")
        if not tests or not isinstance(tests, list):
            return Grade(None, reason="the item has no tests; load the task with code:FILE")
        program = program_of(item, text)
        if parse_python(program) is None:
            return Grade(False, answer=program, score=0.0, reason="the program does not parse" if text.strip() else "empty answer")
        if time.monotonic() > until:
            return Grade(None, answer=program, reason=f"not run: all programs together may take {self.total_seconds:g} s")
        verdicts = run_checks(program, [str(t) for t in tests], setup=str(item.metadata.get("setup") or ""), limits=self.limits)
        wrong = [(k, words) for k, words in enumerate(verdicts, start=1) if words != "ok"]
        score = code_quality_rule(True, len(verdicts) - len(wrong), len(verdicts))
        why = f"test {wrong[0][0]} of {len(verdicts)}: {wrong[0][1]}" if wrong else None
        return Grade(not wrong, answer=program, score=score, reason=why)


def code_grader(rest: str = "", *, allow_exec: bool = False) -> Grader:
    """The grader that ``code_quality`` or ``code_quality:SECONDS`` (of each test, 3 by default) names.

    Raises ``InputError`` without ``allow_exec``, for seconds that are none, or where this machine cannot isolate a program.
    """
    _demand(allow_exec)
    try:
        seconds = float(rest) if rest else 3.0
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"code_quality:{rest}: expected the seconds of one test, such as code_quality:3")
    if (reason := isolation_problem()) is not None:
        raise InputError(reason)
    return CodeQuality(Limits(seconds=seconds))


def _demand(allow_exec: bool) -> None:
    if not allow_exec:
        raise InputError(
            "code_quality runs programs that a model wrote, each isolated from this machine; allow it with --allow-exec (allow_exec=True)"
        )
