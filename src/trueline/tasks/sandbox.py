"""Run a program that nobody trusts: alone, without network, in a folder of its own, for a few seconds.

Each program gets a session and namespaces of its own: no network device but a loopback that is down, no other process to see or signal, a
root directory that holds Python's files read-only, ``/dev/null`` and a small ``/tmp`` in memory. It runs without privileges as a user that
owns nothing, under limits on processor time, wall time, memory, files, open files and processes (no second one). The guarantee is the
kernel's: it is given on Linux 5.12 and later, on x86-64 and ARM64, by root or where users may make namespaces. Elsewhere nothing is run.

What it is not: a defence against faults of the kernel, or against a program that forges its own verdict, for it shares the process of its
checks.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from trueline.errors import InputError

#: Seconds that setting up and ending may take beside the checks.
_OVERHEAD = 15.0


@dataclass(frozen=True)
class Limits:
    """Limits of one check. seconds: wall time. memory: MiB of address space. megabytes: of all files together."""

    seconds: float = 3.0
    memory: int = 512
    megabytes: int = 16

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        if not 0 < self.seconds < float("inf") or self.memory < 64 or self.megabytes < 1:
            raise InputError(f"{self}: expected seconds above 0 and finite, at least 64 MiB of memory and 1 MiB of files")


def run_checks(program: str, checks: Sequence[str], *, setup: str = "", limits: Limits | None = None) -> list[str]:
    """Run every check after a program and say how it went: ``"ok"``, or in a few words why not (they may hold text of the program).

    Each check is Python source that raises where it fails; it runs in a child of its own, after ``program`` and ``setup``, in an empty
    folder.
    Raises ``InputError`` where this machine cannot isolate a program: then nothing is run.
    """
    reason = isolation_problem()
    if reason is not None:
        raise InputError(reason)
    return _run(program, checks, setup, limits or Limits())


@lru_cache(maxsize=1)
def isolation_problem() -> str | None:
    """Why this machine cannot isolate a program, or None where it can; tried once a process with a program that does nothing."""
    advice = "model-written programs are not run here; use Linux where users may make namespaces, or be root in a virtual machine"
    if sys.platform != "linux":
        return f"{sys.platform} cannot isolate a program: {advice}"
    try:
        verdicts = _run("", [""], "", Limits(seconds=10.0))
    except InputError as error:
        return f"{error}: {advice}"
    return None if verdicts == ["ok"] else f"a program that does nothing failed in isolation ({verdicts[0]}): {advice}"


def _run(program: str, checks: Sequence[str], setup: str, limits: Limits, *, watch: bool = True) -> list[str]:
    """``run_checks`` without the trial. watch: end a program at once when Python sees it trespass."""
    job: dict[str, Any] = {
        "program": program,
        "checks": list(checks),
        "setup": setup,
        "seconds": limits.seconds,
        "memory": limits.memory,
        "megabytes": limits.megabytes,
        "paths": _python_files(),
        "watch": watch,
    }
    with tempfile.TemporaryDirectory(prefix="trueline-") as root:
        reply = _ask({**job, "root": root}, _OVERHEAD + len(checks) * (limits.seconds + 0.5))
    if "refused" in reply:
        raise InputError(f"this machine does not let a program be isolated ({reply['refused']})")
    verdicts: list[str] = reply.get("verdicts", [])
    return verdicts + ["ended the whole sandbox"] * (len(checks) - len(verdicts))


def _ask(job: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Start the inner side, hand it the job and wait; whatever happens, its whole session is gone afterwards."""
    command = [sys.executable, "-s", "-S", "-P", str(Path(__file__).with_name("_sandbox_child.py"))]
    # equal programs order their sets alike
    environment = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    try:
        said, _ = child.communicate(json.dumps(job).encode(), timeout=seconds)
    except subprocess.TimeoutExpired:
        said = b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    try:
        reply = json.loads(said)
    except ValueError:  # it was ended before it could answer
        return {}
    return reply if isinstance(reply, dict) else {}


def _python_files() -> list[str]:
    """What Python needs to run with its standard library: parents before what lies in them, nothing twice."""
    wanted = {"/usr", "/lib", "/lib64", "/bin", sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib")}
    found: list[str] = []
    for path in sorted(wanted):
        if os.path.exists(path) and not any(path == p or path.startswith(p + "/") for p in found):
            found.append(path)
    return found
