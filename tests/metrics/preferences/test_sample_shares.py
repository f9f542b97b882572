"""A sample of people against its target."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.preferences import rake, sample_representativeness

tables = st.integers(1, 6).flatmap(
    lambda g: st.tuples(st.lists(st.integers(1, 200), min_size=g, max_size=g), st.lists(st.floats(0.01, 1), min_size=g, max_size=g))
)


@settings(deadline=None)
@given(tables)
def test_weights_restore_the_target(table: tuple[list[int], list[float]]) -> None:
    counts, target = table
    found = sample_representativeness(counts, target)
    np.testing.assert_allclose(found.sample * found.weights, found.target)
    assert found.kl >= -1e-12
    assert found.n_eff <= found.n * (1 + 1e-9)
    assert 2 * found.total_variation**2 <= found.kl + 1e-12  # Pinsker
    assert not found.uncovered


def test_a_group_that_nobody_stands_for() -> None:
    found = sample_representativeness([30, 10, 0, 5], [0.5, 0.3, 0.2, 0.0])
    assert found.uncovered == (2,)
    assert math.isinf(found.kl)
    assert math.isnan(found.weights[2])
    assert found.weights[3] == 0
    assert found.n_eff < found.n


def test_chance_alone_is_told_from_a_skewed_sample() -> None:
    rng = np.random.default_rng(0)
    fair = [sample_representativeness(rng.multinomial(100, [0.5, 0.3, 0.2]), [0.5, 0.3, 0.2], seed=i) for i in range(200)]
    beyond = np.mean([f.total_variation > f.tv_by_chance for f in fair])
    assert 0.01 <= beyond <= 0.1
    skewed = sample_representativeness([80, 10, 10], [0.5, 0.3, 0.2])
    assert skewed.total_variation > 2 * skewed.tv_by_chance


def test_trimmed_weights_trade_bias_for_people() -> None:
    plain = sample_representativeness([90, 5, 5], [1, 1, 1])
    trimmed = sample_representativeness([90, 5, 5], [1, 1, 1], max_weight=3)
    assert trimmed.n_eff > plain.n_eff
    assert plain.trimmed_bias == 0
    assert trimmed.trimmed_bias == pytest.approx(np.abs(trimmed.sample * trimmed.weights - 1 / 3).sum() / 2)
    assert trimmed.trimmed_bias > 0.05
    with pytest.raises(InputError, match="max_weight"):
        sample_representativeness([1, 1], [1, 1], max_weight=0.5)


def test_raking_meets_every_margin_and_keeps_odds_ratios() -> None:
    groups = [(a, b) for a in "xy" for b in "uvw"]
    counts = np.array([10.0, 20, 5, 8, 3, 40])
    margins = [((0,), {("x",): 0.7, ("y",): 0.3}), ((1,), {("u",): 0.2, ("v",): 0.3, ("w",): 0.5})]
    shares = rake(groups, counts, margins).reshape(2, 3)  # type: ignore[arg-type]
    np.testing.assert_allclose(shares.sum(axis=1), [0.7, 0.3], atol=1e-8)
    np.testing.assert_allclose(shares.sum(axis=0), [0.2, 0.3, 0.5], atol=1e-8)
    before = counts.reshape(2, 3)
    np.testing.assert_allclose(
        shares[0, 0] * shares[1, 1] / shares[0, 1] / shares[1, 0], before[0, 0] * before[1, 1] / before[0, 1] / before[1, 0]
    )


@pytest.mark.parametrize(
    ("margins", "match"),
    [
        ([((0,), {("x",): 0.5, ("y",): 0.3, ("z",): 0.2})], "nobody in the sample is 'z'"),
        ([((0,), {("x",): 1.0})], "no share for 'y'"),
        ([((0,), {("x",): math.nan, ("y",): 1.0})], "finite"),
        ([((0,), {("x",): 1.0, ("y",): 0.0}), ((1,), {("u",): 0.5, ("v",): 0.5})], "cannot be met"),
    ],
)
def test_raking_refuses(margins, match) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=match):
        rake([("x", "u"), ("y", "v")], [1, 1], margins)


@pytest.mark.parametrize(
    ("counts", "target"),
    [
        ([], []),
        ([1, 2], [1]),
        ([0, 0], [1, 1]),
        ([1, -1], [1, 1]),
        ([1, 1.5], [1, 1]),
        ([1, 1], [0, 0]),
        ([1, 1], [math.inf, 1]),
        ([1, 0], [0, 1]),
    ],
)
def test_refusals(counts, target) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError):
        sample_representativeness(counts, target)
