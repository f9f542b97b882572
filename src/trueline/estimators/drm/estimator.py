"""DRM as an estimator: how badly the main output is reasoned (arXiv 2510.11457, negated)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.drm.rewards import DRMWeights
from trueline.estimators.drm.scorers import CrossEncoder, RewardModel, TokenOverlap
from trueline.estimators.drm.scoring import DRM, items_of
from trueline.estimators.inputs import choice, generations, round_scores
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class DRMEstimator:
    """Minus the DRM score of the greedy output: confidence of its tokens, relevance to question and answer, coherence.

    relevance: ``overlap`` (words), the directory of a cross-encoder, or a function. coherence: the directory of a reward model, or a
    function; without one it is left out. weights: (confidence, relevance, coherence). normalise: ``none`` compares items with each other;
    ``group`` compares the greedy output with its item's samples (at most ``n_samples``), which says little about other items.
    """

    relevance: Any = "overlap"
    coherence: Any = ""
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    normalise: str = "none"
    n_samples: int = 8
    answer_reduction: str = "sum"
    _made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        choice("normalise", self.normalise, ("none", "group"))
        choice("answer_reduction", self.answer_reduction, ("sum", "mean"))
        if len(self.weights) != 3 or self.n_samples < 1:
            raise InputError(f"weights={self.weights} must be three numbers and n_samples={self.n_samples} at least 1")
        DRMWeights(*self.weights)

    @property
    def needs(self) -> Needs:
        """The greedy output with its reasoning and log-probs; with ``normalise="group"`` the same of samples."""
        columns = frozenset({"text", "reasoning", "token_logprobs"})
        return Needs(greedy=columns, samples=2, sample_columns=columns) if self.normalise == "group" else Needs(greedy=columns)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which dimensions are in the sum."""
        if self.coherence != "":
            return ()
        return ("confidence and relevance; coherence left out: no reward model (coherence=PATH)",)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64, higher = worse reasoned; NaN where the output was not taken apart, or a part has no token.

        Raises ``MissingTraceField``, ``InputError`` for impossible log-probs, ``ModelError``.
        """
        generations(trace, "greedy").require("token_logprobs")
        if self.normalise == "group":
            generations(trace, "sample").require("token_logprobs")
        items = items_of(trace, self.n_samples if self.normalise == "group" else 0)
        scores = np.full(trace.n_items, np.nan)
        for i, values in zip(items, self._drm().score(list(items.values())), strict=True):
            scores[i] = -values[0]
        return round_scores(scores)

    def _drm(self) -> DRM:
        if "drm" not in self._made:
            relevance, coherence = self.relevance, self.coherence
            if isinstance(relevance, str):
                relevance = TokenOverlap() if relevance == "overlap" else CrossEncoder(relevance)
            if isinstance(coherence, str):
                coherence = RewardModel(coherence) if coherence else None
            weights = DRMWeights(*self.weights)
            self._made["drm"] = DRM(relevance, coherence, weights, self.normalise, answer_reduction=self.answer_reduction, allow_empty=True)
        drm: DRM = self._made["drm"]
        return drm
