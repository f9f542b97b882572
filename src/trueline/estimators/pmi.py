"""Pointwise mutual information between prompt and answer: token log-probs with and without the prompt.

Sources: mean PMI as in LM-Polygraph; conditional PMI, van der Poel, Cotterell, Meister, arXiv 2210.13210.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError

TAU, LAMBDA = 0.0656, 3.599  # entropy threshold (nats) and weight fitted by van der Poel et al.


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
