"""What trueline registers with Inspect AI (entry point ``inspect_ai``): its models, a task for `measure`, one an audit that asks a model.

`inspect eval trueline/measure -T task=world:facts --model trueline/world:chat` needs no file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inspect_ai import Task, task

from trueline.errors import InputError
from trueline.inspecting.audits import AUDITS, UNASKED, named, ready, shared
from trueline.inspecting.running import audit_document, inspect_audit, one_line, task_of
from trueline.interop.inspect_registry import trueline_models
from trueline.interop.inspect_task import inspect_task

__all__ = ["AUDITS", "UNASKED", "audit_document", "inspect_audit", "measure", "trueline_models"]


@task
def measure(task: Any, **settings: Any) -> Task:
    """A task of trueline by its URI; the settings are those of `inspect_task`."""
    with one_line():
        (known,) = shared(settings, inspect_task)
        return inspect_task(named(task), **known)


def _audit(name: str) -> Callable[..., Task]:
    @task(name=name)
    def audit(**settings: Any) -> Task:
        with one_line():
            if name in UNASKED:
                raise InputError(f"audit {name} asks no model, so there is nothing for Inspect to evaluate: {UNASKED[name]}")
            return task_of(name, ready(name, settings))

    audit.__doc__ = f"The audit {name!r}; settings as of `trueline.inspecting.audits`."
    return audit


for _name in (*AUDITS, *UNASKED):
    _audit(_name)
