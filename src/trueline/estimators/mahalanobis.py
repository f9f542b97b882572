"""Mahalanobis distance of a hidden state to the training states, and relative to background states.

Sources: Lee et al., arXiv 1807.03888; relative form, Ren et al., arXiv 2209.15558. Never fit on the items to be scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError

#: The smallest of these that makes the covariance positive definite is added to its diagonal.
JITTER = (0.0, *(10.0**k for k in range(-15, 0)))


@dataclass(frozen=True)
class Gaussian:
    """Mean (d,) and Cholesky factor (d, d) of the sample covariance of training states, with the jitter that was needed."""

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]
    jitter: float

    def distance(self, states: ArrayLike) -> NDArray[np.float64]:
        """(n, d) float64 states -> (n,) float64 distances sqrt((h - mu)^T S^-1 (h - mu)). Raises ``InputError`` for another width."""
        h = np.atleast_2d(np.asarray(states, dtype=np.float64))
        if h.shape[1] != len(self.mean):
            raise InputError(f"states have {h.shape[1]} features, the training states {len(self.mean)}")
        return np.asarray(np.sqrt((np.linalg.solve(self.factor, (h - self.mean).T) ** 2).sum(axis=0)), dtype=np.float64)


def fit_gaussian(states: ArrayLike) -> Gaussian:
    """Fit on (n, d) float64 states of right answers, n >= 2; covariance with n - 1. Raises ``InputError`` when no jitter helps."""
    h = np.asarray(states, dtype=np.float64)
    if h.ndim != 2 or len(h) < 2 or not np.isfinite(h).all():
        raise InputError(f"training states of shape {h.shape}; expected finite (n, d) with n >= 2")
    covariance = np.atleast_2d(np.cov(h, rowvar=False))
    for jitter in JITTER:
        shifted = covariance + jitter * np.eye(len(covariance))
        if np.linalg.eigvalsh(shifted)[0] > 0:
            return Gaussian(h.mean(axis=0), np.asarray(np.linalg.cholesky(shifted), dtype=np.float64), jitter)
    raise InputError("the covariance of the training states stays singular with 0.1 on its diagonal; scale the states or give more of them")


def relative_mahalanobis(states: ArrayLike, train: Gaussian, background: Gaussian) -> NDArray[np.float64]:
    """(n, d) float64 -> (n,) float64: distance to the training states less the distance to general text; higher = less certain."""
    return train.distance(states) - background.distance(states)
