"""The batched chains against the definition: orders summed one by one, importance sampling from the prior, one case at a time."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from trueline.metrics.annotators import PartialRankings, PlackettLuce
from trueline.metrics.annotators.plackett_luce_gibbs import _pair_arrivals, _tied_arrivals, _tied_order, terms

#: Readers alone and in company, ties first and last, nothing left unranked, one class for all, a reader who says nothing.
CASES = [
    [[[0]]],
    [[[0, 1]], [[1], [0]]],
    [[[0], [1, 2]], [[2, 1], [0]], [[2]]],
    [[[0, 1, 2], [3]], [[3]], [[3], [1]]],
    [[[0], [1], [2], [3]], [[0, 1, 2, 3]], [[3, 1], [0, 2]]],
    [[[0]]] * 6 + [[[1], [0]]] * 2,
    [[[2, 0, 1, 3]], [[1]]],
    [[[1]], [[1]], [[1]]],
    [[[3, 2, 1, 0]]],
]


def likelihood(lam: Any, reader: list[list[int]]) -> Any:
    """Probability of a partial ranking at each row of lam (m, K): all orders of each tie, all unplaced classes in every denominator."""
    total, left = np.ones(len(lam)), list(range(lam.shape[1]))
    for group in reader:
        ways = np.zeros(len(lam))
        for order in permutations(group):
            chance, rest = np.ones(len(lam)), list(left)
            for c in order:
                chance = chance * lam[:, c] / lam[:, rest].sum(axis=1)
                rest.remove(c)
            ways += chance
        total, left = total * ways, [c for c in left if c not in group]
    return total


def definition(case: list[list[list[int]]], num_classes: int, copies: int, shape: float, rng: np.random.Generator) -> Any:
    """Posterior mean, P(top) over the named classes and the rest, and the effective number of draws, by importance sampling."""
    named = sorted({c for reader in case for group in reader for c in group})
    lam = rng.dirichlet(np.full(len(named) + (len(named) < num_classes), shape), 200_000)
    weight = np.ones(len(lam))
    for reader in case:
        weight *= likelihood(lam, [[named.index(c) for c in group] for group in reader]) ** copies
    weight /= weight.sum()
    return weight @ lam, np.bincount(lam.argmax(axis=1), weight, minlength=lam.shape[1]), 1 / (weight**2).sum()


@pytest.mark.parametrize(("num_classes", "copies", "shape"), [(4, 2, 0.5), (7, 1, 1.0), (7, 2, 2.0)])
def test_a_batch_has_the_posterior_of_each_case_alone(num_classes: int, copies: int, shape: float) -> None:
    rng = np.random.default_rng(1)
    found = PlackettLuce(copies, shape, draws=1000, chains=30).sample(PartialRankings.from_lists(CASES, num_classes), seed=2)
    for case, posterior in zip(CASES, found, strict=True):
        mean, top, effective = definition(case, num_classes, copies, shape, rng)
        assert effective > 3000
        assert posterior.r_hat <= 1.02
        np.testing.assert_allclose(posterior.samples.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_allclose(posterior.samples.mean(axis=0), mean, atol=0.012)
        np.testing.assert_allclose(np.eye(len(top))[posterior.samples.argmax(axis=1)].mean(axis=0), top, atol=0.025)


def test_readers_who_placed_the_same_classes_share_a_term_and_a_whole_tie_says_nothing() -> None:
    batch = terms(PartialRankings.from_lists([*CASES[5:6], [[[0, 1], [2]], [[1], [2]], [[2]]], *CASES[8:]], 4))
    assert [c.tolist() for c in batch.classes] == [[0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert batch.case.tolist() == [0] * 3 + [1] * 4 + [2] * 4
    # all eight readers begin alike, two go on; then: two begin alike, one goes on after 1, one after {0, 1}
    assert sorted(zip(batch.alone.rows.sum(axis=1).tolist(), batch.times.tolist(), strict=True)) == [(2, 1), (2, 2), (3, 1), (3, 8), (4, 2)]
    assert batch.named.tolist() == [8, 2, 0, 1, 2, 3, 0, 0, 0, 0, 0]
    (pair,) = batch.tied
    assert pair.members.tolist() == [[3, 4]]
    np.testing.assert_array_equal(pair.after.rows.toarray().nonzero()[1], [5, 6])


def test_order_inside_a_tie_follows_its_probability() -> None:
    tied, after = np.array([0.5, 2.0, 1.0]), 0.7
    orders = list(permutations(range(3)))
    chance = np.array([likelihood(np.array([[*tied, after]]), [[c] for c in order])[0] for order in orders])
    drawn = _tied_order(np.tile(tied, (20_000, 1)), np.full(20_000, after), 2, np.random.default_rng(0)).reshape(-1, 3)
    share = [(drawn == order).all(axis=1).mean() for order in orders]
    np.testing.assert_allclose(share, chance / chance.sum(), atol=0.012)


@pytest.mark.parametrize("size", [2, 3])
def test_arrivals_of_a_tie_are_exponentials_that_beat_the_rest(size: int) -> None:
    """Against rejection: independent exponential times, kept where the whole group comes before the rest."""
    rng = np.random.default_rng(0)
    rates, after, n = np.array([0.5, 2.0, 1.0])[:size], 0.7, 40_000
    times = rng.standard_exponential((20 * n, size)) / rates
    kept = times[times.max(axis=1) < rng.standard_exponential(20 * n) / after]
    draw = _pair_arrivals if size == 2 else _tied_arrivals
    arrival, last = draw(np.tile(rates, (n, 1)), np.full(n, after), 1, rng)
    np.testing.assert_array_equal(last, arrival.max(axis=1))
    np.testing.assert_allclose(arrival.mean(axis=0), kept.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(np.cov(arrival.T), np.cov(kept.T), atol=0.03)
    both, _ = draw(np.tile(rates, (n, 1)), np.full(n, after), 3, rng)
    np.testing.assert_allclose(both.mean(axis=0), 3 * kept.mean(axis=0), atol=0.04)


@pytest.mark.parametrize("shape", [1e-3, 1e3])
def test_extreme_priors_stay_finite(shape: float) -> None:
    for posterior in PlackettLuce(shape=shape, draws=50, burn_in=5, chains=50).sample(PartialRankings.from_lists(CASES, 5), seed=0):
        np.testing.assert_allclose(posterior.samples.sum(axis=1), 1, atol=1e-9)
