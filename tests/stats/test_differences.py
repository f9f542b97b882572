"""Differences of rates: agreement with scipy and statsmodels, size of the sign-flip test, degenerate pairs."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from trueline.errors import InputError
from trueline.stats import Estimate, cluster_rate, independent_difference, paired_difference, paired_rates, unpaired_difference
from trueline.stats.differences import sign_flip_p

COUNTS = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, COUNTS)
@settings(max_examples=80, deadline=None)
def test_unpaired_agrees_with_statsmodels(one: tuple[int, int], two: tuple[int, int]) -> None:
    (k1, n1), (k2, n2) = one, two
    found = unpaired_difference(k1, n1, k2, n2)
    low, high = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff")
    assert (found.estimate.low, found.estimate.high) == pytest.approx((low, high), abs=1e-9)
    if 0 < k1 + k2 < n1 + n2:  # statsmodels divides by zero there; the definition is z 0 and p 1
        z, p = proportions_ztest([k1, k2], [n1, n2])
        assert (found.statistic, found.p) == pytest.approx((z, p), abs=1e-9)
    else:
        assert (found.statistic, found.p) == (0.0, 1.0)


def test_swapping_the_groups_mirrors_the_difference() -> None:
    a, b = unpaired_difference(5, 20, 9, 30), unpaired_difference(9, 30, 5, 20)
    assert (a.estimate.low, a.estimate.high) == pytest.approx((-b.estimate.high, -b.estimate.low))
    assert a.p == pytest.approx(b.p)


def test_clustered_rates_of_other_questions_give_a_wider_difference() -> None:
    one, two = cluster_rate([0, 9, 1, 8], [20] * 4), cluster_rate([0, 2, 0, 3], [20] * 4)
    d, naive = independent_difference(one.rate, two.rate), unpaired_difference(18, 80, 5, 80).estimate
    assert d.value == naive.value
    assert d.low < naive.low < naive.high < d.high


def test_a_difference_needs_two_intervals_of_one_level() -> None:
    whole = cluster_rate([1, 2], [9, 9]).rate
    with pytest.raises(InputError, match="no interval"):
        independent_difference(whole, Estimate(0.3))
    with pytest.raises(InputError, match="levels"):
        independent_difference(whole, cluster_rate([1, 2], [9, 9], level=0.9).rate)


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_exact_sign_flip_is_the_share_of_all_patterns(d: list[float]) -> None:
    x = np.array(d)
    patterns = [abs(float(np.array(s) @ x)) for s in itertools.product((1, -1), repeat=len(x))]
    assert sign_flip_p(x)[0] == pytest.approx(np.mean(np.array(patterns) >= abs(x.sum()) - 1e-11))


def test_sign_flip_agrees_with_scipy_and_with_random_signs() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0.4, 1, 14)
    exact, how = sign_flip_p(x)
    assert how == "exact sign-flip"
    other = scipy_stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False)
    assert exact == pytest.approx(other.pvalue)
    longer = np.r_[x, x]
    p, how = sign_flip_p(longer, n_draws=20_000, seed=1)
    assert "20000 draws" in how
    assert p == sign_flip_p(longer, n_draws=20_000, seed=1)[0]
    assert p == pytest.approx(scipy_stats.ttest_1samp(longer, 0).pvalue, abs=0.01)


@pytest.mark.parametrize("n", [8, 24])
def test_sign_flip_holds_its_level_under_skewed_symmetric_nulls(n: int) -> None:
    rng = np.random.default_rng(2)
    p = [sign_flip_p(rng.choice([-1, 1], n) * rng.exponential(size=n) ** 2, n_draws=199, seed=s)[0] for s in range(600)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.075


def test_the_scale_of_the_differences_does_not_matter() -> None:
    x = np.random.default_rng(3).normal(0.2, 1, 10)
    assert sign_flip_p(x)[0] == sign_flip_p(1e6 * x)[0]


def test_paired_interval_is_students() -> None:
    x = np.random.default_rng(4).normal(0.2, 1, 30)
    found = paired_difference(x)
    t = scipy_stats.ttest_1samp(x, 0.0)
    ends = t.confidence_interval()
    assert (found.estimate.low, found.estimate.high, found.statistic) == pytest.approx((ends.low, ends.high, t.statistic))


def test_paired_rates_leave_out_and_count_unpaired_questions() -> None:
    found = paired_rates([1, 5, 2], [10, 10, 0 + 2], [0, 1, 0], [10, 10, 0])
    assert found.estimate.n_missing == 1
    assert found.estimate.value == pytest.approx((0.1 + 0.4) / 2)


@pytest.mark.parametrize("events", [0, 50])
def test_no_event_in_either_arm_points_to_newcombe(events: int) -> None:
    found = paired_rates([events] * 6, [50] * 6, [events] * 6, [50] * 6)
    assert found.degenerate
    assert (found.estimate.low, found.estimate.high, found.p) == (0.0, 0.0, 1.0)
    assert found.instead is not None
    assert found.instead.low < -0.3
    assert "counts each question once" in str(found.estimate.reason)


def test_equal_differences_are_degenerate_without_a_substitute() -> None:
    found = paired_difference([0.25, 0.25, 0.25])
    assert found.degenerate
    assert found.instead is None
    assert found.p == pytest.approx(0.25)
    assert math.isnan(found.statistic)


def test_one_question_has_no_interval() -> None:
    found = paired_difference([0.2])
    assert math.isnan(found.estimate.low)
    assert found.p == 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: unpaired_difference(3, 2, 1, 2),
        lambda: unpaired_difference(0, 0, 1, 2),
        lambda: paired_difference([]),
        lambda: paired_difference([0.1, float("nan")]),
        lambda: paired_difference(np.ones(20), n_draws=0),
        lambda: paired_rates([1], [2], [1, 1], [2, 2]),
        lambda: paired_rates([0], [0], [1], [2]),
        lambda: paired_rates([3], [2], [1], [2]),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()
