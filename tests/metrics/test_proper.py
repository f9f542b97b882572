"""Proper scores against scikit-learn, infinities, decomposition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from trueline.errors import InputError
from trueline.metrics import brier, brier_skill, murphy, nll


@pytest.mark.parametrize("seed", range(4))
def test_equal_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random(80).round(2).clip(0.01, 0.99)
    y, w = (rng.random(80) < p).astype(int), rng.random(80)
    assert brier(p, y, weights=w, ci=None).value == pytest.approx(brier_score_loss(y, p, sample_weight=w), abs=1e-12)
    assert nll(p, y, weights=w, ci=None).value == pytest.approx(log_loss(y, p, sample_weight=w), abs=1e-12)


def test_certain_and_wrong_is_infinite_and_counted() -> None:
    e = nll([0, 1, 1, 0.5], [1, 0, 1, 1])
    assert e.value == math.inf
    assert e.reason is not None
    assert "2 rows" in e.reason
    assert nll([0, 1, 1], [0, 1, 1]).value == 0
    assert math.isfinite(nll([0.0, 1], [1, 1], clip=1e-6).value)
    assert nll([0, 0.5], [1, 1], weights=[0, 1], ci=None).value == pytest.approx(math.log(2))


def test_skill() -> None:
    y = np.array([0, 1, 1, 0, 1])
    assert brier_skill(y.astype(float), y, ci=None).value == 1
    assert brier_skill(np.full(5, 0.6), y, ci=None).value == pytest.approx(0)
    assert math.isnan(brier_skill([0.5, 0.5], [1, 1]).value)


def test_decomposition_adds_up_and_has_intervals() -> None:
    rng = np.random.default_rng(0)
    p = rng.integers(0, 11, 500) / 10
    parts = murphy(p, rng.random(500) < p**2)
    assert parts.brier.value == pytest.approx(parts.reliability.value - parts.resolution.value + parts.uncertainty.value, abs=1e-12)
    assert parts.reliability.low < parts.reliability.value < parts.reliability.high


def test_bad_clip() -> None:
    with pytest.raises(InputError, match="clip"):
        nll([0.5], [1], clip=0.5)
