"""Smooth ECE against a direct kernel sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import kernel_ece, smooth_ece


def by_kernel(p: Any, y: Any, sigma: float, grid: int = 4001) -> float:
    """Integral of the absolute reflected-Gaussian smoothing of the residuals, summed row by row."""
    t = np.linspace(0, 1, grid)
    total = np.zeros(grid)
    for a, b in zip(p, y, strict=True):
        for mirror in [a + 2 * k for k in range(-3, 4)] + [-a + 2 * k for k in range(-3, 4)]:
            total += (b - a) / len(p) * np.exp(-0.5 * ((t - mirror) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return float(np.trapezoid(np.abs(total), t))


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.8])
def test_smoothing_equals_a_sum_of_kernels(sigma: float) -> None:
    rng = np.random.default_rng(0)
    p = np.r_[0.0, 1.0, rng.random(40)]
    y = (rng.random(42) < p**2).astype(float)
    assert kernel_ece(p, y, sigma) == pytest.approx(by_kernel(p, y, sigma), abs=2e-6)


def test_reported_number_is_the_fixed_point() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(100)
    y = rng.random(100) < p**2
    found = smooth_ece(p, y, ci=None).value
    assert kernel_ece(p, y, found) == pytest.approx(found, abs=1e-9)


def test_extremes() -> None:
    assert smooth_ece([0.0, 1.0, 1.0], [0, 1, 1], ci=None).value == pytest.approx(0, abs=1e-12)
    assert smooth_ece([1.0, 1.0], [0, 0], ci=None).value == pytest.approx(1.0, abs=1e-9)


def test_interval_reaches_zero_only_where_it_should() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(300)
    assert smooth_ece(p, rng.random(300) < p).low == 0
    bad = smooth_ece(p, rng.random(300) < p**4)
    assert 0.1 < bad.low < bad.value < bad.high


def test_bad_bandwidth() -> None:
    with pytest.raises(InputError, match="sigma"):
        kernel_ece([0.5], [1], 0)
