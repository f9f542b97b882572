"""Logistic regression from a hidden state to "the answer is right": the linear probe and P(IK).

Sources: linear probes, Alain and Bengio, arXiv 1610.01644; P(IK), from the question alone, Kadavath et al., arXiv 2207.05221.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.fitting import Fit, both_classes, examples, hash_ids, scored_states, state_for
from trueline.estimators.inputs import choice, round_scores
from trueline.traces.trace import Trace

_COLUMNS = {"answer": "hidden_last", "mean": "hidden_mean", "prompt": "hidden_prompt"}


@dataclass(frozen=True)
class LinearProbe:
    r"""1 - P(right), :math:`P = \sigma(w^\top z + b)` of the standardised hidden state z; in [0, 1].

    place: ``answer``, the last token of the greedy answer; ``mean``, the mean over its tokens; ``prompt``, the last token of the question:
    P(IK), known before it answers. Trap: the last token of an answer is often its full stop.
    """

    place: Literal["answer", "mean", "prompt"] = "answer"
    depth: float = 0.5  # relative depth of the layer
    c: float = 0.1  # inverse strength of the L2 penalty
    state: Fit | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse an unknown place or a penalty that is none."""
        choice("place", self.place, tuple(_COLUMNS))
        if not self.c > 0:
            raise InputError(f"c={self.c} must be above 0")

    @property
    def _column(self) -> str:
        return _COLUMNS[self.place]

    @property
    def needs(self) -> Needs:
        """The hidden state, and a fit."""
        return Needs(greedy=frozenset({self._column}), depths=frozenset({self.depth}), unfitted=self.state is None)

    def fit(self, trace: Trace, correct: ArrayLike) -> Self:
        """Fit on labelled answers; correct: (n_items,) 1, 0 or NaN. Raises ``InputError`` for labels of one class."""
        from sklearn.linear_model import LogisticRegression

        found = examples(trace, correct, self._column, self.depth)
        both_classes(found.right)
        mean, scale = standardisation(found.states)
        model = LogisticRegression(C=self.c, max_iter=2000).fit((found.states - mean) / scale, found.right)
        arrays = {"mean": mean, "scale": scale, "weight": model.coef_[0], "bias": model.intercept_}
        facts = {"layer": found.layer, "width": len(mean), "items": len(found.right), "right": int(found.right.sum())}
        return dataclasses.replace(self, state=Fit(arrays, facts, hash_ids(trace.item_ids)))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN without the state. Raises ``NotFitted``, ``MissingTraceField``, ``InputError`` (seen items)."""
        from scipy.special import expit

        state = state_for(self.state, trace)
        item, states = scored_states(trace, state, self._column, self.depth)
        scores = np.full(trace.n_items, np.nan)
        if len(item):
            z = (states - state.arrays["mean"]) / state.arrays["scale"]
            scores[item] = expit(-((z * state.arrays["weight"]).sum(axis=1) + state.arrays["bias"][0]))
        return round_scores(scores)


def standardisation(states: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each feature of (n, d) states; a feature that never varies keeps its scale."""
    scale = states.std(axis=0)
    return states.mean(axis=0), np.where(scale > 0, scale, 1.0)
