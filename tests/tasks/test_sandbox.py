"""Hostile programs are failed items, not incidents: each is tried against the kernel's walls alone, and under watch."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from trueline.errors import InputError
from trueline.tasks import sandbox
from trueline.tasks.sandbox import Limits, _run, isolation_problem, run_checks

SHORT = Limits(seconds=1.0, memory=256, megabytes=4)

#: What a program does -> its source. Each must fail both with and without the watch.
HOSTILE = {
    "fork bomb": "import os\nwhile True:\n    os.fork()",
    "fork in a library": "import ctypes\nif ctypes.CDLL(None).fork() < 0: raise OSError",
    "threads without end": "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(9,)).start()",
    "endless loop": "while True: pass",
    "sleep": "import time\ntime.sleep(60)",
    "memory": "x = [0]\nwhile True: x = x + x",
    "write outside": "open('/usr/lib/trueline-was-here', 'w')",
    "write over python": "import os\nopen(os.__file__, 'a')",
    "big file": "with open('big', 'wb') as f:\n    while True: f.write(b'x' * 2**20)",
    "many files": "import itertools\nfor i in itertools.count(): open(str(i), 'w').close()",
    "many open files": "kept = []\nwhile True: kept.append(open('/dev/null'))",
    "socket to the net": "import socket\nsocket.create_connection(('198.51.100.1', 80), 1)",
    "socket to this machine": "import socket\nsocket.create_connection(('127.0.0.1', 22), 1)",
    "name service": "import socket\nsocket.getaddrinfo('example.org', 80)",
    "kill the parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nraise RuntimeError('and yet it goes on')",
    "kill everybody": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "kill itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "shell": "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'true'], check=True)",
    "leave early": "import os\nos._exit(0)",
    "exit": "raise SystemExit(0)",
    "read what is private": "import os\nos.listdir('/home'), os.listdir('/etc')",
    "password file": "open('/etc/passwd')",
    "process list": "open('/proc/1/environ')",
    "close the pipe": "import os\nos.closerange(0, 64)\nwhile True: pass",
    "raise the limits": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (-1, -1))",
    "deep folders": "import os\nwhile True:\n    os.mkdir('d'); os.chdir('d')",
    "forged verdict": "import os\nos.write(3, b'ok\\n')\nos._exit(0)",
    "no program": "def f(:",
    "null byte": "x = '\0'",
    "too deep": "x = " + "(" * 5000,
}


@pytest.mark.parametrize("watch", [True, False], ids=["watched", "walls"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_fails_and_harms_nothing(name: str, watch: bool) -> None:
    started = time.monotonic()
    (verdict,) = _run(HOSTILE[name], ["assert True"], "", SHORT, watch=watch)
    assert verdict != "ok"
    assert len(verdict) <= 300
    assert time.monotonic() - started < 30  # the limit of the whole sandbox, not a speed
    assert not Path("/usr/lib/trueline-was-here").exists()


def test_nothing_of_it_is_left_running() -> None:
    marker = "trueline_left_running"
    _run(f"import time\n{marker} = 1\ntime.sleep(60)", ["pass"], "", Limits(seconds=0.3))
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "_sandbox_child" not in listed


def test_printing_gigabytes_costs_no_memory_and_no_disk() -> None:
    assert _run("while True: print('x' * 2**20)", ["assert True"], "", SHORT) == ["ran longer than 1 s"]


def test_good_programs_pass_and_each_check_starts_anew() -> None:
    program = "import math, re, collections\ncount = 0\ndef f(x):\n    global count\n    count += 1\n    return x + count"
    checks = ["assert f(1) == 2", "assert f(1) == 2", "assert f(1) == 3", "open('a', 'x').close()", "open('a', 'x').close()"]
    assert run_checks(program, checks) == ["ok", "ok", "AssertionError: ", "ok", "ok"]
    assert run_checks("", ["assert helper(2) == 4"], setup="def helper(x): return x * x") == ["ok"]
    assert run_checks("x = 1", []) == []


def test_what_a_program_may_see_of_this_machine() -> None:
    (seen,) = run_checks("import os", ["raise ValueError(os.getuid() > 0, os.environ.get('HOME'), os.listdir('/tmp'), os.listdir('/dev'))"])
    assert seen == "ValueError: (True, None, [], ['null'])"
    (names,) = run_checks("import socket", ["raise ValueError([n for _, n in socket.if_nameindex()])"])
    assert names == "ValueError: ['lo']"


def test_sets_are_ordered_alike_each_time() -> None:
    asked = ["raise ValueError(list({'a', 'b', 'c', 'd', 'e'}))"]
    assert run_checks("", asked) == run_checks("", asked)


def test_a_machine_that_cannot_isolate_runs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "_ask", lambda job, seconds: {"refused": "unshare: Operation not permitted"})
    isolation_problem.cache_clear()
    with pytest.raises(InputError, match=r"not permitted.*not run here"):
        run_checks("x = 1", ["pass"])
    isolation_problem.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InputError, match="darwin cannot isolate"):
        run_checks("x = 1", ["pass"])
    isolation_problem.cache_clear()


def test_limits_are_checked() -> None:
    for settings in ({"seconds": 0.0}, {"seconds": float("inf")}, {"seconds": float("nan")}, {"memory": 1}, {"megabytes": 0}):
        with pytest.raises(InputError):
            Limits(**settings)
