"""Calibration slope and intercept: known truths, undefined cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trueline.metrics import calibration_intercept, calibration_line, calibration_slope
from trueline.stats.logistic import sigmoid


def test_finds_the_slope_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=6000)
    over = sigmoid(2 * z)
    y = rng.random(6000) < sigmoid(z)
    e = calibration_slope(over, y)
    assert e.low < 0.5 < e.high
    assert e.method == "wald"
    shifted = calibration_intercept(sigmoid(z), rng.random(6000) < sigmoid(z - 0.7))
    assert shifted.low < -0.7 < shifted.high


def test_wald_and_bootstrap_agree_at_large_n() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=800)
    y = rng.random(800) < sigmoid(z)
    wald, boot = calibration_slope(sigmoid(z), y), calibration_slope(sigmoid(z), y, ci="bca")
    assert boot.se == pytest.approx(wald.se, rel=0.12)
    line, clipped = calibration_line(sigmoid(z), y)
    assert line.se[0] == pytest.approx(wald.se)
    assert clipped == 0
    assert calibration_line([0.0, 1.0, 0.5, 0.6], [0, 1, 1, 0])[1] == 2


@pytest.mark.parametrize(
    ("p", "y", "text"),
    [
        ([0.2, 0.7], [1, 1], "only one class"),
        ([0.5, 0.5, 0.5], [0, 1, 0], "equal"),
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], "separate"),
        ([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1], "separate"),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], "separate"),
    ],
)
def test_undefined(p: list[float], y: list[int], text: str) -> None:
    e = calibration_slope(p, y)
    assert math.isnan(e.value)
    assert e.reason is not None
    assert text in e.reason


def test_intercept_needs_no_overlap() -> None:
    assert math.isfinite(calibration_intercept([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], ci=None).value)
