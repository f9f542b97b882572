"""Closing lines of a golden run: how many cases ran, and what was not covered."""

from __future__ import annotations

import pytest

MODULE = "golden/test_vectors.py::"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say out loud which keys are pending and which files have no adapter, whatever the verbosity."""
    stats = terminalreporter.stats
    ran = {
        kind: [r for r in stats.get(kind, []) if MODULE in r.nodeid and "/" in r.nodeid.split(MODULE)[1]]
        for kind in ("passed", "failed", "xfailed")
    }
    open_points = [r for r in stats.get("xfailed", []) if MODULE in r.nodeid]
    if not any(ran.values()) and not open_points:
        return
    terminalreporter.section("golden vectors")
    terminalreporter.line("cases: " + ", ".join(f"{len(reports)} {kind}" for kind, reports in ran.items()))
    for report in open_points:
        terminalreporter.line(getattr(report, "wasxfail", "").removeprefix("reason: "))
