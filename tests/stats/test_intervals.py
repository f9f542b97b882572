"""Interval ends against scipy, statsmodels and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from trueline.errors import InputError
from trueline.stats.intervals import (
    acceleration,
    agresti_coull,
    basic,
    bca,
    clopper_pearson,
    jackknife_se,
    percentile,
    t_interval,
    upper_bound,
    wilson,
    wilson_bands,
)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 10), (1, 1000), (499, 1000), (28, 30)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_proportions_equal_scipy(k: int, n: int, level: float) -> None:
    test = stats.binomtest(k, n)
    for ours, name in ((wilson, "wilson"), (clopper_pearson, "exact")):
        ci = test.proportion_ci(level, name)
        mine = ours(k, n, level)
        assert (mine.low, mine.high) == pytest.approx((ci.low, ci.high), abs=1e-12)
        assert mine.low <= k / n <= mine.high


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 10), (1, 1000), (499, 1000)])
def test_proportions_equal_statsmodels(k: int, n: int) -> None:
    for ours, name in ((wilson, "wilson"), (agresti_coull, "agresti_coull"), (clopper_pearson, "beta")):
        mine = ours(k, n, 0.9)
        assert (mine.low, mine.high) == pytest.approx(proportion_confint(k, n, 0.1, name), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (999, 1000)])
def test_one_sided_bound_is_where_so_few_events_become_improbable(k: int, n: int) -> None:
    assert stats.binom(n, upper_bound(k, n)).cdf(k) == pytest.approx(0.05)
    assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n))
    assert upper_bound(n, n) == 1.0


def test_t_interval_is_students() -> None:
    mine = t_interval(0.3, 0.1, 7, 0.9)
    assert (mine.low, mine.high) == pytest.approx(stats.t(7, 0.3, 0.1).interval(0.9))


def test_no_events_is_not_certainty() -> None:
    assert wilson(0, 20).high > 0.1
    assert clopper_pearson(0, 20).high > wilson(0, 20).high


def test_bands_are_wilson_point_by_point() -> None:
    low, high = wilson_bands(np.array([0.0, 3.0, 0.0]), np.array([10.0, 10.0, 0.0]))
    one = wilson(3, 10)
    assert (low[1], high[1]) == pytest.approx((one.low, one.high))
    assert np.isnan(low[2])


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_bad_proportions(k: int, n: int) -> None:
    for f in (wilson, clopper_pearson):
        with pytest.raises(InputError):
            f(k, n)


def test_bca_equals_scipy_on_the_same_data() -> None:
    x = np.random.default_rng(0).exponential(size=60)
    theirs = stats.bootstrap((x,), np.mean, method="BCa", n_resamples=20000, rng=np.random.default_rng(1), vectorized=True)
    left_out = (x.sum() - x) / 59
    ours = bca(theirs.bootstrap_distribution, x.mean(), 0.95, acceleration(left_out))
    assert ours == pytest.approx((theirs.confidence_interval.low, theirs.confidence_interval.high), abs=1e-12)


def test_bca_without_skew_is_the_percentile_interval() -> None:
    x = np.arange(1001.0)
    assert bca(x, 500.0, 0.9, 0.0) == pytest.approx(percentile(x, 0.9), abs=1e-9)
    assert basic(x, 500.0, 0.9) == pytest.approx(percentile(x, 0.9), abs=1e-9)


def test_bca_of_a_value_beyond_every_replicate_still_holds_it() -> None:
    x = np.linspace(1, 2, 500)
    low, high = bca(x, 0.5, 0.95, 0.0)
    assert low <= 0.5 <= high


def test_jackknife_se_of_a_mean_is_the_standard_error() -> None:
    x = np.random.default_rng(0).normal(size=30)
    assert jackknife_se((x.sum() - x) / 29) == pytest.approx(x.std(ddof=1) / np.sqrt(30))
    assert jackknife_se(np.array([1.0, 3.0]), np.array([2.0, 1.0])) == pytest.approx(jackknife_se(np.array([1.0, 1.0, 3.0])))


def test_acceleration_of_equal_values_is_zero() -> None:
    assert acceleration(np.full(9, 0.3)) == 0
    assert acceleration(np.array([np.nan])) == 0
