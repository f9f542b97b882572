"""Find a risk task by name or file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trueline.errors import InputError, nearest
from trueline.tabular.acs import ACS_TASKS, acs_task
from trueline.tabular.builtin import anes96_task, breast_cancer_task, fair_task, randhie_task
from trueline.tabular.codebook import load_codebook
from trueline.tabular.task import TabularRiskTask
from trueline.tasks.item import Task

BUILTIN: dict[str, Callable[..., TabularRiskTask]] = {
    "anes96": anes96_task,
    "fair": fair_task,
    "randhie": randhie_task,
    "breast-cancer": breast_cancer_task,
}


def load_risk_task(name: str, codebook: str | Path | None = None, **options: Any) -> TabularRiskTask:
    """Load a risk task.

    name: ``anes96``, ``fair``, ``randhie``, ``breast-cancer``; ``ACSIncome`` or another ACS task; a codebook (.json) that names its data; a
    table (.csv, .jsonl, .parquet) with a `codebook`. options: of `acs_task`, or fields of the task.

    Raises ``InputError`` for anything else.
    """
    name = name.removeprefix("table:")
    if codebook is not None:
        task = load_codebook(codebook, Path(name))
        return task.with_(**options) if options else task
    if name in BUILTIN:
        return BUILTIN[name](**options)
    if name in ACS_TASKS:
        return acs_task(name, **options)
    path = Path(name)
    if path.suffix.lower() == ".json":
        task = load_codebook(path)
        return task.with_(**options) if options else task
    if path.exists():
        raise InputError(f"{name} needs a codebook that says how its columns read and what is asked (--codebook FILE)")
    known = [*BUILTIN, *ACS_TASKS]
    raise InputError(
        f"unknown table {name!r}{nearest(name, known)}; expected {', '.join(known)}, a codebook .json, or a table with a codebook"
    )


def load_task(name: str, **options: Any) -> Task:
    """The test split of a risk task as a task of `trueline.measure`; the loader of ``table:NAME`` and ``table:CODEBOOK.json``."""
    return load_risk_task(name, **options).as_task()
