"""What it costs to begin: CPU seconds of ``import trueline``, of its metrics and of ``trueline --help``, against the bare interpreter.

    python benchmarks/start_up.py [--repeats 15]

Limits: 0.3 s for the imports, 0.5 s for the help, both with the interpreter's own start taken off. Prints one JSON line of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

COMMANDS = {
    "interpreter": [sys.executable, "-c", "pass"],
    "import": [sys.executable, "-c", "import trueline"],
    "metrics": [sys.executable, "-c", "import trueline.metrics"],
    "help": [sys.executable, "-m", "trueline", "--help"],
}


def cpu_seconds(command: list[str]) -> float:
    """User and system seconds of one finished child process."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    cpu: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats + 1):
        for name, command in COMMANDS.items():
            cpu[name].append(cpu_seconds(command))
    median = {name: statistics.median(values[1:]) for name, values in cpu.items()}  # the first round warms the disk
    base = median["interpreter"]
    row = {f"{name}_cpu_s": round(median[name] - base, 3) for name in ("import", "metrics", "help")}
    print(json.dumps({**row, "interpreter_cpu_s": round(base, 3), "limits": {"import": 0.3, "metrics": 0.3, "help": 0.5}}))


if __name__ == "__main__":
    main()
