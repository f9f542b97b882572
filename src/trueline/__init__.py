"""trueline: measure a model, validate the measure, audit, act, measure again.

The names below are imported when they are first used, so that ``import trueline`` stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from trueline import catalog
    from trueline.audits.distribution import audit_distribution
    from trueline.audits.incoherence import audit_errors
    from trueline.capture.cluster import RayEngine
    from trueline.capture.planner import Plan
    from trueline.comparing import compare_runs
    from trueline.errors import TruelineError
    from trueline.estimators.base import Estimator
    from trueline.estimators.loading import load_equivalence, load_estimator
    from trueline.gating import check_run
    from trueline.importing import import_generations
    from trueline.measuring import measure, plan
    from trueline.models.base import Model
    from trueline.models.loading import load_model
    from trueline.run import Run, open_run
    from trueline.scoretable import validate_table
    from trueline.stats.estimate import Estimate
    from trueline.tasks.graders import load_grader
    from trueline.tasks.item import Grade, Item, Task
    from trueline.tasks.loading import load_task

_SOURCES = {
    "Estimate": "trueline.stats.estimate",
    "Estimator": "trueline.estimators.base",
    "Grade": "trueline.tasks.item",
    "Item": "trueline.tasks.item",
    "Model": "trueline.models.base",
    "Plan": "trueline.capture.planner",
    "RayEngine": "trueline.capture.cluster",
    "Run": "trueline.run",
    "Task": "trueline.tasks.item",
    "TruelineError": "trueline.errors",
    "audit_distribution": "trueline.audits.distribution",
    "audit_errors": "trueline.audits.incoherence",
    "check_run": "trueline.gating",
    "compare_runs": "trueline.comparing",
    "import_generations": "trueline.importing",
    "load_equivalence": "trueline.estimators.loading",
    "load_estimator": "trueline.estimators.loading",
    "load_grader": "trueline.tasks.graders",
    "load_model": "trueline.models.loading",
    "load_task": "trueline.tasks.loading",
    "measure": "trueline.measuring",
    "open_run": "trueline.run",
    "plan": "trueline.measuring",
    "validate_table": "trueline.scoretable",
}

__all__ = [
    "Estimate",
    "Estimator",
    "Grade",
    "Item",
    "Model",
    "Plan",
    "RayEngine",
    "Run",
    "Task",
    "TruelineError",
    "__version__",
    "audit_distribution",
    "audit_errors",
    "catalog",
    "check_run",
    "compare_runs",
    "import_generations",
    "load_equivalence",
    "load_estimator",
    "load_grader",
    "load_model",
    "load_task",
    "measure",
    "open_run",
    "plan",
    "validate_table",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "catalog":
        return import_module("trueline.catalog")
    if name not in _SOURCES:
        raise AttributeError(f"module 'trueline' has no attribute {name!r}")
    value = getattr(import_module(_SOURCES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
