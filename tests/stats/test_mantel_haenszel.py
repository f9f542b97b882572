"""Stratified tables: agreement with statsmodels, one stratum by hand, degenerate strata, coverage of the risk difference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from trueline.errors import InputError
from trueline.stats import mantel_haenszel

TABLES = st.lists(st.lists(st.integers(1, 30), min_size=4, max_size=4), min_size=1, max_size=6)


@given(TABLES)
@settings(max_examples=60, deadline=None)
def test_agrees_with_statsmodels(tables: list[list[int]]) -> None:
    found = mantel_haenszel(tables)
    other = StratifiedTable([np.array(t, dtype=float).reshape(2, 2) for t in tables])
    test = other.test_null_odds(correction=False)
    assert found.odds_ratio.value == pytest.approx(other.oddsratio_pooled)
    assert found.log_odds_ratio_se == pytest.approx(other.logodds_pooled_se)
    assert (found.odds_ratio.low, found.odds_ratio.high) == pytest.approx(other.oddsratio_pooled_confint())
    assert (found.chi2, found.p) == pytest.approx((test.statistic, test.pvalue), abs=1e-9)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_swapping_the_conditions_inverts_the_odds_and_mirrors_the_difference(tables: list[list[int]]) -> None:
    one, two = mantel_haenszel(tables), mantel_haenszel([[c, d, a, b] for a, b, c, d in tables])
    assert one.odds_ratio.value == pytest.approx(1 / two.odds_ratio.value)
    assert one.risk_difference.low == pytest.approx(-two.risk_difference.high)
    assert one.p == pytest.approx(two.p)


def test_one_stratum_is_the_plain_table() -> None:
    found = mantel_haenszel([[10, 20, 5, 40]])
    assert found.odds_ratio.value == pytest.approx(10 * 40 / (20 * 5))
    assert found.log_odds_ratio_se == pytest.approx(math.sqrt(1 / 10 + 1 / 20 + 1 / 5 + 1 / 40))
    assert found.risk_difference.value == pytest.approx(10 / 30 - 5 / 45)


def test_a_constant_difference_within_strata_survives_their_mixture() -> None:
    """The pooled table says the opposite (Simpson): condition 1 is asked mostly where events are rare."""
    found = mantel_haenszel([[800, 7200, 50, 950], [500, 500, 3600, 4400]])
    assert found.odds_ratio.value > 1
    assert found.risk_difference.low > 0
    assert (800 + 500) / 9000 < (50 + 3600) / 9000


def test_sato_interval_covers() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0.05, 0.6, 12)
    hits = 0
    for _ in range(600):
        a, c = rng.binomial(20, base + 0.1), rng.binomial(30, base)
        rd = mantel_haenszel(np.stack([a, 20 - a, c, 30 - c], axis=1)).risk_difference
        hits += rd.low <= 0.1 <= rd.high
    assert hits / 600 > 0.92


def test_strata_without_information_are_counted() -> None:
    found = mantel_haenszel([[1, 9, 2, 8], [0, 10, 0, 10], [3, 7, 0, 0]])
    assert (found.n_informative, found.n_skipped) == (1, 2)
    assert found.odds_ratio.n == 20
    assert found.risk_difference.n == 40  # the stratum without events still has trials under both


def test_degenerate_tables_keep_every_field() -> None:
    nothing = mantel_haenszel([[0, 50, 0, 40]])
    assert nothing.degenerate
    assert not nothing.odds_ratio.defined
    assert "no informative stratum" in str(nothing.odds_ratio.reason)
    assert (nothing.risk_difference.value, nothing.risk_difference.se) == (0.0, 0.0)
    assert math.isnan(nothing.p)
    apart = mantel_haenszel([[3, 7, 0, 0]])
    assert not apart.risk_difference.defined
    only_first = mantel_haenszel([[3, 7, 0, 10]])
    assert not only_first.odds_ratio.defined
    assert only_first.p < 0.2
    only_second = mantel_haenszel([[0, 10, 3, 7]])
    assert only_second.odds_ratio.value == 0
    assert math.isnan(only_second.log_odds_ratio_se)


@pytest.mark.parametrize(
    "bad", [[], [1, 2, 3, 4], [[1, 2, 3]], [[1, 2, 3, -1]], [[1, 2, 3, 0.5]], [[1, 2, 3, float("nan")]], [["a", 1, 2, 3]]]
)
def test_bad_tables(bad: Any) -> None:
    with pytest.raises(InputError):
        mantel_haenszel(bad)
