"""Flips: exact bounds, families found, missing trials, and margins that are safe."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from trueline.errors import InputError
from trueline.metrics.preferences import flip_robustness, scenario_delta


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_order_of_pairs_and_perturbations_changes_nothing(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.choice([0.0, 1.0, math.nan], p=rng.dirichlet([1, 1, 1]), size=(n, 3))
    found = flip_robustness(table)
    again = flip_robustness(rng.permutation(table)[:, ::-1])
    assert again.any == found.any
    assert again.mean.value == pytest.approx(found.mean.value, nan_ok=True)
    assert [f.p for f in again.families] == pytest.approx([f.p for f in found.families][::-1], nan_ok=True)
    assert found.any.n + found.any.n_missing == len(table)
    for share in (found.mean, found.any):
        assert not share.defined or 0 <= share.low <= share.value <= share.high <= 1
        assert share.defined or share.reason


def test_families_are_tested_exactly_and_together() -> None:
    table = np.zeros((50, 3))
    table[:5, 0] = 1
    table[5:8, 1] = 1
    found = flip_robustness(table, ["swap", "swap", "typos"])
    swap, typos = found.families
    assert swap.rate.value == 0.16
    assert swap.p == pytest.approx(binomtest(8, 50, 0.02, alternative="greater").pvalue)
    assert swap.p_holm == pytest.approx(2 * swap.p)
    assert typos.p == typos.p_holm == 1.0
    assert swap.upper > swap.rate.value
    assert typos.upper == pytest.approx(1 - 0.025 ** (1 / 50))


def test_what_was_not_tried_is_missing() -> None:
    nan = math.nan
    found = flip_robustness([[1, nan], [0, nan], [0, 0], [nan, nan]])
    assert (found.any.value, found.any.n, found.any.n_missing) == (0.5, 2, 2)
    assert found.mean.value == pytest.approx(1 / 4)
    none = flip_robustness([[nan], [nan]])
    assert not none.any.defined
    assert not none.mean.defined
    assert math.isnan(none.upper_any)
    assert math.isnan(none.families[0].p_holm)


def test_safe_margin_is_found_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=2000)
    frail = (rng.random(2000) < np.where(np.abs(margin) < 0.5, 0.3, 0.002))[:, None]
    found = flip_robustness(frail, margin=margin, tolerated=0.02)
    assert 0.4 < found.safe_margin < 0.75
    assert 0.4 < found.safe_share < 0.7
    assert found.margin_auroc.low > 0.7
    careless = flip_robustness(rng.random((2000, 1)) < 0.3, margin=margin)
    assert math.isnan(careless.safe_margin)
    assert careless.safe_share == 0
    assert careless.margin_auroc.low < 0.5 < careless.margin_auroc.high


def test_safe_margin_keeps_its_promise() -> None:
    wrong = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        margin = rng.exponential(size=300)
        risk = np.where(margin > 1, 0.03, 0.2)  # never at most .02: any margin called safe is an error
        found = flip_robustness((rng.random(300) < risk)[:, None], margin=margin, tolerated=0.029)
        wrong += found.safe_share > 0
    assert wrong <= 0.05 * 300 + 10


def test_scenarios() -> None:
    share, upper = scenario_delta([0.5, 0.7, 0.2, math.nan], 0.4)
    assert (share.value, share.n, share.n_missing) == (1 / 3, 3, 1)
    assert upper > share.value
    assert scenario_delta([0.1, 0.2], 0.5)[1] == 1.0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([],), "flip has shape"),
        (([1, 0],), "flip has shape"),
        (([[0.5]],), r"flip\[0, 0\]"),
        (([[1, 0]], ["a"]), "families"),
    ],
)
def test_refusals(arguments, match) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=match):
        flip_robustness(*arguments)


def test_other_refusals() -> None:
    with pytest.raises(InputError, match="tolerated"):
        flip_robustness([[1]], tolerated=0.0)
    with pytest.raises(InputError, match="margin"):
        flip_robustness([[1]], margin=[1, 2])
    with pytest.raises(InputError, match="floor"):
        scenario_delta([1.0], math.nan)
    with pytest.raises(InputError, match="values"):
        scenario_delta([], 0.0)
