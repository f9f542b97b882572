"""Smooth calibration error: no bins, one bandwidth that the data choose (Blasiok and Nakkiran 2023).

Residuals (y - p)/n lie on a grid over [0, 1] and are smoothed by a reflected Gaussian of width sigma; smECE_sigma is the integral of the
absolute value, and the reported number is the fixed point sigma = smECE_sigma.
relplot stops its bisection after ten steps and is 2e-4 to 5e-4 off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument, call
from trueline.stats.engine import Metric
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import NanPolicy, SortedSample, sorted_sample

_GRID = 4096
_STEPS = 45
_ROUGH_GRID, _ROUGH_STEPS, _BATCH = 257, 8, 256


def smooth_ece(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Smooth ECE at its fixed point, which is also its bandwidth. Arguments as in `ece`.

    Examples
    --------
    >>> round(smooth_ece([0.9, 0.9, 0.2, 0.2], [1, 0, 0, 0], ci=None).value, 3)
    0.3
    """
    return call(SMOOTH_ECE, scores, truth, weights, clusters, ci, nan_policy)


def kernel_ece(scores: ArrayLike, truth: ArrayLike, sigma: float, *, weights: ArrayLike | None = None) -> float:
    """Return smECE at a fixed bandwidth `sigma` > 0."""
    if not sigma > 0:
        raise InputError(f"sigma is {sigma}; a bandwidth must be positive")
    sample = sorted_sample(scores, truth, weights=weights)
    return float(_integral(_spectrum(_on_grid(sample, sample.weights[None, :] / sample.weights.sum())), np.array([sigma]))[0])


def _on_grid(sample: SortedSample, share: FloatArray, grid: int = _GRID) -> FloatArray:
    """Residual mass (n_replicates, grid), each row's split linearly between its two grid points."""
    at = sample.scores * (grid - 1)
    lower = np.minimum(at.astype(np.int64), grid - 2)
    upper_part = at - lower
    residual = share * (sample.truth - sample.scores)
    out = np.empty((len(share), grid))
    for b in range(len(share)):
        out[b] = np.bincount(lower, residual[b] * (1 - upper_part), grid) + np.bincount(lower + 1, residual[b] * upper_part, grid)
    return out


def _spectrum(mass: FloatArray) -> Any:
    """Transform of the even extension about both ends, which makes the smoothing reflect at 0 and 1."""
    # An inner point appears twice in the extension and an end point once: doubled, each keeps its whole mass inside [0, 1].
    mass = mass.copy()
    mass[:, [0, -1]] *= 2
    return np.fft.rfft(np.concatenate([mass, mass[:, -2:0:-1]], axis=1), axis=1)


def _integral(spectrum: Any, sigma: FloatArray) -> FloatArray:
    """Integral over [0, 1] of the absolute smoothed residual, by trapezoids on the grid."""
    # The even extension has period 2, so frequency k is pi k.
    frequency = np.pi * np.arange(spectrum.shape[1])
    smooth = np.fft.irfft(spectrum * np.exp(-0.5 * (sigma[:, None] * frequency) ** 2), axis=1)
    smooth = smooth[:, : spectrum.shape[1]]
    return np.asarray(np.abs(smooth[:, 1:-1]).sum(axis=1) + 0.5 * (np.abs(smooth[:, 0]) + np.abs(smooth[:, -1])))


def _fixed_point(mass: FloatArray) -> FloatArray:
    """Bisection: smECE_sigma falls in sigma, so sigma - smECE_sigma changes sign once."""
    spectrum = _spectrum(mass)
    low, high = np.zeros(len(mass)), np.ones(len(mass))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        above = _integral(spectrum, middle) > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray((low + high) / 2)


def _quick_fixed_point(mass: FloatArray) -> FloatArray:
    """The fixed point within 3e-5 by false position with halving (Illinois) from the bracket [0, smECE_0]: fewer transforms."""
    spectrum = _spectrum(mass)
    low, above = np.zeros(len(mass)), _integral(spectrum, np.zeros(len(mass)))
    high = above.copy()
    below = _integral(spectrum, high) - high
    middle, last = high, np.zeros(len(mass))
    for _ in range(_ROUGH_STEPS):
        gap = above - below
        middle = np.where(gap > 0, (high * above - low * below) / np.where(gap > 0, gap, 1.0), 0.0)
        value = _integral(spectrum, middle) - middle
        up = value > 0
        # An end that stays twice has its value halved, or it would stay for good.
        below = np.where(up, np.where(last > 0, below / 2, below), value)
        above = np.where(up, value, np.where(last < 0, above / 2, above))
        low, high, last = np.where(up, middle, low), np.where(up, high, middle), np.where(up, 1.0, -1.0)
    return np.asarray(middle)


def _value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    share = weights / weights.sum(axis=1, keepdims=True)
    return np.concatenate([_fixed_point(_on_grid(sample, row[None, :])) for row in share])


def _rough(sample: SortedSample, weights: FloatArray) -> FloatArray:
    """As `_value` on a coarse grid with fewer steps: within 1e-4, far below the spread of replicates."""
    share = weights / weights.sum(axis=1, keepdims=True)
    parts = (_on_grid(sample, share[i : i + _BATCH], _ROUGH_GRID) for i in range(0, len(share), _BATCH))
    return np.concatenate([_quick_fixed_point(part) for part in parts])


def _of_noise(sample: SortedSample, weights: FloatArray) -> FloatArray:
    """Fixed point of the replicate's residuals minus the sample's own."""
    share = weights / weights.sum(axis=1, keepdims=True)
    own = _on_grid(sample, sample.weights[None, :] / sample.weights.sum(), _ROUGH_GRID)
    parts = (_on_grid(sample, share[i : i + _BATCH], _ROUGH_GRID) - own for i in range(0, len(share), _BATCH))
    return np.concatenate([_quick_fixed_point(part) for part in parts])


SMOOTH_ECE = Metric(
    "smooth_ece", _value, scores="probability", bounds=(0, 1), prefers="basic", null=_of_noise, rough=_rough, little_from=50_000
)
