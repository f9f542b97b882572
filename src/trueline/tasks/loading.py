"""`load_task`: a task by URI or path."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.errors import InputError, nearest
from trueline.tasks.item import Grader, Task
from trueline.tasks.tables import SUFFIXES


def load_task(
    uri: str | Path | Task,
    *,
    mapping: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    grader: str | Grader | None = None,
    limit: int | None = None,
    **options: Any,
) -> Task:
    """Load a task.

    uri: ``world:facts``, ``hf-dataset:NAME[:config][@split]``, ``code:FILE``, a path ending in .jsonl, .csv or .parquet, or a ``Task``;
    with ``?wordings=paraphrases,case,space,typos:0.02`` behind it, each item comes in several wordings (see ``tasks.wordings``).
    mapping, skip_bad: see ``tasks.files.load_file``. grader: replaces the task's own (a name known to ``load_grader``, or a function).
    limit: only the first items. options: passed on to the loader of the scheme.

    Raises ``InputError`` for an unknown scheme or unusable file, ``MissingExtra`` when a package is missing.
    """
    from trueline.tasks.wordings import split_name, with_wordings

    base, wordings = (uri, ()) if isinstance(uri, Task) else split_name(str(uri))
    task = base if isinstance(base, Task) else _load(base, mapping, skip_bad, limit, options)
    changes: dict[str, Any] = {}
    if grader is not None:
        from trueline.tasks.graders import load_grader

        if not (isinstance(grader, str) and grader.startswith(("llm:", "code_quality"))):  # these are loaded when they are needed
            load_grader(grader, task)
        changes["grader"] = grader
    if limit is not None and limit < len(task.items):
        if limit < 1:
            raise InputError(f"limit must be at least 1, got {limit}")
        changes["items"] = list(task.items[:limit])
    task = dataclasses.replace(task, **changes) if changes else task
    return with_wordings(task, wordings) if wordings else task


def _load(uri: str, mapping: Mapping[str, str] | None, skip_bad: bool, limit: int | None, options: dict[str, Any]) -> Task:
    from trueline.catalog import TASK_SCHEMES
    from trueline.tasks.files import load_file

    scheme, colon, rest = uri.partition(":")
    if colon and scheme in TASK_SCHEMES:
        if scheme == "hf-dataset":
            options = {"mapping": mapping, "skip_bad": skip_bad, "limit": limit, **options}
        elif scheme == "code":
            options = {"skip_bad": skip_bad, "limit": limit, **options}
        if mapping and scheme != "hf-dataset":
            raise InputError(f"{uri} has no columns to map; a mapping is for files and datasets")
        return _resolve(TASK_SCHEMES[scheme])(rest, **options)  # type: ignore[no-any-return]
    if Path(uri).suffix.lower() in SUFFIXES or Path(uri).exists():
        return load_file(uri, mapping=mapping, skip_bad=skip_bad, limit=limit, **options)
    known = [f"{name}:" for name in TASK_SCHEMES]
    raise InputError(
        f"unknown task {uri!r}: expected {', '.join(f'{k}NAME' for k in known)} or a file ending in {', '.join(SUFFIXES)}"
        f"{nearest(scheme + ':', known)}"
    )


def _resolve(target: str) -> Any:
    import importlib

    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
