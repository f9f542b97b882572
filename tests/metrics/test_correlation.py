"""Rank correlations against scipy, and undefined cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from trueline.metrics import auroc, concordance, kendall, spearman


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("levels", [3, 20, 10**9])
@pytest.mark.parametrize("n", [2, 17, 130])
def test_equal_scipy(seed: int, levels: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, n).astype(float)
    y = x + rng.integers(0, levels, n)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        x[0], y[0] = x[1] + 1, y[1] + 1
    assert spearman(x, y, ci=None).value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert kendall(x, y, ci=None).value == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_concordance_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
    gap_x, gap_y = x[:, None] - x, y[:, None] - y
    told = gap_y > 0
    share = ((gap_x > 0) + 0.5 * (gap_x == 0))[told].mean()
    assert concordance(x, y, ci=None).value == pytest.approx(share, abs=1e-12)
    assert concordance(x, y > 2, ci=None).value == pytest.approx(auroc(x, y > 2, ci=None).value, abs=1e-12)


def test_constants_are_undefined() -> None:
    for f in (spearman, kendall):
        for x, y, what in (([1, 1, 1], [1, 2, 3], "scores"), ([1, 2, 3], [2, 2, 2], "truths")):
            e = f(x, y)
            assert math.isnan(e.value)
            assert e.reason is not None
            assert what in e.reason
    assert math.isnan(concordance([1, 2, 3], [2, 2, 2]).value)
    assert concordance([1, 1, 1], [1, 2, 3], ci=None).value == 0.5


def test_infinite_scores_have_ranks() -> None:
    assert spearman([-math.inf, 0, math.inf], [1, 2, 3], ci=None).value == pytest.approx(1)


def test_interval_covers_independence() -> None:
    rng = np.random.default_rng(0)
    for f in (spearman, kendall):
        e = f(rng.random(200), rng.random(200))
        assert e.low < 0 < e.high


def test_constants_are_undefined_under_real_weights_too() -> None:
    w = np.array([0.37, 0.37, 0.0, 0.11, 0.74])
    for f in (spearman, kendall):
        assert math.isnan(f(np.zeros(5), [0, 1, 0, 1, 0], weights=w).value)
        assert math.isnan(f([0, 1, 0, 1, 0], np.full(5, 0.3), weights=w).value)
