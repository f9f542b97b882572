"""Scores from attention maps of the answer: RAUQ, the attention score, and contextualised sequence likelihood (CSL).

Sources: RAUQ, arXiv 2505.20045; attention score, Sriramanan et al., "LLM-Check" (2024); CSL, Lin, Trivedi, Sun, arXiv 2406.01806.
LM-Polygraph adds 1 to RAUQ and lets its layers run past the last one in models of 1 or 2 layers; here they stop at the last.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError


def rauq(token_logprobs: ArrayLike, attention_to_previous: ArrayLike, alpha: float = 0.2) -> float:
    r"""RAUQ: the largest over the middle layers of :math:`-\frac1T \sum_t \log c_t`.

    c_1 = q_1, :math:`c_t = \alpha q_t + (1 - \alpha) a_t c_{t-1}` with a_t the attention of token t to the one before it, in the head that
    gives it most on average. token_logprobs: (T,) float64; attention_to_previous: (L, H, T - 1) float64. alpha 0.2 (0.5 for instruct
    models). Raises ``InputError`` for shapes and alpha outside [0, 1].
    """
    q = np.exp(np.asarray(token_logprobs, dtype=np.float64))
    a = np.asarray(attention_to_previous, dtype=np.float64)
    if q.ndim != 1 or not len(q) or a.ndim != 3 or a.shape[2] != len(q) - 1 or not 0 <= alpha <= 1:
        raise InputError(f"{q.shape} tokens, attention {a.shape}, alpha={alpha}; expected (T,), (L, H, T - 1) and alpha in [0, 1]")
    n_layers = len(a)
    layers = a[n_layers // 3 : min(math.ceil(2 * n_layers / 3), n_layers - 1) + 1]
    head = layers.mean(axis=2).argmax(axis=1) if len(q) > 1 else np.zeros(len(layers), dtype=np.int64)
    chosen = layers[np.arange(len(layers)), head]
    confidence = np.full(len(layers), q[0])
    total = np.log(confidence)
    for t in range(1, len(q)):
        confidence = alpha * q[t] + (1 - alpha) * chosen[:, t - 1] * confidence
        total = total + np.log(confidence)
    return float((-total / len(q)).max()) + 0.0


def attention_score(diagonal_logsum: ArrayLike) -> float:
    r""":math:`-\frac1H \sum_h \sum_t \log A_{h}[t, t]` at layer floor(L / 2), from (L, H) float64 sums over t of log A[t, t]."""
    sums = np.asarray(diagonal_logsum, dtype=np.float64)
    if sums.ndim != 2 or not sums.size:
        raise InputError(f"sums of shape {sums.shape}; expected (L, H)")
    return float(-sums[len(sums) // 2].mean()) + 0.0


def csl(token_logprobs: ArrayLike, attention: ArrayLike) -> float:
    r"""CSL: :math:`-\sum_t a_t \log q_t`, a the mean over the chosen heads of the attention from an eliciting prompt, scaled to sum 1.

    token_logprobs: (T,) float64; attention: (n_heads, T) float64. Raises ``InputError`` for shapes or attention that sums to 0.
    """
    logprobs = np.asarray(token_logprobs, dtype=np.float64)
    weights: NDArray[np.float64] = np.asarray(attention, dtype=np.float64)
    if logprobs.ndim != 1 or weights.ndim != 2 or weights.shape[1] != len(logprobs) or not weights.sum() > 0:
        raise InputError(f"attention of shape {weights.shape} must be (n_heads, {len(logprobs)}) with a positive sum")
    mean = weights.mean(axis=0)
    return float(-(mean * logprobs).sum() / mean.sum()) + 0.0
