"""Risk control and Learn-then-Test: definitions, refusals, guarantees on a simulated loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from trueline.errors import InputError
from trueline.metrics import conformal_risk_control, learn_then_test
from trueline.metrics.risk_control import hoeffding_bentkus

GRID = np.linspace(0, 1, 21)


def losses(n: int, seed: int = 0) -> Any:
    return (np.random.default_rng(seed).random(n)[:, None] > GRID).astype(float)


def test_smallest_setting_under_the_bound() -> None:
    table = losses(200)
    found = conformal_risk_control(table, GRID, 0.2)
    assert found.adjusted_risk == pytest.approx((table.sum(axis=0) + 1) / 201)
    at = int(np.flatnonzero(found.chosen == GRID)[0])
    assert found.adjusted_risk[at] <= 0.2 < found.adjusted_risk[at - 1]


def test_nothing_reaches_the_target() -> None:
    found = conformal_risk_control(losses(3), GRID, 0.1)
    assert np.isnan(found.chosen)
    assert found.reason is not None


def test_expected_risk_is_controlled() -> None:
    chosen = [conformal_risk_control(losses(40, seed), GRID, 0.2).chosen for seed in range(400)]
    assert np.mean(1 - np.array(chosen)) <= 0.2


def test_p_values_by_definition() -> None:
    for n, hits, alpha in ((50, 3, 0.2), (50, 12, 0.2), (30, 0, 0.1)):
        r = hits / n
        low = min(r, alpha)
        kl = (low * np.log(low / alpha) if low else 0) + (1 - low) * np.log((1 - low) / (1 - alpha))
        expected = min(1, np.exp(-n * kl), np.e * stats.binom.cdf(hits, n, alpha))
        assert hoeffding_bentkus(np.array([r]), n, alpha)[0] == pytest.approx(expected, abs=1e-12)


def test_certified_settings() -> None:
    table = losses(300)
    plain, ordered = (learn_then_test(table, GRID, 0.2, correction=c) for c in ("bonferroni", "fixed-sequence"))  # type: ignore[arg-type]
    assert set(plain.valid) <= set(ordered.valid)
    assert ordered.valid.min() > 0.75
    assert (ordered.valid == GRID[ordered.valid.min() <= GRID]).all()


def test_false_certificates_are_rare() -> None:
    false = [(learn_then_test(losses(100, s), GRID, 0.2, delta=0.1, correction="fixed-sequence").valid < 0.8).any() for s in range(400)]
    assert np.mean(false) <= 0.1


@pytest.mark.parametrize(
    "call",
    [
        lambda: conformal_risk_control([[0.0, 1.0]], [0, 1], 0.1),
        lambda: conformal_risk_control([[2.0, 1.0]], [0, 1], 0.1),
        lambda: conformal_risk_control([[1.0, float("nan")]], [0, 1], 0.1),
        lambda: conformal_risk_control([[1.0, 0.0]], [1, 0], 0.1),
        lambda: conformal_risk_control([1.0, 0.0], [0, 1], 0.1),
        lambda: learn_then_test([[-1.0, 0.0]], [0, 1], 0.1),
        lambda: learn_then_test([[1.0, 0.0]], [0, 1], 1.1),
        lambda: learn_then_test([[1.0, 0.0]], [0, 1], 0.1, correction="none"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()
