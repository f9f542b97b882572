"""Estimators: from a trace to one uncertainty per item; higher = less certain.

``load_estimators("all")`` gives what the catalog lists; ``judge_trace`` and ``score_trace`` are the two passes over a captured trace.
"""

from trueline.estimators.base import Estimator
from trueline.estimators.engine import judge_trace, missing_reasons, score_trace
from trueline.estimators.loading import load_equivalence, load_estimator, load_estimators, load_similarity

__all__ = [
    "Estimator",
    "judge_trace",
    "load_equivalence",
    "load_estimator",
    "load_estimators",
    "load_similarity",
    "missing_reasons",
    "score_trace",
]
