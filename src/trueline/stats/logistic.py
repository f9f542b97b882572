"""Weighted logistic regression by Newton's method with step halving, for a handful of columns; standard errors from the information."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueline.stats.estimate import FloatArray


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients, their standard errors, and whether Newton's method converged."""

    coefficients: FloatArray
    se: FloatArray
    converged: bool


def sigmoid(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, e) / (1 + e))


def logit(p: FloatArray, clip: float = 1e-12) -> FloatArray:
    """Return ln(p / (1 - p)) with p moved into [clip, 1 - clip]."""
    q = np.clip(p, clip, 1 - clip)
    return np.asarray(np.log(q) - np.log1p(-q))


def fit_logistic(
    x: FloatArray, y: FloatArray, weights: FloatArray, *, offset: FloatArray | None = None, max_steps: int = 100, tolerance: float = 1e-10
) -> LogisticFit:
    """Maximise sum w [y ln s(eta) + (1 - y) ln(1 - s(eta))], eta = x beta + offset.

    Parameters
    ----------
    x : (n, k) float64
        Columns, the constant among them.
    y : (n,) float64 in [0, 1]
        Targets; need not be 0 or 1.
    weights, offset : (n,) float64

    Returns
    -------
    LogisticFit
        ``converged`` is False under separation, or where columns are collinear.
    """
    start = np.zeros(len(y)) if offset is None else offset
    beta = np.zeros(x.shape[1])
    loss = _loss(x @ beta + start, y, weights)
    converged, information = False, np.eye(len(beta))
    for _ in range(max_steps):
        s = sigmoid(x @ beta + start)
        gradient = x.T @ (weights * (y - s))
        information = (x * (weights * s * (1 - s))[:, None]).T @ x
        if np.linalg.cond(information) > 1e14:
            break
        step = np.linalg.solve(information, gradient)
        size = 1.0
        while (trial := _loss(x @ (beta + size * step) + start, y, weights)) > loss + 1e-12 * abs(loss) and size > 1e-8:
            size /= 2
        beta, loss = beta + size * step, min(trial, loss)
        if np.abs(step).max() <= tolerance * max(1.0, float(np.abs(beta).max())):
            converged = True
            break
    with np.errstate(invalid="ignore"):
        se = np.sqrt(np.diag(np.linalg.inv(information))) if converged else np.full(len(beta), np.nan)
    return LogisticFit(beta, se, converged)


def _loss(eta: FloatArray, y: FloatArray, weights: FloatArray) -> float:
    return float(weights @ (np.logaddexp(0, eta) - y * eta))
