"""Tables as risk tasks: rows become questions, a model's answers become probabilities of an uncertain outcome.

Cruz, Hardt and Mendler-Duenner 2024, "Evaluating language models as risk scores", arXiv 2407.14614. The names below are imported when they
are first used: the classifier needs scikit-learn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueline.tabular.acs import acs_columns, acs_task
    from trueline.tabular.answers import OptionLaw, option_law, parse_probability
    from trueline.tabular.builtin import anes96_task, breast_cancer_task, fair_task, randhie_task
    from trueline.tabular.cache import AnswerCache
    from trueline.tabular.classifier import RiskClassifier
    from trueline.tabular.codebook import from_codebook, load_codebook
    from trueline.tabular.columns import ColumnText, Threshold
    from trueline.tabular.importance import feature_importance
    from trueline.tabular.loading import load_risk_task
    from trueline.tabular.prompting import PromptStyle
    from trueline.tabular.questions import Choices, Numeric, Reasoned, asked_as
    from trueline.tabular.scoring import RiskScores, risk_scores
    from trueline.tabular.task import TabularRiskTask

_MODULES = {
    "acs": ("acs_columns", "acs_task"),
    "answers": ("OptionLaw", "option_law", "parse_probability"),
    "builtin": ("anes96_task", "breast_cancer_task", "fair_task", "randhie_task"),
    "cache": ("AnswerCache",),
    "classifier": ("RiskClassifier",),
    "codebook": ("from_codebook", "load_codebook"),
    "columns": ("ColumnText", "Threshold"),
    "importance": ("feature_importance",),
    "loading": ("load_risk_task",),
    "prompting": ("PromptStyle",),
    "questions": ("Choices", "Numeric", "Reasoned", "asked_as"),
    "scoring": ("RiskScores", "risk_scores"),
    "task": ("TabularRiskTask",),
}
_SOURCES = {name: f"trueline.tabular.{module}" for module, names in _MODULES.items() for name in names}

__all__ = [
    "AnswerCache",
    "Choices",
    "ColumnText",
    "Numeric",
    "OptionLaw",
    "PromptStyle",
    "Reasoned",
    "RiskClassifier",
    "RiskScores",
    "TabularRiskTask",
    "Threshold",
    "acs_columns",
    "acs_task",
    "anes96_task",
    "asked_as",
    "breast_cancer_task",
    "fair_task",
    "feature_importance",
    "from_codebook",
    "load_codebook",
    "load_risk_task",
    "option_law",
    "parse_probability",
    "randhie_task",
    "risk_scores",
]


def __getattr__(name: str) -> Any:
    if name in _SOURCES:
        return getattr(importlib.import_module(_SOURCES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
