"""Planted raters vote at their rates, and gaps and floors are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.knownworld.planted_preferences import PlantedPreferences, planted_preferences


def test_votes_follow_the_rates() -> None:
    world = planted_preferences(5, (1.0,), 0)
    yes, total = world.counts(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(yes / total, world.rates, atol=0.02)
    votes = world.panel(4000, np.random.default_rng(0), share=0.5)
    yes, total = votes.counts()
    np.testing.assert_allclose(yes / total, world.rates, atol=0.05)
    np.testing.assert_allclose(total / 4000, 0.5, atol=0.05)
    assert votes.crossed


def test_what_is_an_annotators_own_shows_on_all_their_items() -> None:
    votes = PlantedPreferences(np.full((200, 1), 0.5)).panel(50, np.random.default_rng(0), spread=2.0)
    assert votes.annotator is not None
    own = np.bincount(votes.annotator, weights=votes.choice) / 200
    assert own.std() > 0.2


def test_gap_and_floor_by_hand() -> None:
    world = PlantedPreferences(np.array([[0.2, 0.6], [0.9, 0.9]]))
    np.testing.assert_allclose(world.gap2(np.array([0.4, 0.9])), [0.02, 0.02])
    assert world.floor2() == pytest.approx(0.02)
    assert world.floor2(np.array([3.0, 1.0])) == pytest.approx(0.75 * 0.25 * 0.16 / 2)


def test_the_seed_is_the_world() -> None:
    np.testing.assert_array_equal(planted_preferences(9, (0.5, 1.0), 4).rates, planted_preferences(9, (0.5, 1.0), 4).rates)
    assert planted_preferences(9, (0.5, 1.0), 4).rates.shape == (9, 3)
    with pytest.raises(InputError, match="n_items"):
        planted_preferences(0, ())
