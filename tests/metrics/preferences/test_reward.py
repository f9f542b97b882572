"""Gaps of a reward to groups: unbiased, with honest intervals, and NaN with a reason where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.knownworld.planted_preferences import planted_preferences
from trueline.metrics.preferences import make_votes, reward_representativeness
from trueline.metrics.preferences.reward import NARROW
from trueline.stats import CI

NONE, QUICK = CI("none"), CI(n_boot=200)


def test_by_hand() -> None:
    gaps = reward_representativeness([0.5], [[3, 0]], [[4, 2]], ci=NONE)
    np.testing.assert_allclose(gaps.gap2, [0.25**2 - 0.75 * 0.25 / 3, 0.25])
    assert gaps.worst.value == pytest.approx(0.5)
    assert gaps.single.tolist() == pytest.approx([0.375])


def test_unbiased_over_all_outcomes() -> None:
    """The mean over every possible outcome of the votes is the squared gap itself."""
    q, rates, n = 0.3, (0.8, 0.35), 3
    chances = [[math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)] for p in rates]
    total = np.zeros(5)
    for k, a in enumerate(chances[0]):
        for j, b in enumerate(chances[1]):
            g = reward_representativeness([q], [[k, j]], [[n, n]], [0.25, 0.75], ci=NONE)
            spread = 0.25 * _square(k, n) + 0.75 * _square(j, n) - _mean_square(k, j, n)
            population = q**2 - 2 * q * (0.25 * k / n + 0.75 * j / n) + _mean_square(k, j, n)
            total += a * b * np.array([*g.gap2, 0.25 * g.gap2[0] + 0.75 * g.gap2[1], population, spread])
            assert g.population.value**2 == pytest.approx(max(0, population))
            assert g.floor_weighted.value**2 == pytest.approx(max(0, spread))
    mean = 0.25 * rates[0] + 0.75 * rates[1]
    variance = 0.25 * rates[0] ** 2 + 0.75 * rates[1] ** 2 - mean**2
    np.testing.assert_allclose(total[:2], [(q - p) ** 2 for p in rates])
    np.testing.assert_allclose(total[2:], [(q - mean) ** 2 + variance, (q - mean) ** 2, variance])


def _square(k: int, n: int) -> float:
    return k * (k - 1) / (n * (n - 1))


def _mean_square(k: int, j: int, n: int) -> float:
    return 0.25**2 * _square(k, n) + 0.75**2 * _square(j, n) + 2 * 0.25 * 0.75 * k * j / n**2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_weighted_is_population_plus_floor_and_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = planted_preferences(25, (0.7, 1.5), seed)
    yes, total = world.counts(4, rng)
    q, t = rng.random(25), rng.random(3) + 0.1
    gaps = reward_representativeness(q, yes, total, t, ci=NONE)
    weighted2 = float(gaps.target @ gaps.gap2)
    order = rng.permutation(3)
    again = reward_representativeness(q, yes[:, order], total[:, order], t[order], ci=NONE)
    np.testing.assert_allclose(again.gap2, gaps.gap2[order])
    assert again.floor_worst.value == pytest.approx(gaps.floor_worst.value, abs=1e-6)
    flipped = reward_representativeness(1 - q, total - yes, total, t, ci=NONE)
    np.testing.assert_allclose(flipped.gap2, gaps.gap2, atol=1e-12)
    if gaps.population.value > 0 and gaps.floor_weighted.value > 0:
        assert weighted2 == pytest.approx(gaps.population.value**2 + gaps.floor_weighted.value**2)


def test_a_model_near_the_average_person_and_wrong_for_everyone() -> None:
    yes, total = np.tile([[20, 0]], (40, 1)), np.full((40, 2), 20)
    gaps = reward_representativeness(np.full(40, 0.5), yes, total, ci=QUICK)
    assert gaps.population.value == 0
    assert gaps.worst.value == pytest.approx(0.5)
    assert gaps.floor_worst.value == pytest.approx(0.5)


def test_missing_votes_missing_probabilities_and_groups_without_items() -> None:
    yes = [[2, 1, 0], [3, 0, 0], [1, 1, 0], [2, 2, 0]]
    total = [[4, 2, 0], [4, 1, 0], [3, 3, 0], [3, 2, 0]]
    gaps = reward_representativeness([0.4, 0.9, math.nan, 0.2], yes, total, [0.5, 0.3, 0.2], groups=["a", "b", "c"], ci=QUICK)
    assert gaps.n_items.tolist() == [3, 2, 0]
    assert gaps.n_single.tolist() == [0, 1, 0]
    assert not gaps.epsilon[2].defined
    assert gaps.epsilon[2].reason == "no item has two votes of this group"
    assert gaps.epsilon[0].n_missing == 1
    assert "nothing is known about c, 20.0% of the target" in (gaps.weighted.reason or "")
    assert gaps.weighted.value == pytest.approx(math.sqrt(max(0, (0.5 * gaps.gap2[0] + 0.3 * gaps.gap2[1]) / 0.8)))
    assert gaps.epsilon[0].reason == NARROW
    assert any("fewer than 30 items" in w for w in gaps.warnings)


def test_no_item_that_every_group_judged() -> None:
    gaps = reward_representativeness([0.5, 0.5], [[2, 0], [0, 3]], [[3, 0], [0, 3]], ci=QUICK)
    for estimate in (gaps.population, gaps.floor_weighted, gaps.floor_worst):
        assert not estimate.defined
        assert estimate.reason == "no item has two votes of every group of the target"
    assert gaps.weighted.defined


def test_annotators_who_judge_many_items_widen_the_interval() -> None:
    votes = planted_preferences(60, (1.0,), 1).panel(8, np.random.default_rng(1), spread=1.0)
    q = planted_preferences(60, (1.0,), 1).rates[:, 0]
    known = reward_representativeness(q, votes, ci=QUICK)
    blind = reward_representativeness(q, *votes.counts(), ci=QUICK)
    assert known.worst.high - known.worst.low > 1.3 * (blind.worst.high - blind.worst.low)
    np.testing.assert_allclose(known.gap2, blind.gap2)
    assert known.worst.reason is None
    again = reward_representativeness(q, votes, ci=QUICK)
    assert (again.worst, again.epsilon) == (known.worst, known.epsilon)


def test_clusters_widen_the_interval() -> None:
    world = planted_preferences(20, (1.0,), 2)
    yes, total = world.counts(6, np.random.default_rng(2))
    q = np.repeat(world.rates[:, 0], 5)
    yes, total = np.repeat(yes, 5, axis=0), np.repeat(total, 5, axis=0)
    alone = reward_representativeness(q, yes, total, ci=QUICK)
    together = reward_representativeness(q, yes, total, clusters=np.repeat(np.arange(20), 5), ci=QUICK)
    assert together.epsilon[1].high - together.epsilon[1].low > 1.5 * (alone.epsilon[1].high - alone.epsilon[1].low)


def test_shrinkage_pulls_the_uncertain_more() -> None:
    world = planted_preferences(200, (0.5, 1.0, 1.4), 3)
    yes, total = world.counts(5, np.random.default_rng(3))
    total[8:, 3] = 0
    yes[8:, 3] = 0
    gaps = reward_representativeness(world.rates[:, 0], yes, total, ci=QUICK)
    moved = np.abs(gaps.shrunk - gaps.gap2)
    assert moved[3] > 3 * moved[:3].max()
    spread = np.ptp(gaps.gap2[:3])
    assert gaps.gap2[:3].min() - spread <= gaps.shrunk[3] <= max(gaps.gap2) + spread


def test_votes_and_counts_agree_and_weights_of_one_change_nothing() -> None:
    votes = make_votes(["x", "x", "y", "x"], ["g", "g", "h", "h"], [1, 0, 1, 1], ["p", "q", "r", "s"], groups=["h", "g", "none"])
    yes, total = votes.counts()
    assert yes.tolist() == [[1, 1, 0], [1, 0, 0]]
    assert total.tolist() == [[1, 2, 0], [1, 0, 0]]
    assert not votes.crossed
    p, square = votes.rates(np.ones(4))
    assert p[0, 1] == 0.5
    assert square[0, 1] == 0
    assert np.isnan(square[0, 0])
    assert np.isnan(p[0, 2])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0.5], [[3]], [[2]]), "item 0, group 0"),
        (([0.5], [[0.5]], [[2]]), "whole numbers"),
        (([0.5], [[1]], [[math.nan]]), "item 0"),
        (([0.5, 0.5], [[1]], [[2]]), "model_prob"),
        (([1.5], [[1]], [[2]]), "sigmoid"),
        (([0.5], [[1]], [[1]]), "two votes"),
        (([math.nan], [[1]], [[3]]), "two votes"),
        (([0.5], [[1]], [[2]], [0.0]), "target"),
        (([0.5], [[1, 2]], [[2, 2]], [-1, 2]), "target"),
        (([], np.empty((0, 2)), np.empty((0, 2))), "non-empty"),
        (([0.5], [[1]]), "total"),
    ],
)
def test_refusals(arguments, match) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=match):
        reward_representativeness(*arguments)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"item": ["a"], "group": ["g"], "choice": [0.5]}, "expected 1"),
        ({"item": ["a"], "group": ["g"], "choice": [math.nan]}, "expected 1"),
        ({"item": ["a", "b"], "group": ["g"], "choice": [1]}, "one of each a vote"),
        ({"item": [], "group": [], "choice": []}, "one vote at least"),
        ({"item": ["a"], "group": ["g"], "choice": [1], "groups": ["h"]}, "'g'"),
        ({"item": ["a"], "group": ["g"], "choice": [1], "annotator": ["x", "y"]}, "annotators"),
    ],
)
def test_votes_refuse(arguments, match) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=match):
        make_votes(**arguments)
