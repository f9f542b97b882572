"""The command line: one file a command."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``trueline`` with the given arguments (default: those of the process) and exit."""
    import os
    import sys

    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow's own keep what was freed: 150 MB in a run of a million items
    from trueline.cli.app import app

    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:  # taken at any place: people add it after a command failed
        given = ["--debug", *(word for word in given if word != "--debug")]
    app(args=given, prog_name="trueline")
