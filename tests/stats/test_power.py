"""Sample sizes: agreement with statsmodels, inversion, power by simulation, clusters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep, proportion_effectsize

from trueline.errors import InputError
from trueline.stats import cluster_rate, design_effect, detectable_difference, plan_samples, sample_size_two_rates, unpaired_difference


@pytest.mark.parametrize(("p1", "p2"), [(0.0096, 0.0042), (0.2, 0.1), (0.5, 0.4), (0.9, 0.7)])
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_the_size_found_has_the_power_that_statsmodels_computes(p1: float, p2: float, power: float) -> None:
    n = sample_size_two_rates(p1, p2, power=power)
    reached = [power_proportions_2indep(p1 - p2, p2, size, alternative="two-sided", return_results=False) for size in (n - 1, n)]
    assert reached[0] < power + 1e-6
    assert reached[1] >= power - 1e-6


def test_arcsine_power_of_statsmodels_is_near() -> None:
    n = NormalIndPower().solve_power(proportion_effectsize(0.2, 0.1), alpha=0.05, power=0.8)
    assert sample_size_two_rates(0.2, 0.1) == pytest.approx(n, rel=0.03)


def test_power_by_simulation() -> None:
    n = sample_size_two_rates(0.3, 0.15)
    rng = np.random.default_rng(0)
    k1, k2 = rng.binomial(n, 0.3, 3000), rng.binomial(n, 0.15, 3000)
    assert np.mean([unpaired_difference(a, n, b, n).p <= 0.05 for a, b in zip(k1, k2, strict=True)]) == pytest.approx(0.8, abs=0.025)


def test_a_design_effect_is_what_clusters_cost() -> None:
    assert design_effect(1, 0.3) == 1
    assert design_effect(20, 0.1) == pytest.approx(2.9)
    rng = np.random.default_rng(1)
    p = rng.beta(0.3 * 9, 0.7 * 9, 2000)
    assert cluster_rate(rng.binomial(20, p), np.full(2000, 20)).deff == pytest.approx(2.9, rel=0.08)
    independent = sample_size_two_rates(0.2, 0.1)
    assert 2.9 * (independent - 1) < sample_size_two_rates(0.2, 0.1, deff=2.9) <= math.ceil(2.9 * independent)  # rounded up once


@pytest.mark.parametrize("baseline", [0.0, 0.01, 0.3])
def test_detectable_difference_inverts_the_sample_size(baseline: float) -> None:
    d = detectable_difference(baseline, 400, deff=2.0)
    assert sample_size_two_rates(baseline + d, baseline, deff=2.0) <= 400
    assert sample_size_two_rates(baseline + 0.99 * d, baseline, deff=2.0) > 400
    assert math.isnan(detectable_difference(baseline, 1))


def test_one_event_is_seen_with_the_promised_confidence() -> None:
    n = plan_samples(0.02)
    assert 1 - 0.98**n >= 0.95 > 1 - 0.98 ** (n - 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sample_size_two_rates(0.1, 0.1),
        lambda: sample_size_two_rates(1.1, 0.1),
        lambda: sample_size_two_rates(0.2, float("nan")),
        lambda: sample_size_two_rates(0.2, 0.1, alpha=0),
        lambda: sample_size_two_rates(0.2, 0.1, power=1),
        lambda: sample_size_two_rates(0.2, 0.1, deff=0),
        lambda: sample_size_two_rates(0.2, 0.1, deff=float("nan")),
        lambda: design_effect(0, 0.1),
        lambda: design_effect(10, -0.1),
        lambda: detectable_difference(1.0, 10),
        lambda: detectable_difference(0.1, 0),
        lambda: plan_samples(0),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()
