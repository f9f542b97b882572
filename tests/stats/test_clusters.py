"""Cluster-adjusted rates: limits by hand, invariances, degenerate rates, bad counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from trueline.errors import InputError
from trueline.stats import cluster_rate, wilson
from trueline.stats.clusters import ONE_CLUSTER

CELLS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted), min_size=2, max_size=12)


@given(CELLS)
@settings(max_examples=60, deadline=None)
def test_order_does_not_matter_and_ends_hold_the_rate(cells: list[list[int]]) -> None:
    k, n = np.array(cells).T
    if n.sum() == 0:
        assert not cluster_rate(k, n).rate.defined
        return
    one, two = cluster_rate(k, n), cluster_rate(k[::-1], n[::-1])
    assert one.rate.value == pytest.approx(two.rate.value, abs=1e-12)
    assert one.n_dropped == int((n == 0).sum())
    if one.n_clusters > 1:
        assert one.rate.low == pytest.approx(two.rate.low, abs=1e-9)
        assert 0 <= one.rate.low <= one.rate.value <= one.rate.high <= 1
        assert one.rate.n_effective <= one.rate.n + 1e-9


@given(CELLS)
@settings(max_examples=40, deadline=None)
def test_complement_mirrors_the_interval(cells: list[list[int]]) -> None:
    k, n = np.array(cells).T
    if (n > 0).sum() < 2:
        return
    one, other = cluster_rate(k, n), cluster_rate(n - k, n)
    assert (one.rate.low, one.rate.high) == pytest.approx((1 - other.rate.high, 1 - other.rate.low), abs=1e-9)
    assert one.deff == pytest.approx(other.deff, abs=1e-9, nan_ok=True)


def test_equal_clusters_have_the_variance_of_the_mean_of_their_rates() -> None:
    k = np.array([3, 7, 1, 9, 4])
    found = cluster_rate(k, np.full(5, 10))
    mean = scipy_stats.ttest_1samp(k / 10, 0.0).confidence_interval()
    assert found.t_interval is not None
    assert (found.t_interval.low, found.t_interval.high) == pytest.approx((mean.low, mean.high))
    assert (found.macro.low, found.macro.high) == pytest.approx((mean.low, mean.high))


def test_icc_is_one_for_clusters_that_agree_and_undefined_for_single_trials() -> None:
    assert cluster_rate([10, 0, 10, 0], [10] * 4).icc == pytest.approx(1)
    assert math.isnan(cluster_rate([1, 0, 1], [1, 1, 1]).icc)
    rng = np.random.default_rng(0)
    p = rng.beta(0.2 * 9, 0.8 * 9, 3000)  # ICC 1 / (a + b + 1) = 0.1
    assert cluster_rate(rng.binomial(20, p), np.full(3000, 20)).icc == pytest.approx(0.1, abs=0.01)


def test_independent_trials_have_a_design_effect_of_one() -> None:
    rng = np.random.default_rng(1)
    found = cluster_rate(rng.binomial(10, 0.3, 4000), np.full(4000, 10))
    assert found.deff == pytest.approx(1, abs=0.06)
    assert found.rate.high - found.rate.low == pytest.approx(found.naive.high - found.naive.low, rel=0.05)


def test_no_event_counts_each_cluster_once() -> None:
    for k, n in (([0] * 6, [50] * 6), ([50] * 6, [50] * 6)):
        found = cluster_rate(k, n)
        once = wilson(k[0] / 50 * 6, 6)
        assert (found.rate.low, found.rate.high) == (once.low, once.high)
        assert found.naive.high - found.naive.low < once.high - once.low
        assert math.isnan(found.deff)


def test_one_cluster_has_a_rate_and_no_interval() -> None:
    found = cluster_rate([3, 0], [10, 0])
    assert (found.rate.value, found.rate.reason, found.t_interval, found.n_dropped) == (0.3, ONE_CLUSTER, None, 1)
    assert math.isnan(found.rate.low)


def test_no_trials_at_all_is_undefined_with_a_reason() -> None:
    found = cluster_rate([0, 0], [0, 0])
    assert not found.rate.defined
    assert found.rate.reason == "no cluster has a trial"


def test_fixed_questions_leave_out_the_spread_between_them() -> None:
    k, n = [0, 3, 12, 1, 0, 5, 2, 1], [100] * 8
    fixed, random = cluster_rate(k, n, estimand="fixed"), cluster_rate(k, n)
    assert random.rate.low < fixed.rate.low < fixed.rate.value < fixed.rate.high < random.rate.high
    variance = sum((1 / 8) ** 2 * (a / 100) * (1 - a / 100) / 99 for a in k)
    assert fixed.rate.se == pytest.approx(math.sqrt(variance))
    assert cluster_rate([3], [10], estimand="fixed").rate.low > 0  # one question is enough here
    unclear = cluster_rate([1, 0], [1, 1], estimand="fixed").rate
    assert math.isnan(unclear.low)
    assert "2 answers" in str(unclear.reason)
    assert cluster_rate([10, 0], [10, 10], estimand="fixed").rate.low == wilson(10, 20).low


def test_a_wider_level_widens() -> None:
    narrow, wide = (cluster_rate([1, 4, 2], [9, 9, 9], level=level).rate for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("events", "trials", "words"),
    [
        ([], [], "empty"),
        ([1], [1, 2], "1 entries"),
        ([2], [1], r"events\[0\] is 2 of 1"),
        ([0, -1], [1, 1], r"events\[1\]"),
        ([0.5], [1], "whole"),
        ([float("nan")], [1], "whole"),
        ([1], [float("inf")], "whole"),
        (["a"], [1], "numbers"),
    ],
)
def test_bad_counts(events: Any, trials: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        cluster_rate(events, trials)


def test_unknown_estimand() -> None:
    with pytest.raises(InputError, match="estimand"):
        cluster_rate([1], [2], estimand="both")  # type: ignore[arg-type]
