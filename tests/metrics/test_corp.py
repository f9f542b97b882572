"""CORP: identity, calibrated and useless forecasts, isotonic fit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from trueline.errors import InputError
from trueline.metrics import brier, corp, nll
from trueline.metrics.corp import isotonic_fit


@pytest.mark.parametrize("score", ["brier", "log"])
def test_parts_add_up_to_the_score(score: str) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(200).clip(0.01, 0.99)
    y, w = (rng.random(200) < p).astype(int), rng.integers(1, 4, 200)
    parts = corp(p, y, score=score, weights=w, ci=None)  # type: ignore[arg-type]
    total = (brier if score == "brier" else nll)(p, y, weights=w, ci=None).value
    assert parts.miscalibration.value - parts.discrimination.value + parts.uncertainty.value == pytest.approx(total, abs=1e-12)
    assert min(parts.miscalibration.value, parts.discrimination.value) >= 0


def test_a_monotone_distortion_moves_miscalibration_only() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(400)
    y = rng.random(400) < p
    straight, bent = corp(p, y, ci=None), corp(p**3, y, ci=None)
    assert bent.discrimination.value == pytest.approx(straight.discrimination.value, abs=1e-12)
    assert bent.miscalibration.value > straight.miscalibration.value + 0.02


def test_constant_forecast() -> None:
    parts = corp([0.9] * 4, [0, 1, 1, 0])
    assert parts.discrimination.value == 0
    assert parts.miscalibration.value == pytest.approx(0.16)
    assert corp([0.9, 0.1], [1, 1], score="log", ci=None).uncertainty.value == 0


def test_isotonic_fit_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.random(100).round(1), rng.random(100) + 0.1
    y = (rng.random(100) < x).astype(float)
    knots, fitted = isotonic_fit(x, y, w)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=w)
    assert fitted == pytest.approx(theirs.predict(knots), abs=1e-12)


def test_unknown_score() -> None:
    with pytest.raises(InputError, match="score"):
        corp([0.5], [1], score="crps")  # type: ignore[arg-type]
