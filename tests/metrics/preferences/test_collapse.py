"""Exaggerated majorities, overruled groups, and the scale of a reward."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.knownworld.planted_preferences import planted_preferences
from trueline.metrics.preferences import preference_collapse, reward_probabilities
from trueline.stats.logistic import logit, sigmoid


def one_group(n_items: int, n_raters: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    world = planted_preferences(n_items, (), seed)
    return world.rates[:, 0], *world.counts(n_raters, np.random.default_rng(seed))


@pytest.mark.parametrize("sharper", [0.5, 1.0, 3.0])
def test_exaggeration_is_found_from_few_votes(sharper: float) -> None:
    rates, yes, total = one_group(4000, 2)
    found = preference_collapse(sigmoid(sharper * logit(rates)), yes, total)
    assert found.exaggeration.low <= sharper <= found.exaggeration.high
    assert found.exaggeration.high / found.exaggeration.low < 1.2


def test_entropies_of_model_and_people() -> None:
    rates, yes, total = one_group(4000, 8)
    true = -(rates * np.log(rates) + (1 - rates) * np.log(1 - rates)).mean()
    found = preference_collapse(sigmoid(3 * logit(rates)), yes, total)
    assert found.entropy_people == pytest.approx(true, abs=0.015)
    assert found.entropy_model < true - 0.1
    assert preference_collapse(rates, yes, total).entropy_model == pytest.approx(true)


def test_interval_of_exaggeration_covers() -> None:
    inside = 0
    for seed in range(200):
        rates, yes, total = one_group(100, 5, seed)
        e = preference_collapse(sigmoid(2 * logit(rates)), yes, total).exaggeration
        inside += e.low <= 2 <= e.high
    assert 180 <= inside <= 199


def test_clear_majorities_that_are_overruled() -> None:
    yes, total = [[9, 1], [1, 9], [5, 5], [9, 10]], [[10, 10]] * 4
    lost = preference_collapse([0.9, 0.8, 0.9, 0.2], yes, total).lost
    assert [(e.value, e.n) for e in lost] == [(2 / 3, 3), (2 / 3, 3)]
    nobody = preference_collapse([0.9], [[1]], [[2]]).lost[0]
    assert not nobody.defined
    assert nobody.reason


def test_a_temperature_puts_rewards_on_the_scale_of_people() -> None:
    rates, yes, total = one_group(3000, 4)
    margin = 25 * logit(rates)
    margin[0] = math.nan
    probs, temperature = reward_probabilities(margin, yes, total)
    assert temperature == pytest.approx(25, rel=0.05)
    assert math.isnan(probs[0])
    np.testing.assert_allclose(probs[1:], rates[1:], atol=0.02)


def test_refusals_and_undefined() -> None:
    with pytest.raises(InputError, match="no temperature"):
        reward_probabilities([1.0, -1.0], [[0], [4]], [[4], [4]])
    with pytest.raises(InputError, match="margin"):
        reward_probabilities([1.0], [[0], [4]], [[4], [4]])
    with pytest.raises(InputError, match="level"):
        preference_collapse([0.5], [[1]], [[2]], level=1.0)
    against = preference_collapse([0.9, 0.1], [[0], [4]], [[4], [4]]).exaggeration
    assert not against.defined
    assert against.reason
    empty = preference_collapse([math.nan], [[1]], [[2]])
    assert math.isnan(empty.entropy_people)
    assert empty.exaggeration.n_missing == 1
