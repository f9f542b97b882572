"""Correlation by level: scipy on each level, planted opposite signs, levels without variation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from trueline.errors import InputError
from trueline.metrics.correlation_levels import correlation_levels


def planted(n_groups: int = 30, size: int = 20, within: float = 0.8, between: float = -0.6, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), size)

    def pairs(n: int, r: float) -> Any:
        return rng.multivariate_normal([0, 0], [[1, r], [r, 1]], n)

    xy = 3 * pairs(n_groups, between)[group] + pairs(len(group), within)
    return xy[:, 0], xy[:, 1], group


def test_opposite_signs_are_found_and_said() -> None:
    x, y, g = planted()
    found = correlation_levels(x, y, g)
    assert found.within.low > 0.7
    assert found.between.value < -0.3
    assert found.pooled.value < 0
    assert found.disagree


def test_each_level_is_pearsons_r() -> None:
    x, y, g = planted(seed=1)
    found = correlation_levels(x, y, g)
    pooled = stats.pearsonr(x, y)
    ends = pooled.confidence_interval()
    assert (found.pooled.value, found.pooled.low, found.pooled.high) == pytest.approx((pooled.statistic, ends.low, ends.high))
    means = [np.array([v[g == k].mean() for k in range(30)]) for v in (x, y)]
    assert found.between.value == pytest.approx(stats.pearsonr(*means).statistic)
    centred = [v - m[g] for v, m in zip((x, y), means, strict=True)]
    assert found.within.value == pytest.approx(stats.pearsonr(*centred).statistic)


def test_within_interval_covers() -> None:
    hits = [(e := correlation_levels(*planted(8, 6, 0.5, 0.9, seed)).within).low <= 0.5 <= e.high for seed in range(400)]
    assert 0.92 <= np.mean(hits) <= 0.98


def test_shift_and_scale_change_nothing() -> None:
    x, y, g = planted(seed=2)
    one, two = correlation_levels(x, y, g), correlation_levels(5 + 1e3 * x, 2 - y, g)
    assert one.within.value == pytest.approx(-two.within.value)
    assert one.between.value == pytest.approx(-two.between.value)


def test_undefined_levels_have_reasons() -> None:
    found = correlation_levels([0.1, 0.1, 0.7, 0.7], [1, 2, 3, 4], ["a", "a", "b", "b"])
    assert "x does not vary" in str(found.within.reason)
    assert "2 groups" in str(found.between.reason)
    assert math.isnan(found.pooled.low) is False
    assert "too few rows" in str(correlation_levels([1, 2, 3], [1, 3, 2], ["a"] * 3).pooled.reason)
    assert "perfect" in str(correlation_levels(np.arange(9), np.arange(9), ["a"] * 9).pooled.reason)


@pytest.mark.parametrize(
    ("x", "y", "g"),
    [([], [], []), ([1, 2], [1], ["a", "a"]), ([1, 2], [1, 2], ["a"]), ([1, math.nan], [1, 2], [0, 0]), ([1, 2], [1, math.inf], [0, 0])],
)
def test_bad_input(x: Any, y: Any, g: Any) -> None:
    with pytest.raises(InputError):
        correlation_levels(x, y, g)
