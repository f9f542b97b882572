"""Mahalanobis distance of a hidden state to the training states, and relative to background states.

Sources: Lee et al., arXiv 1807.03888; relative form, Ren et al., arXiv 2209.15558. Never fit on the items to be scored.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.fitting import Examples, Fit, examples, hash_ids, scored_states, state_for
from trueline.estimators.inputs import round_scores
from trueline.traces.trace import Trace

#: The smallest of these that makes the covariance positive definite is added to its diagonal.
JITTER = (0.0, *(10.0**k for k in range(-15, 0)))


@dataclass(frozen=True)
class Mahalanobis:
    r"""Distance :math:`\sqrt{(h - \mu)^\top S^{-1} (h - \mu)}` of the answer's last hidden state to those of right answers.

    ``relative`` subtracts the distance to a background. The background of the paper is general text; here it is all answers of the fit,
    right and wrong (a choice), unless ``fit`` is given another trace.
    """

    depth: float = 0.5  # relative depth of the layer
    relative: bool = False
    state: Fit | None = field(default=None, compare=False, repr=False)

    @property
    def needs(self) -> Needs:
        """The last hidden state of the greedy answer, and a fit."""
        return Needs(greedy=frozenset({"hidden_last"}), depths=frozenset({self.depth}), unfitted=self.state is None)

    def fit(self, trace: Trace, correct: ArrayLike, background: Trace | None = None) -> Self:
        """Fit on the right answers of a trace; correct: (n_items,) 1, 0 or NaN. background: a trace whose greedy answers are general text.

        Raises ``InputError`` for fewer than 2 right answers, or a covariance that stays singular.
        """
        found = examples(trace, correct, "hidden_last", self.depth)
        near = fit_gaussian(found.states[found.right])
        arrays = {"mean": near.mean, "factor": near.factor}
        facts = {"layer": found.layer, "width": found.states.shape[1], "right": int(found.right.sum()), "jitter": near.jitter}
        seen = hash_ids(trace.item_ids)
        if self.relative:
            other = found if background is None else _unlabelled(background, self.depth)
            wide = fit_gaussian(other.states)
            arrays |= {"background_mean": wide.mean, "background_factor": wide.factor}
            facts |= {"background": len(other.states), "background_jitter": wide.jitter}
            seen = seen if background is None else np.concatenate([seen, hash_ids(background.item_ids)])
        return dataclasses.replace(self, state=Fit(arrays, facts, seen))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an answer without text. Raises ``NotFitted``, ``MissingTraceField``, ``InputError`` (seen items)."""
        state = state_for(self.state, trace)
        item, states = scored_states(trace, state, "hidden_last", self.depth)
        scores = np.full(trace.n_items, np.nan)
        if len(item):
            scores[item] = _gaussian(state, "").distance(states)
        if len(item) and self.relative:
            scores[item] -= _gaussian(state, "background_").distance(states)
        return round_scores(scores)


def _unlabelled(trace: Trace, depth: float) -> Examples:
    return examples(trace, np.ones(trace.n_items), "hidden_last", depth)


def _gaussian(state: Fit, prefix: str) -> Gaussian:
    return Gaussian(state.arrays[f"{prefix}mean"], state.arrays[f"{prefix}factor"], float(state.facts[f"{prefix}jitter"]))


@dataclass(frozen=True)
class Gaussian:
    """Mean (d,) and Cholesky factor (d, d) of the sample covariance of training states, with the jitter that was needed."""

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    jitter: float

    def distance(self, states: ArrayLike) -> NDArray[np.float64]:
        """(n, d) float64 states -> (n,) float64 distances sqrt((h - mu)^T S^-1 (h - mu)). Raises ``InputError`` for another width."""
        h = np.atleast_2d(np.asarray(states, dtype=np.float64))
        if h.shape[1] != len(self.mean):
            raise InputError(f"states have {h.shape[1]} features, the training states {len(self.mean)}")
        return np.asarray(np.sqrt((np.linalg.solve(self.factor, (h - self.mean).T) ** 2).sum(axis=0)), dtype=np.float64)


def fit_gaussian(states: ArrayLike) -> Gaussian:
    """Fit on (n, d) float64 states of right answers, n >= 2; covariance with n - 1. Raises ``InputError`` when no jitter helps."""
    h = np.asarray(states, dtype=np.float64)
    if h.ndim != 2 or len(h) < 2 or not np.isfinite(h).all():
        raise InputError(f"training states of shape {h.shape}; expected finite (n, d) with n >= 2")
    covariance = np.atleast_2d(np.cov(h, rowvar=False))
    for jitter in JITTER:
        shifted = covariance + jitter * np.eye(len(covariance))
        if np.linalg.eigvalsh(shifted)[0] > 0:
            return Gaussian(h.mean(axis=0), np.asarray(np.linalg.cholesky(shifted), dtype=np.float64), jitter)
    raise InputError("the covariance of the training states stays singular with 0.1 on its diagonal; scale the states or give more of them")


def relative_mahalanobis(states: ArrayLike, train: Gaussian, background: Gaussian) -> NDArray[np.float64]:
    """(n, d) float64 -> (n,) float64: distance to the training states less the distance to general text; higher = less certain."""
    return train.distance(states) - background.distance(states)
