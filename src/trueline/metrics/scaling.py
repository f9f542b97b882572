"""Recalibration of K-class logits and probabilities: temperature, vector and Dirichlet scaling.

Guo et al. 2017 (temperature, vector); Kull et al. 2019 (Dirichlet with off-diagonal and intercept regularisation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray


@dataclass(frozen=True)
class Scaling:
    """softmax(matrix @ input + shift); the input is a logit row (temperature, vector) or ln p (Dirichlet).

    Attributes
    ----------
    matrix : (K, K) float64
    shift : (K,) float64
    nll : float
        Mean negative log-likelihood (nats) on the fitted rows.
    temperature : float
        Of temperature scaling; NaN otherwise.
    """

    matrix: FloatArray
    shift: FloatArray
    nll: float
    temperature: float = np.nan

    def predict(self, inputs: ArrayLike) -> FloatArray:
        """Return (n, K) probabilities."""
        z = np.asarray(inputs, dtype=np.float64)
        if z.ndim != 2 or z.shape[1] != len(self.shift):
            raise InputError(f"expected rows of {len(self.shift)} classes; got shape {z.shape}")
        return np.exp(log_softmax(z @ self.matrix.T + self.shift))


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> Scaling:
    """Minimise the mean NLL of softmax(logits / T) over log T in [-5, 5].

    Parameters
    ----------
    logits : (n, K) float64
    labels : (n,) int64 in 0..K-1

    Examples
    --------
    >>> round(fit_temperature([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]], [0, 1, 1]).temperature, 4)
    2.8854
    """
    z, y = check_logits(logits, labels)
    t = best_temperature(lambda temperature: mean_nll(z / temperature, y))
    k = z.shape[1]
    return Scaling(np.eye(k) / t, np.zeros(k), mean_nll(z / t, y), t)


def best_temperature(loss: Callable[[float], float]) -> float:
    """Return the T in [e^-5, e^5] of least loss; in 1/T the loss is convex, so a bounded search finds it."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda log_t: loss(float(np.exp(log_t))), bounds=(-5, 5), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x))


def fit_vector(logits: ArrayLike, labels: ArrayLike) -> Scaling:
    """Minimise the mean NLL of softmax(a_k z_k + b_k)."""
    z, y = check_logits(logits, labels)
    k = z.shape[1]

    def unpack(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.diag(theta[:k]), theta[k:]

    def back(g_matrix: FloatArray, g_shift: FloatArray) -> FloatArray:
        return np.concatenate([np.diag(g_matrix), g_shift])

    return _descend(z, y, np.concatenate([np.ones(k), np.zeros(k)]), unpack, back, 0.0)


def fit_dirichlet(probabilities: ArrayLike, labels: ArrayLike, *, penalty: float = 1e-3) -> Scaling:
    """Minimise mean NLL of softmax(W ln p + b) + penalty (sum of squared off-diagonal W and of squared b); predict on ln p."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or (p < 0).any() or np.isnan(p).any():
        raise InputError(f"expected rows of class probabilities; got shape {p.shape}, least value {p.min() if p.size else 'none'}")
    z, y = check_logits(np.log(np.clip(p, 1e-12, None)), labels)
    k = z.shape[1]

    def unpack(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        return theta[: k * k].reshape(k, k), theta[k * k :]

    def back(g_matrix: FloatArray, g_shift: FloatArray) -> FloatArray:
        return np.concatenate([g_matrix.ravel(), g_shift])

    return _descend(z, y, np.concatenate([np.eye(k).ravel(), np.zeros(k)]), unpack, back, penalty)


def _descend(
    z: FloatArray,
    y: IntArray,
    start: FloatArray,
    unpack: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    back: Callable[[FloatArray, FloatArray], FloatArray],
    penalty: float,
) -> Scaling:
    from scipy.optimize import minimize

    n, k = z.shape
    target = np.eye(k)[y]
    off = 1 - np.eye(k)

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        matrix, shift = unpack(theta)
        logp = log_softmax(z @ matrix.T + shift)
        error = (np.exp(logp) - target) / n
        loss = -float((target * logp).sum()) / n + penalty * float(((matrix * off) ** 2).sum() + (shift**2).sum())
        return loss, back(error.T @ z + 2 * penalty * matrix * off, error.sum(axis=0) + 2 * penalty * shift)

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-9})
    matrix, shift = unpack(found.x)
    return Scaling(matrix, shift, mean_nll(z @ matrix.T + shift, y))


def log_softmax(z: FloatArray) -> FloatArray:
    """Return z - logsumexp(z) over the last axis."""
    top = z.max(axis=-1, keepdims=True)
    return np.asarray(z - top - np.log(np.exp(z - top).sum(axis=-1, keepdims=True)))


def mean_nll(z: FloatArray, y: IntArray) -> float:
    """Return the mean of -log softmax(z)[y] in nats."""
    return -float(log_softmax(z)[np.arange(len(y)), y].mean())


def check_logits(logits: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, IntArray]:
    """Return checked (n, K) finite logits and labels in 0..K-1, or raise `InputError` with the first bad index."""
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if z.ndim != 2 or not z.shape[0] or z.shape[1] < 2:
        raise InputError(f"logits must be (n, K) with n >= 1 and K >= 2; got shape {z.shape}")
    return z, check_labels(y, z)


def check_labels(labels: ArrayLike, rows: FloatArray) -> IntArray:
    """Return labels as int64; rows must be finite and labels in 0..K-1."""
    y = np.asarray(labels)
    if y.shape != (len(rows),):
        raise InputError(f"labels must have shape ({len(rows)},); got {y.shape}")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(f"row {bad[0]} holds a number that is not finite")
    codes = y.astype(np.int64)
    bad = np.flatnonzero((codes != y) | (codes < 0) | (codes >= rows.shape[1]))
    if len(bad):
        raise InputError(f"labels[{bad[0]}] is {y[bad[0]]}; expected a class in 0..{rows.shape[1] - 1}")
    return codes
