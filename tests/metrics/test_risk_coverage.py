"""Risk and coverage against the definition written as loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import augrc, aurc, auroc, coverage_at_risk, e_aurc, prr, prr_unconditional, selective_risk


def risks(u: Any, loss: Any) -> Any:
    """r_1..r_n, every row of a tied group at the group's mean loss."""
    order = np.argsort(u, kind="stable")
    mean = np.array([loss[u == s].mean() for s in u[order]])
    return np.cumsum(mean) / np.arange(1, len(u) + 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("digits", [1, 8])
def test_by_definition(seed: int, binary: bool, digits: int) -> None:
    rng = np.random.default_rng(seed)
    u = rng.random(60).round(digits)
    loss = (rng.random(60) < u).astype(float) if binary else rng.random(60).round(2)
    r, best, mean = risks(u, loss), risks(np.argsort(np.argsort(loss, kind="stable")), loss), loss.mean()
    g = np.append(0, r * np.arange(1, 61)) / 60
    g_best = np.append(0, best * np.arange(1, 61)) / 60
    assert aurc(u, loss, ci=None).value == pytest.approx(r.mean(), abs=1e-12)
    assert e_aurc(u, loss, ci=None).value == pytest.approx(r.mean() - best.mean(), abs=1e-12)
    assert augrc(u, loss, ci=None).value == pytest.approx(np.trapezoid(g, dx=1 / 60), abs=1e-12)
    assert prr(u, loss, ci=None).value == pytest.approx((mean - r.mean()) / (mean - best.mean()), abs=1e-12)
    ratio = (mean / 2 - np.trapezoid(g, dx=1 / 60)) / (mean / 2 - np.trapezoid(g_best, dx=1 / 60))
    assert prr_unconditional(u, loss, ci=None).value == pytest.approx(ratio, abs=1e-12)
    tail = slice(60 - 21, 60)
    part = (mean - r[tail].mean()) / (mean - best[tail].mean())
    assert prr(u, loss, max_rejection=0.35, ci=None).value == pytest.approx(part, abs=1e-12)
    for c in (0.01, 0.5, 0.8, 0.95, 1):
        assert selective_risk(u, loss, coverage=c, ci=None).value == pytest.approx(r[max(1, math.ceil(c * 60 - 1e-9)) - 1], abs=1e-12)
    ends = np.array([k for k in range(1, 61) if k == 60 or np.sort(u)[k] != np.sort(u)[k - 1]])
    for t in (0.0, 0.2, mean, 1.0):
        good = ends[r[ends - 1] <= t + 1e-12]
        assert coverage_at_risk(u, loss, risk=t, ci=None).value == pytest.approx(good.max() / 60 if len(good) else 0, abs=1e-12)


def test_perfect_and_random_rankings() -> None:
    loss = np.r_[np.zeros(30), np.ones(10)]
    assert prr(np.arange(40), loss, ci=None).value == pytest.approx(1)
    assert e_aurc(np.arange(40), loss, ci=None).value == pytest.approx(0, abs=1e-15)
    assert prr(np.ones(40), loss, ci=None).value == 0
    assert e_aurc(np.ones(40), loss, ci=None).value > 0.1
    assert prr(-np.arange(40), loss, ci=None).value < 0


def test_real_weights_near_integers_give_nearly_the_integer_value() -> None:
    rng = np.random.default_rng(0)
    u, loss, w = rng.random(50), rng.random(50), rng.integers(1, 4, 50)
    exact, near = aurc(u, loss, weights=w, ci=None).value, aurc(u, loss, weights=w + 1e-9, ci=None).value
    assert near == pytest.approx(exact, abs=1e-7)


def test_equal_losses_are_undefined_for_ratios_only() -> None:
    for loss in (0.0, 1.0, 0.3):
        e = prr([1, 2, 3], [loss] * 3)
        assert math.isnan(e.value)
        assert e.reason is not None
        assert "all 3 losses are equal" in e.reason
        assert math.isnan(prr_unconditional([1, 2, 3], [loss] * 3).value)
        assert aurc([1, 2, 3], [loss] * 3).value == pytest.approx(loss)


def test_unconditional_ratio_is_somers_d() -> None:
    rng = np.random.default_rng(0)
    u = rng.random(80).round(1)
    wrong = (rng.random(80) < u).astype(int)
    assert prr_unconditional(u, wrong, ci=None).value == pytest.approx(2 * auroc(u, wrong, ci=None).value - 1, abs=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: prr([1, 2], [0, 1], max_rejection=0),
        lambda: prr([1, 2], [0, 1], max_rejection=1.2),
        lambda: selective_risk([1, 2], [0, 1], coverage=0),
        lambda: selective_risk([1, 2], [0, 1], coverage=1.5),
        lambda: aurc([1, 2], [0, math.nan]),
        lambda: aurc([], []),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()


def test_a_rejection_of_less_than_a_row_is_undefined() -> None:
    e = prr([1, 2, 3], [0, 1, 0], max_rejection=0.1)
    assert math.isnan(e.value)
    assert e.reason is not None
    assert "less than one row" in e.reason
