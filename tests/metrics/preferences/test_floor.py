"""What no single reward can do: the exact floor, against brute force, and why half the range is none for three groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from trueline.errors import InputError
from trueline.knownworld.planted_preferences import PlantedPreferences, planted_preferences
from trueline.metrics.preferences import range_floor
from trueline.metrics.preferences.floor import worst_case_mixture


def best_worst_gap(rates: np.ndarray) -> float:
    """min over q of max over groups of the mean squared gap, by a general solver (epigraph form)."""
    n = len(rates)
    found = minimize(
        lambda x: x[-1],
        np.append(rates.mean(axis=1), 1.0),
        jac=lambda x: np.append(np.zeros(n), 1.0),
        constraints=[{"type": "ineq", "fun": lambda x, g=g: x[-1] - ((x[:-1] - rates[:, g]) ** 2).mean()} for g in range(rates.shape[1])],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return float(found.fun)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_duality_is_exact(seed: int, n_groups: int) -> None:
    rates = np.random.default_rng(seed).random((6, n_groups))
    assert PlantedPreferences(rates).floor2() == pytest.approx(best_worst_gap(rates), abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_no_reward_is_below_the_floor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = PlantedPreferences(rng.random((8, 4)))
    t = rng.random(4) + 0.05
    mixture = worst_case_mixture(world.rates, world.rates**2)
    for q in (rng.random(8), world.rates[:, 0], world.rates @ mixture):
        assert world.gap2(q).max() >= world.floor2() - 1e-12
        assert t @ world.gap2(q) / t.sum() >= world.floor2(t) - 1e-12
    assert t @ world.gap2(world.rates @ t / t.sum()) / t.sum() == pytest.approx(world.floor2(t))
    assert world.gap2(world.rates @ mixture).max() == pytest.approx(world.floor2(), abs=1e-6)


def test_half_the_range_bounds_two_groups_but_not_more() -> None:
    two = planted_preferences(50, (1.5,), 1)
    assert (np.ptp(two.rates, axis=1) ** 2 / 4).mean() == pytest.approx(two.floor2())
    # each group stands alone on one item in five
    outliers = PlantedPreferences(np.eye(5))
    assert np.sqrt((np.ptp(outliers.rates, axis=1) ** 2 / 4).mean()) == 0.5
    assert outliers.gap2(np.full(5, 0.2)).max() == pytest.approx(0.16)
    assert outliers.floor2() == pytest.approx(0.16)


def test_range_of_groups_that_agree_is_all_noise() -> None:
    same = PlantedPreferences(np.tile(np.linspace(0.2, 0.8, 400)[:, None], 3))
    found = range_floor(*same.counts(5, np.random.default_rng(0)))
    assert found.mean > 0.15
    assert found.mean == pytest.approx(found.noise_mean, abs=0.02)
    apart = planted_preferences(400, (2.0, 2.0), 1)
    found = range_floor(*apart.counts(5, np.random.default_rng(0)))
    assert found.mean > found.noise_mean + 0.05
    assert found.n == 400


def test_deals_keep_the_votes_of_an_item() -> None:
    found = range_floor([[2, 0], [1, 0]], [[2, 3], [1, 0]], n_deals=2000)
    assert found.n == 1
    assert found.mean == 0.5
    # two of five votes are yes: hypergeometric over groups of two and three
    expected = sum(w * abs(k / 2 - (2 - k) / 3) / 2 for k, w in ((0, 0.3), (1, 0.6), (2, 0.1)))
    assert found.noise_mean == pytest.approx(expected, abs=0.01)


def test_nothing_to_compare() -> None:
    found = range_floor([[1, 0]], [[2, 0]])
    assert found.n == 0
    assert np.isnan(found.mean)
    with pytest.raises(InputError, match="n_deals"):
        range_floor([[1]], [[2]], n_deals=0)
    with pytest.raises(InputError, match="item 0"):
        range_floor([[5]], [[2]])
