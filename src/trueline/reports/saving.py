"""Where a page goes on disk."""

from __future__ import annotations

import os
from pathlib import Path

from trueline.traces.rundir import RunDirectory


def save_page(text: str, path: str | os.PathLike[str], name: str) -> Path:
    """Write a page, whole or not at all, and return where it lies; ``path``: a file, or a directory that gets ``name``.

    Raises ``StorageError`` when the file cannot be written.
    """
    target = Path(path)
    target = target / name if target.is_dir() else target
    target.parent.mkdir(parents=True, exist_ok=True)
    RunDirectory(target.parent).write_text(target.name, text)
    return target
