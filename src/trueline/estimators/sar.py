"""Shifting attention to relevance: log-probs weighted by how much a token or a sample carries the meaning (Duan et al., arXiv 2307.01379).

The similarities g come from a cross-encoder in the paper (stsb-roberta-large) and are given here. As in the authors' code, p = exp(l) is
not length-normalised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError

TEMPERATURE = 0.001  # t of SentSAR in the paper's experiments


def token_sar(token_logprobs: ArrayLike, token_similarity: ArrayLike) -> float:
    r"""TokenSAR of one answer: :math:`-\sum_t \tilde R_t \log q_t` in nats, R_t = 1 - g(x + y, x + y without t), scaled to sum 1.

    token_logprobs, token_similarity: (T,) float64. Where no token matters (all R_t = 0) the mean NLL. Raises ``InputError`` for shapes.
    """
    logprobs, similarity = np.asarray(token_logprobs, dtype=np.float64), np.asarray(token_similarity, dtype=np.float64)
    if logprobs.ndim != 1 or logprobs.shape != similarity.shape or not len(logprobs):
        raise InputError(
            f"token log-probs of shape {logprobs.shape} and similarities of shape {similarity.shape} must be equal and not empty"
        )
    relevance = 1.0 - similarity
    total = relevance.sum()
    return float(-(relevance * logprobs).sum() / total if total else -logprobs.mean()) + 0.0


def sentence_sar(sequence_logprobs: ArrayLike, similarity: ArrayLike, t: float = TEMPERATURE) -> float:
    r"""SentSAR: :math:`\frac1M \sum_m -\log(p_m + \frac1t \sum_{k \ne m} g_{mk} p_k)` in nats; similar samples help each other.

    sequence_logprobs: (M,) float64, sums over tokens; similarity: (M, M) float64 in [0, 1]. Raises ``InputError`` for shape, M < 2, t <= 0.
    """
    logp, g = np.asarray(sequence_logprobs, dtype=np.float64), np.asarray(similarity, dtype=np.float64)
    m = len(logp)
    if logp.ndim != 1 or m < 2 or g.shape != (m, m) or t <= 0:
        raise InputError(f"{logp.shape} log-probs, similarities of shape {g.shape}, t={t}; expected (M,), (M, M), M >= 2 and t > 0")
    weight = np.where(np.eye(m, dtype=bool), 1.0, g / t)
    top = logp.max()
    return float(-np.mean(np.log(weight @ np.exp(logp - top)) + top)) + 0.0


def sar(token_logprobs: list[ArrayLike], token_similarity: list[ArrayLike], similarity: ArrayLike, t: float = TEMPERATURE) -> float:
    """SAR: SentSAR with p_m = exp(-TokenSAR_m). token_logprobs, token_similarity: M sequences; similarity: (M, M) float64."""
    scores: NDArray[np.float64] = np.array([token_sar(a, b) for a, b in zip(token_logprobs, token_similarity, strict=True)])
    return sentence_sar(-scores, similarity, t)
