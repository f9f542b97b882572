"""Plackett-Luce: the likelihood against sums over orders, the sampler against exact posteriors."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics.annotators import PartialRankings, PlackettLuce, plackett_luce, plackett_luce_loglik
from trueline.metrics.annotators.plackett_luce import PlackettLucePosterior, split_r_hat


def by_orders(lam: np.ndarray, reader: list[list[int]]) -> float:
    """Sum of the probabilities of every full order of the named classes that the reader allows."""
    total = 0.0
    for orders in product(*(permutations(group) for group in reader)):
        chance, left = 1.0, lam.sum()
        for c in (c for order in orders for c in order):
            chance *= lam[c] / left
            left -= lam[c]
        total += chance
    return total


@pytest.mark.parametrize("reader", [[[0, 1, 2]], [[3], [0, 4]], [[0], [1], [2], [3], [4]], [[4, 2, 0, 1], [3]], [[0, 1, 2, 3, 4]], [[2]]])
def test_likelihood_sums_over_the_orders_of_ties(reader: list[list[int]]) -> None:
    lam = np.array([0.3, 1.7, 0.05, 2.2, 0.9])
    r = PartialRankings.from_lists([[reader, [[1], [0, 3]]], []], 5)
    found = plackett_luce_loglik(r, np.log([lam, lam]))
    assert found == pytest.approx([np.log(by_orders(lam, reader) * by_orders(lam, [[1], [0, 3]])), 0.0], abs=1e-12)
    np.testing.assert_allclose(plackett_luce_loglik(r, np.log([lam, lam]) + 700), found, atol=1e-12)


def test_likelihood_of_all_rankings_sums_to_one() -> None:
    log_lam = np.array([0.3, -2.0, 1.1, 0.0])
    lists = [[[[c] for c in order]] for order in permutations(range(4))]
    loglik = plackett_luce_loglik(PartialRankings.from_lists(lists, 4), np.tile(log_lam, (len(lists), 1)))
    assert np.exp(loglik).sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("rate", [0.1, 1.0, 20.0])
def test_one_vote_is_a_dirichlet_update(rate: float) -> None:
    """Naming only the first place multiplies the prior by lambda_c: the posterior is Dirichlet(2, 1, 1), whatever the rate."""
    (found,) = PlackettLuce(rate=rate).sample(PartialRankings.from_lists([[[[0]]]], 2), seed=3)
    assert found.samples.shape == (20_000, 2)
    np.testing.assert_allclose(found.samples.mean(axis=0), [2 / 3, 1 / 3], atol=0.01)
    assert found.samples[:, 0].var() == pytest.approx(2 / 9 / 4, abs=0.004)
    assert found.r_hat <= 1.02


def test_others_share_their_mass_and_seeds_repeat() -> None:
    r = PartialRankings.from_lists([[[[3, 1]]], [[[2]], [[2], [0]]]], 6)
    settings = PlackettLuce(reader_repetitions=2, draws=50, burn_in=20, chains=10)
    first, second = settings.sample(r, seed=5)
    assert first.classes.tolist() == [1, 3]
    assert second.classes.tolist() == [0, 2]
    full = first.plausibilities()
    np.testing.assert_allclose(first.mean(), full.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(full.sum(axis=1), 1)
    np.testing.assert_array_equal(full[:, 0], full[:, 5])
    assert first.certainty().sum() == pytest.approx(1)
    assert second.certainty()[2] > 0.5
    assert settings.sample(r, seed=5)[1].samples.tobytes() == second.samples.tobytes()


def test_the_top_class_may_be_one_that_nobody_named() -> None:
    """In the first draw class 2 leads; in the second each of the two unnamed classes has 0.3."""
    found = PlackettLucePosterior(np.array([0, 2]), np.array([[0.2, 0.5, 0.3], [0.15, 0.25, 0.6]]), 4, 1.0)
    np.testing.assert_allclose(found.certainty(), [0, 0.25, 0.5, 0.25])
    np.testing.assert_allclose(found.mean(), [0.175, 0.225, 0.375, 0.225])


def test_small_batches_give_the_same_law_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    r = PartialRankings.from_lists([[[[0]]], [[[3, 1]], [[1]]], [[[2], [0]]] * 4, [[[4]]]], 5)
    whole = PlackettLuce().sample(r, seed=0)
    monkeypatch.setattr(plackett_luce, "_LARGEST_BATCH", 70_000)
    parts = list(PlackettLuce().iterate(r, seed=0))
    assert [p.classes.tolist() for p in parts] == [[0], [1, 3], [0, 2], [4]]
    assert parts[1].samples.tobytes() != whole[1].samples.tobytes()
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a.mean(), b.mean(), atol=0.012)
    assert list(PlackettLuce().iterate(PartialRankings.from_lists([], 3), seed=0)) == []


def test_r_hat_sees_chains_apart() -> None:
    draws = np.random.default_rng(0).normal(size=(200, 8, 2))
    assert split_r_hat(draws) < 1.02
    draws[:, 0, 1] += 3
    assert split_r_hat(draws) > 1.2


def test_bad_input_is_refused() -> None:
    r = PartialRankings.from_lists([[], [[[0]]]], 2)
    with pytest.raises(InputError, match="case 0 has no readers"):
        PlackettLuce().sample(r, seed=0)
    with pytest.raises(InputError, match="log_plausibilities"):
        plackett_luce_loglik(r, [[0.0, np.nan], [0.0, 0.0]])
    with pytest.raises(InputError, match="ties 17 classes"):
        plackett_luce_loglik(PartialRankings.from_lists([[[list(range(17))]]], 17), np.zeros((1, 17)))
    with pytest.raises(InputError, match="ties 17 classes"):
        PlackettLuce(draws=4, chains=1).sample(PartialRankings.from_lists([[[list(range(17))]]], 18), seed=0)
    with pytest.raises(InputError, match="positive"):
        PlackettLuce(chains=0)
