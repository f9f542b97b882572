"""A confidence in [0, 1] from any uncertainty score, cross-fitted, so that ECE and Brier score of the score are honest.

An uncertainty score (a sequence NLL, an entropy, a count of meanings) has an order but no probability scale. `calibrated_confidence`
learns the falling map from score to P(right) on four fifths of the units and applies it to the last fifth, in turn: no row's confidence
has seen its own answer.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.recalibration import folds, smoothed_targets
from trueline.stats.estimate import FloatArray
from trueline.stats.logistic import fit_logistic, sigmoid
from trueline.stats.sample import IntArray, NanPolicy, as_vector, check_length, keep_rows

ConfidenceMethod = Literal["auto", "platt", "isotonic"]
# Below this many rows in a training fold a step function overfits; two parameters do not.
_ISOTONIC_FROM = 1000


def calibrated_confidence(
    scores: ArrayLike,
    correct: ArrayLike,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    *,
    method: ConfidenceMethod = "auto",
    n_folds: int = 5,
    nan_policy: NanPolicy = "raise",
) -> FloatArray:
    """Return an out-of-fold confidence P(right) for each uncertainty score.

    Parameters
    ----------
    scores : (n,) float64
        Uncertainty, higher = less certain; infinities allowed.
    correct : (n,) in {0, 1}
        1 = the answer is right.
    clusters : (n,), optional
        Independent units; a cluster is never split between folds.
    seed : int
        Of the assignment to folds.
    method : {"auto", "platt", "isotonic"}
        ``"platt"``: logistic regression on the normal score of the rank among the training rows (so that heavy tails and infinities do no
        harm) with Platt's smoothed targets; ``"isotonic"``: a falling step function. ``"auto"`` takes isotonic from 1000 training rows on.
    n_folds : int
    nan_policy : {"raise", "drop"}
        ``"drop"`` leaves NaN where the score or the grade is NaN.

    Returns
    -------
    (n,) float64 in [0, 1]
        Falling in the score within a fold. Where right and wrong have the same or the opposite order in a training fold, the
        fold's smoothed base rate: a score that points the wrong way gets no credit for being turned round.

    Raises
    ------
    InputError
        On bad input, or fewer than two independent units.
    """
    if method not in ("auto", "platt", "isotonic"):
        raise InputError(f"method {method!r} is unknown; expected 'auto', 'platt' or 'isotonic'")
    u, c, rows = _checked(scores, correct, nan_policy)
    fold = folds(len(rows), None if clusters is None else np.asarray(clusters)[rows], n_folds, seed)
    out = np.full(len(u), np.nan)
    for k in range(int(fold.max()) + 1):
        train, test = rows[fold != k], rows[fold == k]
        step = method == "isotonic" or (method == "auto" and len(train) >= _ISOTONIC_FROM)
        out[test] = (_falling_step if step else _falling_logistic)(u[train], c[train], u[test])
    return out


def _checked(scores: ArrayLike, correct: ArrayLike, nan_policy: NanPolicy) -> tuple[FloatArray, FloatArray, IntArray]:
    """Scores, grades, and the rows where both are known."""
    u, c = as_vector(scores, "scores"), as_vector(correct, "correct")
    check_length(len(c), len(u), "correct")
    keep = keep_rows(np.isnan(u) | np.isnan(c), nan_policy, "scores or correct")
    rows = np.arange(len(u)) if keep is None else keep
    bad = rows[(c[rows] != 0) & (c[rows] != 1)]
    if len(bad):
        raise InputError(f"correct[{bad[0]}] is {c[bad[0]]}; expected 0 or 1")
    return u, c, rows


def _falling_logistic(u: FloatArray, c: FloatArray, query: FloatArray) -> FloatArray:
    targets = smoothed_targets(c, np.ones(len(c)))
    level = np.unique(u)
    base = np.full(len(query), (c.sum() + 1) / (len(c) + 2))
    if len(level) < 2 or c.min() == c.max():
        return base
    normal = NormalDist()
    grid = np.array([normal.inv_cdf(r) for r in _mid_rank_share(level, u)])
    x = grid[np.searchsorted(level, u)]
    fit = fit_logistic(np.stack([x, np.ones_like(x)], axis=1), targets, np.ones(len(c)))
    slope, shift = fit.coefficients
    if not fit.converged or slope >= 0:
        return base
    return sigmoid(slope * _interpolate(query, level, grid) + shift)


def _falling_step(u: FloatArray, c: FloatArray, query: FloatArray) -> FloatArray:
    from trueline.metrics.corp import isotonic_fit

    level, fitted = isotonic_fit(-u, c, np.ones(len(c)))
    return np.clip(_interpolate(-query, level, fitted), 0.0, 1.0)


def _mid_rank_share(level: FloatArray, u: FloatArray) -> FloatArray:
    """Share of training rows below each level, plus half of those at it."""
    ordered = np.sort(u)
    return np.asarray((np.searchsorted(ordered, level, "left") + np.searchsorted(ordered, level, "right")) / (2 * len(u)))


def _interpolate(query: FloatArray, level: FloatArray, values: FloatArray) -> FloatArray:
    """Linear between levels, constant outside; infinite levels stand one step beyond the outermost finite ones."""
    finite = level[np.isfinite(level)]
    low, high = (finite[0] - 1, finite[-1] + 1) if len(finite) else (-1.0, 1.0)
    return np.asarray(np.interp(np.clip(query, low, high), np.clip(level, low, high), values))
