"""The arithmetic of DRM (arXiv 2510.11457): confidence, relevance, z-scores within a group, pairs, advantages, weights.

Details that the paper's public text does not give are choices here: z-scores within the candidates of one prompt (sample standard deviation
plus 1e-4), equal weights, ties to the first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import EmptySequenceError, InputError

EPS = 1e-4
#: Log-probs above this are faults; up to it they are rounding of log 1.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class DRMWeights:
    """Weights of the three dimensions, each at least 0."""

    confidence: float = 1.0
    relevance: float = 1.0
    coherence: float = 1.0

    def __post_init__(self) -> None:
        """Refuse negative weights, and three zeros."""
        if not all(math.isfinite(w) and w >= 0 for w in self.values) or not any(self.values):
            raise InputError(f"weights {self.values} must be at least 0 and not all 0")

    @property
    def values(self) -> tuple[float, float, float]:
        """In the order confidence, relevance, coherence."""
        return self.confidence, self.relevance, self.coherence


@dataclass(frozen=True)
class Confidence:
    """reasoning: mean log-prob of its tokens; answer: sum (or mean) over the answer's; total: both added. Nats, higher = more confident."""

    reasoning: float
    answer: float
    total: float


def confidence(reasoning_logprobs: ArrayLike, answer_logprobs: ArrayLike, answer_reduction: str = "sum") -> Confidence:
    r""":math:`\frac1{|R|} \sum_{t \in R} \ln p_t + \sum_{t \in A} \ln p_t`, tags and the end of the sequence left out.

    (t,) natural-log probabilities each, under the policy that wrote the text; -inf is allowed. answer_reduction: ``sum`` (the paper's;
    long answers look unsure) or ``mean``. Raises ``EmptySequenceError`` when a part has no token, ``InputError`` for NaN or positive ones.
    """
    if answer_reduction not in ("sum", "mean"):
        raise InputError(f"answer_reduction={answer_reduction!r} must be sum or mean")
    parts = []
    for name, given in (("reasoning", reasoning_logprobs), ("answer", answer_logprobs)):
        values = np.asarray(given, dtype=np.float64)
        if values.ndim != 1 or not len(values):
            raise EmptySequenceError(f"the {name} has no token, so it has no log-probs; leave the candidate out (allow_empty=True)")
        if np.isnan(values).any() or values.max() > _ROUNDING:
            raise InputError(f"the {name} has a log-prob of {values.max():g}; natural logs of probabilities are at most 0 and never NaN")
        parts.append(values)
    reasoning = float(parts[0].mean())
    answer = float(parts[1].sum() if answer_reduction == "sum" else parts[1].mean())
    return Confidence(reasoning, answer, reasoning + answer)


def relevance_total(
    question: float, context: float | None, answer: float, part_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> float:
    """Relevance of a reasoning to question, context and answer, weighted and added; without a context (None) that term is left out."""
    parts = [(w, x) for w, x in zip(part_weights, (question, context, answer), strict=True) if x is not None]
    if not all(math.isfinite(x) for _, x in parts):
        raise InputError(f"relevance parts {question}, {context}, {answer} must be finite numbers (None: no context)")
    return math.fsum(w * x for w, x in parts)


def group_z(values: ArrayLike, eps: float = EPS) -> NDArray[np.float64]:
    """(K,) z-scores within one group: (x - mean) / (sd + eps), sd with K - 1; 0 throughout when all are equal, or K = 1.

    -inf becomes the smallest finite value minus 1 (all -inf: 0). NaN (a candidate left out) stays NaN. Raises ``InputError`` for +inf.
    """
    x = np.array(values, dtype=np.float64)
    there = ~np.isnan(x)
    if x.ndim != 1 or np.isposinf(x).any():
        raise InputError(f"values of shape {x.shape} must be one finite number a candidate (-inf allowed)")
    finite = np.isfinite(x)
    x[np.isneginf(x)] = x[finite].min() - 1.0 if finite.any() else 0.0
    known = x[there]
    if len(known) < 2 or np.ptp(known) == 0:
        return np.where(there, 0.0, np.nan)
    return np.asarray((x - known.mean()) / (known.std(ddof=1) + eps), dtype=np.float64)


def best_and_worst(drm: ArrayLike, min_margin: float = 0.0, texts: Sequence[str] | None = None) -> tuple[int, int] | None:
    """(chosen, rejected): positions of the highest and the lowest score, ties to the first; None without a margin above ``min_margin``.

    drm: (K,), NaN for candidates left out. texts: None too when the two are the same text.
    """
    x = np.asarray(drm, dtype=np.float64)
    if np.isnan(x).all():
        return None
    best, worst = int(np.nanargmax(x)), int(np.nanargmin(x))
    if not x[best] - x[worst] > min_margin or (texts is not None and texts[best] == texts[worst]):
        return None
    return best, worst


def group_advantages(drm: ArrayLike, answer_correct: ArrayLike | None = None, eps: float = EPS) -> NDArray[np.float64]:
    """(K,) advantages of one group for GRPO: z(DRM), plus z(answer) where answers can be checked, each normalised alone."""
    advantage = group_z(drm, eps)
    return advantage if answer_correct is None else advantage + group_z(np.asarray(answer_correct, dtype=np.float64), eps)


def repetition_share(tokens: Sequence[Hashable], n: int = 4) -> float:
    """1 - distinct n-grams / all n-grams of a reasoning's tokens; 0 below n tokens. Mean log-probs favour text that repeats itself."""
    if n < 1:
        raise InputError(f"n={n} must be at least 1")
    grams = [tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


@dataclass(frozen=True)
class TunedWeights:
    """weights: on the simplex; pairwise_accuracy: theirs on the pairs of the fit; n_pairs: (sound, unsound) pairs within groups."""

    weights: DRMWeights
    pairwise_accuracy: float
    n_pairs: int


def tune_weights(z: ArrayLike, sound: ArrayLike, group: ArrayLike, step: float = 0.1) -> TunedWeights:
    """The weights whose score best ranks sound above unsound reasoning within groups.

    z: (n, 3) z-scores in the order confidence, relevance, coherence; sound: (n,) 1 or 0; group: (n,) one label a prompt. All weights of
    the simplex in steps of ``step`` are tried; a tie of scores counts one half. Ties of accuracy go to the most equal weights, then to the
    smallest confidence, then relevance weight. Tune on held-out prompts.

    Raises ``InputError`` for NaN, other shapes, or when no group has both kinds.
    """
    x, label, where = np.asarray(z, dtype=np.float64), np.asarray(sound, dtype=np.float64), np.asarray(group)
    if x.ndim != 2 or x.shape[1] != 3 or label.shape != (len(x),) or where.shape != (len(x),) or np.isnan(x).any():
        raise InputError(f"z {x.shape}, sound {label.shape}, group {where.shape}; expected (n, 3), (n,), (n,) without NaN")
    n_steps = round(1 / step) if 0 < step <= 1 else 0
    if not n_steps or abs(n_steps * step - 1) > 1e-9:
        raise InputError(f"step={step} must divide 1, such as 0.1")
    pairs = [(i, j) for g in dict.fromkeys(where.tolist()) for i, j in _pairs(np.flatnonzero(where == g), label)]
    if not pairs:
        raise InputError("no group has a sound and an unsound candidate, so there is nothing to rank")
    better, worse = (np.array(side) for side in zip(*pairs, strict=True))
    grid = [(a, b, n_steps - a - b) for a in range(n_steps + 1) for b in range(n_steps + 1 - a)]
    weights = np.array(grid, dtype=np.float64) / n_steps
    gaps = np.round((x[better] - x[worse]) @ weights.T, 12)
    accuracy = np.round(((gaps > 0) + 0.5 * (gaps == 0)).mean(axis=0), 9)
    entropy = np.round(-np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1.0)), 0.0).sum(axis=1), 9)
    chosen = min(range(len(grid)), key=lambda k: (-accuracy[k], -entropy[k], k))
    return TunedWeights(DRMWeights(*map(float, weights[chosen])), float(accuracy[chosen]), len(pairs))


def _pairs(members: NDArray[np.int64], label: NDArray[np.float64]) -> list[tuple[int, int]]:
    sound = [int(i) for i in members if label[i] == 1.0]
    unsound = [int(i) for i in members if label[i] == 0.0]
    return list(itertools.product(sound, unsound))
