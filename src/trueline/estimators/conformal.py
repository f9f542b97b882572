"""Split conformal sets and conformal abstention: guarantees on top of any score, from labelled calibration items.

Sources: Angelopoulos and Bates, arXiv 2107.07511 (LAC, APS); Angelopoulos et al., arXiv 2208.02814 (risk control); UAcc, Ye et al.,
arXiv 2401.12794.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError


@dataclass(frozen=True)
class Quantile:
    """``value``: keep what scores at most this (infinite: keep everything). ``rank``: its position among the n sorted scores, from 1."""

    value: float
    rank: int
    n: int


def split_quantile(calibration: ArrayLike, alpha: float) -> Quantile:
    """The k-th smallest calibration score, k = ceil((n + 1)(1 - alpha)): a fresh score is at most that with probability >= 1 - alpha.

    calibration: (n,) float64 scores of the true labels. With k > n it is infinite, which a warning says. Raises ``InputError`` for no
    score, NaN or alpha outside (0, 1).
    """
    scores = _vector("calibration scores", calibration)
    _check_alpha(alpha)
    n = len(scores)
    rank = math.ceil((n + 1) * (1.0 - alpha) - 1e-9)  # float products land just above integers
    if rank > n:
        warnings.warn(f"{n} calibration scores are too few for alpha={alpha:g}: every label is kept", stacklevel=2)
        return Quantile(math.inf, rank, n)
    return Quantile(float(np.sort(scores)[rank - 1]), rank, n)


def lac_scores(probs: ArrayLike) -> NDArray[np.float64]:
    """(n, n_labels) float64 probabilities -> LAC score 1 - p of every label."""
    return 1.0 - _matrix(probs)


def aps_scores(probs: ArrayLike, rng: np.random.Generator | None = None) -> NDArray[np.float64]:
    """(n, n_labels) float64 probabilities -> APS score of every label: the mass of the labels at least as probable, down to it.

    Ties are ordered by label. With ``rng`` the label's own mass counts in a uniform random part (one an item): exact coverage under ties.
    """
    p = _matrix(probs)
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    mass = np.cumsum(ranked, axis=1)
    if rng is not None:
        mass = mass - rng.random((len(p), 1)) * ranked
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, mass, axis=1)
    return scores


def label_scores(scores: NDArray[np.float64], labels: ArrayLike) -> NDArray[np.float64]:
    """(n,) float64 scores of the given labels (n,) int64, from (n, n_labels) float64. Raises ``InputError`` for a label out of range."""
    label = np.asarray(labels, dtype=np.int64)
    if label.shape != (len(scores),) or ((label < 0) | (label >= scores.shape[1])).any():
        raise InputError(f"{label.shape} labels for {scores.shape} scores; expected one label in [0, {scores.shape[1]}) an item")
    return np.asarray(scores[np.arange(len(scores)), label], dtype=np.float64)


def prediction_sets(scores: ArrayLike, quantile: Quantile | float) -> list[list[int]]:
    """Labels of each item that score at most the quantile, ascending; a set may be empty. scores: (n, n_labels) float64."""
    limit = quantile.value if isinstance(quantile, Quantile) else quantile
    return [np.flatnonzero(row <= limit).tolist() for row in np.asarray(scores, dtype=np.float64)]


def uacc(accuracy: float, mean_set_size: float, n_options: int) -> float:
    """Uncertainty-aware accuracy: accuracy / mean set size * sqrt(options). Raises ``InputError`` out of range."""
    if not 0 <= accuracy <= 1 or not mean_set_size > 0 or n_options < 1:
        raise InputError(f"accuracy={accuracy}, mean_set_size={mean_set_size}, n_options={n_options} are out of range")
    return accuracy / mean_set_size * math.sqrt(n_options)


def abstention_threshold(scores: ArrayLike, wrong: ArrayLike, alpha: float) -> float:
    """The largest calibration score lambda with (items wrong and answered + 1) / (n + 1) <= alpha; answer when score <= lambda.

    Then P(wrong and answered) <= alpha for a fresh item. -inf when nothing may be answered. scores: (n,) float64; wrong: (n,) 0/1.
    Raises ``InputError`` for shapes, NaN, labels other than 0/1, alpha outside (0, 1).
    """
    score = _vector("scores", scores)
    label = np.asarray(wrong, dtype=np.float64)
    _check_alpha(alpha)
    if label.shape != score.shape or not np.isin(label, (0.0, 1.0)).all():
        raise InputError(f"wrong of shape {label.shape} must be 0 or 1 for each of {len(score)} scores")
    order = np.argsort(score, kind="stable")
    levels, last = np.unique(score[order][::-1], return_index=True)
    answered_wrong = np.cumsum(label[order])[len(score) - 1 - last]
    allowed = (answered_wrong + 1.0) / (len(score) + 1.0) <= alpha + 1e-12
    return float(levels[allowed].max()) if allowed.any() else -math.inf


def _vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or np.isnan(array).any():
        raise InputError(f"{name} of shape {array.shape} must be a vector without NaN and not empty")
    return array


def _matrix(probs: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(probs, dtype=np.float64)
    if p.ndim != 2 or not p.size or not (p >= 0).all() or (np.abs(p.sum(axis=1) - 1.0) > 1e-3).any():
        raise InputError(f"probabilities of shape {p.shape} must be (n, n_labels) with rows that sum to 1")
    return p


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha={alpha} must lie strictly between 0 and 1")
