"""Equivalence: when do two answers mean the same?"""

from trueline.estimators.equivalence.base import Equivalence, KeyJudge, PairJudge, Verdicts
from trueline.estimators.equivalence.cache import PairCache
from trueline.estimators.equivalence.keys import Exact, Normalised, Oracle
from trueline.estimators.equivalence.llm import LLMJudge
from trueline.estimators.equivalence.nli import NLI

__all__ = ["NLI", "Equivalence", "Exact", "KeyJudge", "LLMJudge", "Normalised", "Oracle", "PairCache", "PairJudge", "Verdicts"]
