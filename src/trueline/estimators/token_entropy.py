"""Entropy of the next-token law along the greedy answer (Malinin and Gales, arXiv 2002.07650; Fomicheva et al., arXiv 2005.10608)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.inputs import OnEmpty, choice, greedy_column
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class TokenEntropy:
    r"""Mean or largest :math:`H_t = -\sum_v p_t(v) \log p_t(v)` over the greedy tokens, in nats, over the full vocabulary."""

    reduce: Literal["mean", "max"] = "mean"
    on_empty: OnEmpty = "raise"

    def __post_init__(self) -> None:
        """Refuse an unknown reduction."""
        choice("reduce", self.reduce, ("mean", "max"))

    @property
    def needs(self) -> Needs:
        """Greedy token entropies."""
        return Needs(greedy=frozenset({"token_entropy"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats. Raises ``EmptySequenceError``, ``LawError`` (greedy was sampled), ``InputError`` (NaN)."""
        entropy = greedy_column(trace, "token_entropy", self.on_empty)
        return entropy.mean() if self.reduce == "mean" else entropy.max()
