"""The four signals of RACE as functions of arrays, and their sum (arXiv 2506.04832).

The authors' code removes equal answers before it clusters them (``dedup=True``) and reads attention and logits one position early; here
proportions are those of the sampled answers, as the paper says, and positions are the tokens' own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError

#: The value of a signal over reasoning when there is nothing to compare.
NOTHING_TO_COMPARE = 10.0

Span = tuple[int, int]
Weights4 = tuple[float, float, float, float]


def contradiction(logits: ArrayLike) -> NDArray[np.float64]:
    """(n,) P(contradiction) of (n, 2) logits (entail, contradict) or (n, 3) (entail, neutral, contradict); neutral is dropped.

    Raises ``InputError`` for another shape or NaN.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2 or z.shape[1] not in (2, 3) or np.isnan(z).any():
        raise InputError(f"logits of shape {z.shape} must be (n, 2) or (n, 3) numbers")
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(z[:, 0] - z[:, -1], -700, 700))), dtype=np.float64)


def without_neutral(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) P(contradict) / (P(entail) + P(contradict)) of (n, 3) verdicts; 0.5 where both are 0."""
    total = probs[:, 0] + probs[:, 2]
    return np.asarray(np.where(total > 0, probs[:, 2] / np.where(total > 0, total, 1.0), 0.5), dtype=np.float64)


def reasoning_consistency(contradiction: ArrayLike, weights: ArrayLike | None = None) -> float:
    r"""S_CC = :math:`\sum_j w_j \frac1N \sum_i \delta(C^{(j)}, C_i)`, the weighted mean contradiction of main steps and sampled reasoning.

    contradiction: (m, N) probabilities, main step j as premise and all steps of sample i as hypothesis. weights: (m,), sum 1; None:
    uniform. In [0, 1]; 10 when there is no step or no sample. Raises ``InputError`` for NaN, values outside [0, 1] or another shape.
    """
    delta = np.asarray(contradiction, dtype=np.float64)
    if delta.size == 0:
        return NOTHING_TO_COMPARE
    if delta.ndim != 2 or not ((delta >= 0) & (delta <= 1)).all():
        raise InputError(f"contradiction of shape {delta.shape} must be (n_steps, n_samples) of probabilities; NaN is never averaged")
    w = np.full(len(delta), 1.0 / len(delta)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (len(delta),) or not (w >= 0).all() or abs(w.sum() - 1.0) > 1e-6:
        raise InputError(f"weights of shape {w.shape} must be one non-negative number a step, {len(delta)}, and sum to 1")
    return float(w @ delta.mean(axis=1))


def step_weights(attention: ArrayLike, step_spans: Sequence[Span], answer_span: Span) -> NDArray[np.float64]:
    """(m,) weights of steps: the attention that the answer pays to each step, a mean over layers, heads and the tokens of both.

    attention: (layers, heads, T, T), rows attend to columns. Spans are half-open token positions. Sums to 1. Raises ``InputError`` for
    spans outside the map, empty ones, or when the answer attends to no step.
    """
    maps = np.asarray(attention, dtype=np.float64)
    if maps.ndim != 4 or maps.shape[2] != maps.shape[3] or np.isnan(maps).any():
        raise InputError(f"attention of shape {maps.shape} must be (layers, heads, T, T) of numbers")
    for start, end in (*step_spans, answer_span):
        if not 0 <= start < end <= maps.shape[2]:
            raise InputError(f"span ({start}, {end}) is empty or outside the {maps.shape[2]} tokens of the map")
    received = maps[:, :, answer_span[0] : answer_span[1]].mean(axis=(0, 1, 2))
    return normalised(np.array([received[start:end].mean() for start, end in step_spans]))


def normalised(received: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that sum to 1. Raises ``InputError`` when all are 0."""
    if not received.sum() > 0:
        raise InputError("the answer pays no attention to any step, so they have no weights")
    return np.asarray(received / received.sum(), dtype=np.float64)


@dataclass(frozen=True)
class AnswerClusters:
    """S_AA and what it is made of. clusters: texts by cluster, in the order of opening; adjusted_p: their p' in that order."""

    value: float
    clusters: tuple[tuple[str, ...], ...]
    adjusted_p: tuple[float, ...]


def answer_uncertainty(texts: Sequence[str], embeddings: ArrayLike, threshold: float = 0.9, dedup: bool = False) -> AnswerClusters:
    r"""S_AA (SINdex) = :math:`-\sum_l p'_l \ln p'_l`, p' = share of a cluster times the mean cosine within it; nats.

    texts: the answers; embeddings: (n, d). Answers are taken in the order of their texts, then of their positions; each joins the first
    cluster to whose members its mean cosine distance is below 1 - threshold. dedup: equal texts count once. Raises ``InputError`` for a
    zero embedding, NaN or another shape.
    """
    e = np.asarray(embeddings, dtype=np.float64)
    if e.ndim != 2 or len(e) != len(texts) or not len(texts) or not np.isfinite(e).all():
        raise InputError(f"embeddings of shape {e.shape} must be finite, one row for each of {len(texts)} answers")
    norms = np.linalg.norm(e, axis=1)
    if not norms.all():
        raise InputError(f"the embedding of answer {texts[int(np.argmin(norms))]!r} is zero, so it has no cosine")
    order = sorted(range(len(texts)), key=lambda k: (texts[k], k))
    if dedup:
        order = list({texts[k]: k for k in reversed(order)}.values())[::-1]
    unit = e / norms[:, None]
    cosine = unit @ unit.T
    clusters: list[list[int]] = []
    for k in order:
        near = next((c for c in clusters if float(np.mean(1.0 - cosine[k, c])) < 1.0 - threshold), None)
        if near is None:
            clusters.append([k])
        else:
            near.append(k)
    adjusted = tuple(len(c) / len(order) * _within(cosine, c) for c in clusters)
    value = -math.fsum(p * math.log(p) for p in adjusted if p > 0)
    return AnswerClusters(round(value, 12) + 0.0, tuple(tuple(texts[k] for k in c) for c in clusters), adjusted)


def _within(cosine: NDArray[np.float64], members: list[int]) -> float:
    if len(members) == 1:
        return 1.0
    above = np.triu_indices(len(members), 1)
    return float(cosine[np.ix_(members, members)][above].mean())


def token_entropies(logits: ArrayLike) -> NDArray[np.float64]:
    """(t,) Shannon entropies, nats, of (t, V) logits. Raises ``InputError`` for another shape or NaN."""
    z = np.asarray(logits, dtype=np.float64)
    if z.size == 0:
        return np.zeros(0)
    if z.ndim != 2 or np.isnan(z).any():
        raise InputError(f"logits of shape {z.shape} must be (n_tokens, vocabulary) of numbers")
    z = z - z.max(axis=1, keepdims=True)
    law = np.exp(z)
    total = law.sum(axis=1)
    inner = np.where(law > 0, law * np.where(law > 0, z, 0.0), 0.0).sum(axis=1)
    return np.asarray(np.log(total) - inner / total, dtype=np.float64)


def answer_alignment(entropies: Iterable[ArrayLike]) -> tuple[float, list[float]]:
    """S_CA and its parts: the mean over sampled answers of the mean token entropy (nats) of a proxy that has read the main steps.

    entropies: (t_i,) of each sampled answer; an empty one is skipped. 10 when none is left. Raises ``InputError`` for NaN.
    """
    rows = [np.asarray(row, dtype=np.float64) for row in entropies]
    if any(np.isnan(row).any() for row in rows):
        raise InputError("a token entropy of a sampled answer is NaN; it is never averaged")
    parts = [float(row.mean()) for row in rows if row.size]
    return (math.fsum(parts) / len(parts) if parts else NOTHING_TO_COMPARE), parts


def speculation(in_reasoning: Iterable[str], in_steps: Iterable[str]) -> float:
    """S_Coh: share of the entities of the reasoning that its steps leave out; 0 when the reasoning names none. In [0, 1].

    Entities are compared in lower case, without a leading "the ".
    """
    named, kept = ({entity.lower().strip().removeprefix("the ") for entity in entities} for entities in (in_reasoning, in_steps))
    return len(named - kept) / len(named) if named else 0.0


def combine(
    aa: ArrayLike, ca: ArrayLike, cc: ArrayLike, coh: ArrayLike | None, weights: Weights4 = (1.0, 1.0, 1.0, 1.0)
) -> NDArray[np.float64]:
    """The total: the weighted sum of the signals; ``coh=None`` where there is no thinking trace. A signal of weight 0 may be NaN."""
    total = np.zeros(np.shape(aa))
    for weight, signal in zip(weights, (aa, ca, cc, coh), strict=True):
        if weight and signal is not None:
            total = total + weight * np.asarray(signal, dtype=np.float64)
    return np.asarray(total, dtype=np.float64)
