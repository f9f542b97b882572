"""Pointwise mutual information between prompt and answer: token log-probs with and without the prompt.

Sources: mean PMI as in LM-Polygraph; conditional PMI, van der Poel, Cotterell, Meister, arXiv 2210.13210.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import OnEmpty, greedy_column, greedy_logprobs
from trueline.traces.trace import Trace

TAU, LAMBDA = 0.0656, 3.599  # entropy threshold (nats) and weight fitted by van der Poel et al.


@dataclass(frozen=True)
class MeanPMI:
    r"""Minus the mean pointwise mutual information of prompt and answer, :math:`-\frac1T \sum_t (\log q_t - \log q_t^{prior})`, in nats.

    The prior is the same model after an empty prompt; it is dropped at the first token, where it says nothing about the answer.
    """

    on_empty: OnEmpty = "raise"

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs, with and without the prompt."""
        return Needs(greedy=frozenset({"token_logprobs", "prior_logprobs"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an empty answer under ``on_empty="nan"``. Raises ``MissingTraceField``, ``InputError``."""
        columns = _columns(trace, ("token_logprobs", "prior_logprobs"), self.on_empty)
        return np.array([mean_pmi(row[0], row[1]) if row else np.nan for row in columns], dtype=np.float64)


@dataclass(frozen=True)
class ConditionalPMI:
    r"""Minus the mean conditional PMI, in nats: the prior counts at uncertain tokens only.

    :math:`-\frac1T \sum_t (\log q_t - \lambda [t > 1, H_t \ge \tau] \log q_t^{prior})`. Trap: tau (nats) and lambda were fitted by
    the authors on summaries of news; another task wants its own.
    """

    tau: float = TAU
    weight: float = LAMBDA  # lambda
    on_empty: OnEmpty = "raise"

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs, with and without the prompt, and the entropies of the next-token laws."""
        return Needs(greedy=frozenset({"token_logprobs", "prior_logprobs", "token_entropy"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an empty answer under ``on_empty="nan"``. Raises ``MissingTraceField``, ``InputError``."""
        columns = _columns(trace, ("token_logprobs", "prior_logprobs", "token_entropy"), self.on_empty)
        scores = [conditional_pmi(row[0], row[1], row[2], self.tau, self.weight) if row else np.nan for row in columns]
        return np.array(scores, dtype=np.float64)


def _columns(trace: Trace, names: tuple[str, ...], on_empty: OnEmpty) -> Iterator[tuple[NDArray[np.float64], ...]]:
    """One tuple an item, the first column being log-probs; an empty tuple where one is missing or empty."""
    found = [greedy_logprobs(trace, on_empty), *(greedy_column(trace, name, on_empty) for name in names[1:])]
    for i in range(trace.n_items):
        row = tuple(column[i] for column in found)
        yield row if all(len(part) for part in row) else ()


def mean_pmi(token_logprobs: ArrayLike, prior_logprobs: ArrayLike) -> float:
    r""":math:`-\frac1T \sum_t (\log q_t - \log q_t^{prior})` in nats, the prior dropped at the first token.

    token_logprobs, prior_logprobs: (T,) float64 of the same tokens with and without the prompt. Raises ``InputError`` for shapes.
    """
    logprobs, prior = _pair(token_logprobs, prior_logprobs)
    return float(-(logprobs.sum() - prior[1:].sum()) / len(logprobs)) + 0.0


def conditional_pmi(
    token_logprobs: ArrayLike, prior_logprobs: ArrayLike, entropy: ArrayLike, tau: float = TAU, weight: float = LAMBDA
) -> float:
    r""":math:`-\frac1T \sum_t (\log q_t - \lambda [t > 1, H_t \ge \tau] \log q_t^{prior})` in nats: priors count where it wavers.

    entropy: (T,) float64, entropy of the next-token law in nats. Raises ``InputError`` for shapes.
    """
    logprobs, prior = _pair(token_logprobs, prior_logprobs)
    unsure = np.asarray(entropy, dtype=np.float64) >= tau
    if unsure.shape != logprobs.shape:
        raise InputError(f"{unsure.shape} entropies do not fit {logprobs.shape} tokens")
    unsure[0] = False
    return float(-(logprobs.sum() - weight * prior[unsure].sum()) / len(logprobs)) + 0.0


def _pair(one: ArrayLike, two: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise InputError(f"log-probs of shapes {a.shape} and {b.shape}; expected two vectors of one length >= 1")
    return a, b
