"""What the proof page states: on real annotations, and on simulated ones whose truth is known. Run with -s to see the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trueline.metrics.annotators import (
    DirichletIRN,
    MonteCarloConformal,
    PartialRankings,
    aggregated_coverage,
    annotation_certainty,
    dirichlet_argmax,
    irn,
    leave_one_reader_out_agreement,
    standard_topk_accuracy,
    ua_topk_accuracy,
)

DATA = Path(__file__).parents[2] / "golden" / "data" / "uncertain-ground-truth" / "annotations.jsonl"


@pytest.fixture(scope="module")
def real() -> PartialRankings:
    return PartialRankings.from_jsonl(DATA, 419)


def test_real_certainty_rises_with_reliability_and_follows_agreement(real: PartialRankings) -> None:
    agreement = leave_one_reader_out_agreement(real)
    several = ~np.isnan(agreement)
    plausibilities = irn(real).round(12)
    tied = ((plausibilities == plausibilities.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum()
    print(f"\nagreement {agreement[several].mean():.3f} on {several.sum()} cases; {tied} cases with a tied top class")
    found = {}
    for reliability in (1, 3, 5, 10, 20, 30, 50):
        certainty = annotation_certainty(DirichletIRN(reliability).certainty(real))
        found[reliability] = certainty.mean(), (certainty < 0.99).mean(), np.corrcoef(certainty[several], agreement[several])[0, 1]
        print(reliability, *(f"{value:.3f}" for value in found[reliability]))
    expected = {1: (0.170, 1.0), 3: (0.463, 1.0), 10: (0.750, 0.835), 50: (0.876, 0.505)}
    for reliability, (mean, below) in expected.items():
        assert found[reliability][:2] == pytest.approx((mean, below), abs=5e-4)
    assert found[3][2] > 0.75
    assert found[10][2] > 0.85
    assert 0.68 < agreement[several].mean() < 0.73


@pytest.mark.parametrize("votes", [1, 3, 5, 10])
def test_certainty_is_calibrated_where_the_truth_is_known(votes: int) -> None:
    """Five classes, lambda ~ Dirichlet(0.5), `votes` votes an item, posterior Dirichlet(0.5 + counts), 20,000 items."""
    rng = np.random.default_rng(votes)
    truth = rng.dirichlet(np.full(5, 0.5), 20_000)
    counts = rng.multinomial(votes, truth)
    chances = dirichlet_argmax(0.5 + counts)
    pick = chances.argmax(axis=1)
    right = (pick == truth.argmax(axis=1)).mean()
    print(f"\nR={votes}: certainty {chances.max(axis=1).mean():.3f}, right {right:.3f}")
    assert abs(chances.max(axis=1).mean() - right) <= 0.015

    model = (truth * np.exp(rng.normal(0, 1.0, truth.shape))).argmax(axis=1)
    rows = np.arange(len(truth))
    fresh, share = truth[rows, model].mean(), irn(PartialRankings.from_votes(counts))[rows, model].mean()
    print(f"agreement of a model with a fresh annotator {fresh:.3f}, vote share {share:.3f}")
    assert abs(fresh - share) <= 0.015


def test_adjusted_accuracy_is_not_the_true_accuracy() -> None:
    """A good model: voting under-states it, and the posterior that knows only the votes under-states it more."""
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.full(5, 0.5), 20_000)
    scores = truth * np.exp(rng.normal(0, 0.7, truth.shape))
    true_accuracy = (scores.argmax(axis=1) == truth.argmax(axis=1)).mean()
    for votes in (3, 10):
        counts = rng.multinomial(votes, truth)
        voted = standard_topk_accuracy(scores, irn(PartialRankings.from_votes(counts)), ci=None).estimate.value
        adjusted = ua_topk_accuracy(scores, dirichlet_argmax(0.5 + counts), ci=None).estimate.value
        print(f"\nR={votes}: truth {true_accuracy:.3f}, voted {voted:.3f}, adjusted {adjusted:.3f}")
        assert adjusted < voted < true_accuracy


@pytest.mark.parametrize("votes", [1, 3, 5, 10])
def test_drawn_labels_cover_the_true_plausibilities(votes: int) -> None:
    """200 data sets of 150 + 150 items: coverage of the true lambda at least 0.88 in mean."""
    rng = np.random.default_rng(votes)
    settings, found = MonteCarloConformal(0.1), []
    for _ in range(200):
        truth = rng.dirichlet(np.full(5, 0.5), 300)
        scores = truth * np.exp(rng.normal(0, 0.7, truth.shape))
        law = irn(PartialRankings.from_votes(rng.multinomial(votes, truth[:150])))
        sets = settings.fit(scores[:150], law, rng).sets(scores[150:])
        found.append(aggregated_coverage(sets, truth[150:]).mean())
    print(f"\nR={votes}: coverage {np.mean(found):.3f}")
    assert 0.88 <= np.mean(found) <= 0.93
