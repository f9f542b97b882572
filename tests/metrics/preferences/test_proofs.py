"""Simulations behind docs/proofs/rlhf-trilemma.md: debiased gaps, coverage, minority raters, planted flips, the known world.

Run with ``pytest tests/metrics/preferences/test_proofs.py -m "slow or not slow" -s``; every figure of the proof page is printed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.knownworld import load_model, load_task, oracle
from trueline.knownworld.planted_preferences import PlantedPreferences, planted_preferences
from trueline.metrics.preferences import flip_robustness, preference_collapse, reward_probabilities, reward_representativeness
from trueline.models import Prompt
from trueline.stats import CI
from trueline.stats.logistic import fit_logistic, sigmoid

NOISE = (0.5, 1.0, 1.4)


def inside(estimate: Any, truth: float) -> bool:
    return bool(estimate.low <= truth <= estimate.high)


@pytest.mark.slow
def test_gaps_are_unbiased_and_their_intervals_cover() -> None:
    """4 groups, 300 items, 5 raters each; the model is group 0 exactly. Truth: 400,000 items of the same law."""
    population = planted_preferences(400_000, NOISE, seed=99)
    own = population.rates[:, 0]
    truth = np.sqrt(population.gap2(own))
    gap2, plugin, hits = [], [], []
    for seed in range(200):
        world = planted_preferences(300, NOISE, seed)
        votes = world.counts(5, np.random.default_rng([1, seed]))
        found = reward_representativeness(world.rates[:, 0], *votes, ci=CI(n_boot=300, seed=seed))
        gap2.append(found.gap2)
        plugin.append(found.plugin[0])
        hits.append(
            [
                *(inside(e, t) for e, t in zip(found.epsilon, truth, strict=True)),
                inside(found.worst, truth.max()),
                inside(found.population, float(np.sqrt(((own - population.rates.mean(axis=1)) ** 2).mean()))),
                inside(found.floor_weighted, population.floor2(np.ones(4)) ** 0.5),
                inside(found.floor_worst, population.floor2() ** 0.5),
            ]
        )
    gap2, coverage = np.array(gap2), np.mean(hits, axis=0)
    print("\ntrue gaps", truth.round(4), "mean squared gap of group 0", gap2[:, 0].mean(), "sd", gap2[:, 0].std())
    print("plug-in gap of group 0", np.mean(plugin), "least", np.min(plugin), "mean gap of group 3", np.sqrt(gap2[:, 3]).mean())
    print("coverage: groups, worst, population, floor weighted, floor worst", coverage)
    assert abs(gap2[:, 0].mean()) < 0.001
    assert np.mean(np.abs(gap2[:, 0]) < 0.012) > 0.98
    assert min(plugin) > 0.12
    assert abs(np.sqrt(gap2[:, 3]).mean() - truth[3]) < 0.005
    assert (np.abs(np.sqrt(gap2[:, 3]) - truth[3]) < 0.04).mean() > 0.95
    assert ((coverage[1:4] > 0.92) & (coverage[1:4] < 0.98)).all()
    assert coverage[0] > 0.92  # the truth is the end of the range
    assert (coverage[4:] > 0.92).all()


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "share", "raters"), [(1.0, 1.0, 10), (0.5, 0.3, 20)])
def test_intervals_count_annotators_too(spread: float, share: float, raters: int) -> None:
    """Two groups, 150 items; annotators have an opinion of their own on all items alike. Without their names the interval misses."""
    nodes, mass = np.polynomial.hermite_e.hermegauss(21)
    population = planted_preferences(100_000, (1.0,), seed=99)
    odds = np.log(population.rates) - np.log1p(-population.rates)
    met = PlantedPreferences(sum(m * sigmoid(odds + spread * x) for m, x in zip(mass / mass.sum(), nodes, strict=True)))
    truth = np.sqrt(met.gap2(population.rates[:, 0]))
    named, blind = [], []
    for seed in range(100):
        world = planted_preferences(150, (1.0,), seed)
        votes = world.panel(raters, np.random.default_rng([2, seed]), spread=spread, share=share)
        ci = CI(n_boot=100, seed=seed)
        for hits, given in ((named, (votes,)), (blind, votes.counts())):
            found = reward_representativeness(world.rates[:, 0], *given, ci=ci)
            hits.append([*(inside(e, t) for e, t in zip(found.epsilon, truth, strict=True)), inside(found.worst, truth.max())])
    print("\nspread", spread, "coverage with annotators", np.mean(named, axis=0), "without", np.mean(blind, axis=0))
    assert (np.mean(named, axis=0) > 0.9).all()
    if spread == 1.0:
        assert np.mean(blind, axis=0)[:2].max() < 0.9


def trained(seed: int, weights: tuple[float, float]) -> tuple[np.ndarray, PlantedPreferences]:
    """A logistic reward of 3,000 labels, nine in ten from group 0; its probabilities and the true rates on 2,000 other pairs."""
    rng = np.random.default_rng([3, seed])
    tastes = rng.normal(size=(6, 2))
    x, who = rng.normal(size=(3000, 6)), (rng.random(3000) < 0.1).astype(int)
    y = (rng.random(3000) < sigmoid((x * tastes[:, who].T).sum(axis=1))).astype(float)
    fit = fit_logistic(x, y, np.array(weights)[who])
    tested = rng.normal(size=(2000, 6))
    return sigmoid(tested @ fit.coefficients), PlantedPreferences(sigmoid(tested @ tastes))


def test_a_reward_of_the_majority_and_what_weights_mend() -> None:
    rows, ratios, off = [], [], []
    for seed in range(20):
        q, world = trained(seed, (1.0, 1.0))
        even, _ = trained(seed, (0.5 / 0.9, 0.5 / 0.1))
        votes = world.counts(8, np.random.default_rng(seed))
        plain, mended = (reward_representativeness(p, *votes, ci=CI("none")) for p in (q, even))
        eps, after = (np.sqrt(world.gap2(p)) for p in (q, even))
        ratios.append(eps[1] / eps[0])
        rows.append([*eps, *after, world.floor2() ** 0.5, mended.worst.value])
        off.append([*(plain.gap2 - eps**2), *(mended.gap2 - after**2), plain.floor_worst.value**2 - world.floor2()])
        assert plain.worst.value >= plain.floor_worst.value
        assert mended.worst.value < plain.worst.value
    mean = np.mean(rows, axis=0)
    print("\nsquared gaps and floor, estimate less truth: mean", np.mean(off, axis=0).round(5), "largest", np.abs(off).max(axis=0).round(4))
    assert (np.abs(np.mean(off, axis=0)) < 0.002).all()
    less = 1 - abs(mean[3] - mean[2]) / (mean[1] - mean[0])
    print("\nmajority, minority, weighted majority, weighted minority, floor, weighted worst", mean.round(3))
    print("least ratio", min(ratios), "difference less by", less)
    assert min(ratios) > 2
    assert less >= 0.3
    assert mean[4] <= mean[5] < 1.2 * mean[4]


def test_planted_flips_are_found_and_the_bound_holds() -> None:
    found, covers, false = 0, 0, 0
    for seed in range(500):
        rng = np.random.default_rng([4, seed])
        flip = np.zeros((500, 4))
        flip[:, 1] = rng.random(500) < 0.1
        result = flip_robustness(flip)
        found += result.families[1].p_holm < 0.01
        covers += result.upper_any >= 0.1
        null = flip_robustness(rng.random((500, 4)) < 0.02)
        false += min(f.p_holm for f in null.families) < 0.05
    print("\nfound", found, "of 500; bound covers", covers / 500, "any family called at the tolerated rate", false / 500)
    assert found == 500
    assert covers >= 470
    assert false <= 40


@pytest.mark.slow
def test_a_single_reward_on_the_known_world() -> None:
    """Two answers to each ambiguous question; one group follows how often each is seen, the other likes the rarer one as much.

    The reward is the log-prob that the shipped model gives an answer, put on the scale of votes; the floor is known exactly.
    """
    rates, margins = [], []
    model = load_model("base")
    items = [item for item in load_task("ambiguous").items if item.id.endswith("/0") and len(oracle.distribution(item)) > 1]
    for item in items:
        first, second = sorted(oracle.distribution(item).items(), key=lambda pair: pair[0])[:2]
        rates.append(first[1] / (first[1] + second[1]))
        prompt = Prompt(text=item.metadata["carriers"][0].rstrip())
        (scores,) = model.score([prompt], [[f" {first[0]}", f" {second[0]}"]])
        margins.append(scores.logprobs[0] - scores.logprobs[1])
    world = PlantedPreferences(np.column_stack([rates, 1 - np.array(rates)]))
    exact = world.floor2() ** 0.5
    assert exact == pytest.approx(np.sqrt(((np.array(rates) - 0.5) ** 2).mean()))
    votes = world.counts(20, np.random.default_rng(5))
    majority = (votes[0][:, :1], votes[1][:, :1])
    q, temperature = reward_probabilities(margins, *majority)
    found = reward_representativeness(q, *votes, ci=CI(n_boot=500))
    lost = preference_collapse(q, *votes).lost
    print(f"\n{len(items)} items, floor {exact:.4f}: {found.floor_worst}; weighted {found.floor_weighted}; T {temperature:.2f}")
    print("gaps", *found.epsilon, "worst", found.worst, "population", found.population, "lost", *lost)
    assert inside(found.floor_worst, exact)
    assert inside(found.epsilon[0], world.gap2(q)[0] ** 0.5)
    assert inside(found.epsilon[1], world.gap2(q)[1] ** 0.5)
    assert found.worst.low > found.floor_worst.high
    assert lost[1].value > 0.5 > lost[0].value
