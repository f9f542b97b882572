"""RACE: do answers and reasoning of a reasoning model agree? Four signals and their sum.

Source: "Joint Evaluation of Answer and Reasoning Consistency for Hallucination Detection in Large Reasoning Models", arXiv 2506.04832.
"""

from trueline.estimators.race.parts import Embedder, Entities, HashedNgrams, Nli, ProxyLM, RuleEntities, SentenceEncoder, SlotRules
from trueline.estimators.race.race import RACE, RaceSignal
from trueline.estimators.race.signals import (
    NOTHING_TO_COMPARE,
    AnswerClusters,
    answer_alignment,
    answer_uncertainty,
    combine,
    contradiction,
    reasoning_consistency,
    speculation,
    step_weights,
    token_entropies,
)
from trueline.estimators.race.steps import ModelStepExtractor, RuleStepExtractor, StepExtractor
from trueline.estimators.race.weights import RaceWeights, fit_race_weights

__all__ = [
    "NOTHING_TO_COMPARE",
    "RACE",
    "AnswerClusters",
    "Embedder",
    "Entities",
    "HashedNgrams",
    "ModelStepExtractor",
    "Nli",
    "ProxyLM",
    "RaceSignal",
    "RaceWeights",
    "RuleEntities",
    "RuleStepExtractor",
    "SentenceEncoder",
    "SlotRules",
    "StepExtractor",
    "answer_alignment",
    "answer_uncertainty",
    "combine",
    "contradiction",
    "fit_race_weights",
    "reasoning_consistency",
    "speculation",
    "step_weights",
    "token_entropies",
]
