"""Scores from the few most probable alternatives of each greedy token, the only law an API shows (uqlm, Apache-2.0, cvs-health)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import OnEmpty, choice, greedy_column, greedy_topk
from trueline.traces.ragged import Ragged
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class TopKMargin:
    """1 - mean over greedy tokens of p(best) - p(second best), probabilities not renormalised; in [0, 1].

    source: ``"stats"`` reads the captured best and second log-probs, ``"topk"`` the first two captured alternatives (APIs).
    """

    source: Literal["stats", "topk"] = "stats"
    on_empty: OnEmpty = "raise"

    def __post_init__(self) -> None:
        """Refuse an unknown source."""
        choice("source", self.source, ("stats", "topk"))

    @property
    def needs(self) -> Needs:
        """Best and second-best log-prob at each greedy step."""
        columns = {"token_max_logp", "token_second_logp"} if self.source == "stats" else {"topk_logprobs"}
        return Needs(greedy=frozenset(columns))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64. Raises ``EmptySequenceError``, ``LawError``, ``InputError`` (NaN, fewer than 2 alternatives)."""
        if self.source == "stats":
            best = greedy_column(trace, "token_max_logp", self.on_empty)
            second = greedy_column(trace, "token_second_logp", self.on_empty)
            return 1.0 - best.with_values(np.exp(best.values) - np.exp(second.values)).mean()
        top, tokens = _largest(trace, 2, self.on_empty)
        return 1.0 - tokens.with_values(np.exp(top[:, 0]) - np.exp(top[:, 1])).mean()


@dataclass(frozen=True)
class TopKEntropy:
    r"""Entropy of the k most probable alternatives, renormalised and divided by log k: 1 - negentropy; in [0, 1].

    Where fewer than k were captured (APIs, small vocabularies), k is their number.
    reduce: ``"mean"`` over tokens or ``"max"`` (the least certain token; uqlm's minimal negentropy).
    """

    k: int = 15
    reduce: Literal["mean", "max"] = "mean"
    on_empty: OnEmpty = "raise"

    def __post_init__(self) -> None:
        """Refuse k < 2 and an unknown reduction."""
        if self.k < 2:
            raise InputError(f"k={self.k}: the entropy of fewer than 2 alternatives says nothing; choose k >= 2")
        choice("reduce", self.reduce, ("mean", "max"))

    @property
    def needs(self) -> Needs:
        """Alternatives of each greedy token."""
        return Needs(greedy=frozenset({"topk_logprobs"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64. Raises as ``TopKMargin.score``."""
        top, tokens = _largest(trace, self.k, self.on_empty)
        entropy = tokens.with_values(topk_entropy(top) / np.log(max(top.shape[1], 2)))
        return entropy.mean() if self.reduce == "mean" else entropy.max()


def topk_entropy(logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., k) float64 log-probs of the kept alternatives -> (...) float64 entropy in nats of the renormalised law."""
    logp = logprobs - np.logaddexp.reduce(logprobs, axis=-1, keepdims=True)
    p = np.exp(logp)
    return np.asarray(-np.sum(p * np.where(p > 0, logp, 0.0), axis=-1) + 0.0, dtype=np.float64)


def _largest(trace: Trace, k: int, on_empty: OnEmpty) -> tuple[NDArray[np.float64], Ragged]:
    """(n_tokens, k or as many as were captured) largest log-probs of each greedy token, descending, and a Ragged of
    the same tokens, one row an item.
    """
    alternatives, tokens = greedy_topk(trace, on_empty)
    if len(alternatives) and (alternatives.shape[1] < 2 or np.isneginf(alternatives.max(axis=1)).any()):
        raise InputError("at least 2 alternatives a token are needed; capture more (top_k_alternatives)")
    return -np.sort(-alternatives, axis=1)[:, :k], tokens
