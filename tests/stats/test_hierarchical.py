"""Crossed factors: weights are products of counts, few levels are held, planted variance is found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.stats import hierarchical_bootstrap, rate, rate_difference


def crossed(n_questions: int, n_seeds: int) -> dict[str, Any]:
    return {"question": np.tile(np.arange(n_questions), n_seeds), "seed": np.repeat(np.arange(n_seeds), n_questions)}


def test_a_replicate_weighs_a_row_by_the_product_of_its_levels_counts() -> None:
    factors = crossed(7, 5)
    seen = []

    def value(weights: Any) -> Any:
        seen.append(weights)
        return weights.sum(axis=1)

    hierarchical_bootstrap(value, factors, n_boot=50)
    weights = np.concatenate(seen[1:]).reshape(50, 5, 7)  # the first call is the point value
    assert weights.sum(axis=(1, 2)) == pytest.approx(np.full(50, 35.0))
    for w in weights:
        assert np.linalg.matrix_rank(w) == 1  # seeds and questions are drawn on their own
    assert np.ptp(weights) > 1


def test_equals_the_bootstrap_of_question_means_with_one_factor() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(1, 4, 20)
    k = rng.binomial(50, p)
    found = hierarchical_bootstrap(rate(k, np.full(20, 50)), {"question": np.arange(20)}, n_boot=4000).estimate
    assert found.value == k.sum() / 1000
    assert found.se == pytest.approx((k / 50).std(ddof=0) / math.sqrt(20), rel=0.05)


def test_same_seed_same_interval() -> None:
    k = np.random.default_rng(1).integers(0, 9, 60)
    one, two, other = (hierarchical_bootstrap(rate(k, np.full(60, 9)), crossed(10, 6), seed=s).estimate for s in (3, 3, 4))
    assert one == two
    assert one.low != other.low


def test_few_replicates_are_held_and_shown_one_by_one() -> None:
    factors = crossed(8, 3)
    k = np.repeat([1, 2, 6], 8)
    found = hierarchical_bootstrap(rate(k, np.full(24, 10)), factors)
    assert (found.resampled, found.held) == (("question",), ("seed",))
    assert found.by_level == {"seed": {0: 0.1, 1: 0.2, 2: 0.6}}
    assert "seed held fixed" in str(found.estimate.reason)
    neither = hierarchical_bootstrap(rate(k, np.full(24, 10)), {"seed": factors["seed"]})
    assert math.isnan(neither.estimate.low)
    assert "no factor has 5 levels" in str(neither.estimate.reason)


def test_arms_keep_their_number_of_seeds() -> None:
    factors = {"question": np.tile(np.arange(6), 11), "seed": np.repeat(np.arange(11), 6)}
    arm = factors["seed"] < 5
    seen = []

    def value(weights: Any) -> Any:
        seen.append(weights)
        return weights.sum(axis=1)

    hierarchical_bootstrap(value, factors, groups={"seed": arm}, n_boot=40)
    weights = np.concatenate(seen)
    assert weights[:, arm].sum(axis=1) == pytest.approx(np.full(41, 30.0))
    k = np.where(arm, 6, 2)
    found = hierarchical_bootstrap(rate_difference(k, np.full(66, 10), arm), factors, groups={"seed": arm})
    assert found.estimate.value == pytest.approx(0.4)
    assert "every replicate is equal" in str(found.estimate.reason)


def test_rows_inside_cells_add_their_own_noise() -> None:
    rng = np.random.default_rng(2)
    factors = {name: np.repeat(labels, 20) for name, labels in crossed(12, 6).items()}
    y = rng.integers(0, 2, 12 * 6 * 20)
    seen = []

    def value(weights: Any) -> Any:
        seen.append(weights)
        return rate(y, np.ones(len(y)))(weights)

    inner = hierarchical_bootstrap(value, factors, within=True, n_boot=400).estimate
    outer = hierarchical_bootstrap(rate(y, np.ones(len(y))), factors, n_boot=400).estimate
    assert inner.se > outer.se
    assert np.concatenate(seen[1:]).sum(axis=1) == pytest.approx(np.full(400, float(len(y))))


def test_undefined_replicates_are_counted_and_undefined_values_have_no_interval() -> None:
    trials = np.zeros(10)
    trials[0] = 4
    found = hierarchical_bootstrap(rate(np.zeros(10), trials), {"question": np.arange(10)}).estimate
    assert "unstable" in str(found.reason)
    empty = hierarchical_bootstrap(rate(np.zeros(10), np.zeros(10)), {"question": np.arange(10)}).estimate
    assert not empty.defined
    assert empty.reason


@pytest.mark.parametrize(
    "call",
    [
        lambda v: hierarchical_bootstrap(v, {}),
        lambda v: hierarchical_bootstrap(v, {"q": []}),
        lambda v: hierarchical_bootstrap(v, {"q": [1, 2], "r": [1]}),
        lambda v: hierarchical_bootstrap(v, {"q": [1, None]}),
        lambda v: hierarchical_bootstrap(v, {"q": [1, 2]}, groups={"r": [1, 1]}),
        lambda v: hierarchical_bootstrap(v, {"q": [1, 1]}, groups={"q": ["a", "b"]}),
        lambda v: hierarchical_bootstrap(v, {"q": [1, 2]}, n_boot=1),
        lambda v: hierarchical_bootstrap(v, {"q": [1, 2]}, level=1.0),
        lambda v: hierarchical_bootstrap(lambda w: 1.0, {"q": [1, 2]}),  # type: ignore[arg-type,return-value]
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call(rate([1, 1], [2, 2]))
