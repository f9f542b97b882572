"""Uncertainty-adjusted metrics against their definition on draws, and with both kinds of uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics.annotators import (
    DirichletIRN,
    PartialRankings,
    aggregated_coverage,
    aggregated_topk,
    average_overlap,
    irn,
    standard_topk_accuracy,
    ua_average_overlap,
    ua_set_accuracy,
    ua_topk_accuracy,
)

RNG = np.random.default_rng(0)
RANKINGS = PartialRankings.from_votes(RNG.multinomial(4, [0.4, 0.3, 0.2, 0.1], 60))
PREDICTIONS = RNG.dirichlet(np.ones(4), 60)
SAMPLES = DirichletIRN(4.0, 0.1).sample(RANKINGS, 400, seed=2)


def test_exact_and_drawn_posterior_agree() -> None:
    exact = ua_topk_accuracy(PREDICTIONS, DirichletIRN(4.0, 0.1).certainty(RANKINGS), 2, ci=None)
    drawn = ua_topk_accuracy(PREDICTIONS, SAMPLES, 2, ci=None)
    assert exact.replicates is None
    assert np.isnan(exact.annotation_sd)
    assert drawn.estimate.value == pytest.approx(exact.estimate.value, abs=0.01)
    assert drawn.replicates is not None
    assert drawn.replicates.mean() == pytest.approx(drawn.estimate.value)
    assert 0.01 < drawn.annotation_sd < 0.1


def test_definitions_case_by_case() -> None:
    order = np.argsort(-PREDICTIONS, axis=1)
    for i in range(5):
        top = order[i, :2]
        values = [len({*top} & {*np.argsort(-s)[:2]}) > 0 for s in SAMPLES[i]]
        assert ua_set_accuracy(PREDICTIONS, SAMPLES, 2, 2, ci=None).items[i] == pytest.approx(np.mean(values))
        overlaps = [average_overlap(order[i : i + 1], np.argsort(-s)[None], [3])[0] for s in SAMPLES[i]]
        assert ua_average_overlap(PREDICTIONS, SAMPLES, 3, ci=None).items[i] == pytest.approx(np.mean(overlaps))
        assert aggregated_topk(PREDICTIONS, SAMPLES, 2, ci=None).items[i] == pytest.approx(SAMPLES[i][:, top].sum(axis=1).mean())


def test_ties_of_truth_share_the_credit() -> None:
    tied = np.array([[0.5, 0.5, 0.0]])
    assert standard_topk_accuracy([[0.1, 0.8, 0.1]], tied, ci=None).estimate.value == pytest.approx(0.5)
    assert standard_topk_accuracy([[0.1, 0.8, 0.1]], tied, ties="lowest", ci=None).estimate.value == 0
    assert standard_topk_accuracy([[0.4, 0.4, 0.2]], tied, ci=None).estimate.value == pytest.approx(0.5)


def test_cases_without_readers_are_missing() -> None:
    r = PartialRankings.from_lists([[[[0]]], [], [[[1]], [[1]]]], 2)
    p = np.array([[0.9, 0.1]] * 3)
    settings = DirichletIRN(5.0)
    for result in (
        ua_topk_accuracy(p, settings.certainty(r)),
        ua_topk_accuracy(p, settings.sample(r, 50, seed=0)),
        standard_topk_accuracy(p, irn(r)),
        aggregated_topk(p, irn(r)),
    ):
        assert np.isnan(result.items).tolist() == [False, True, False]
        assert (result.estimate.n, result.estimate.n_missing) == (2, 1)
        assert 0 < result.estimate.value < 1
    coverage = aggregated_coverage([[1, 0]] * 3, irn(r))
    assert coverage[[0, 2]].tolist() == [1, 0]
    assert np.isnan(coverage[1])


def test_paired_difference_has_both_uncertainties() -> None:
    better = irn(RANKINGS)
    a, b = (ua_topk_accuracy(p, SAMPLES) for p in (better, PREDICTIONS))
    gap = a.minus(b)
    assert gap.estimate.value == pytest.approx(a.estimate.value - b.estimate.value)
    assert 0 < gap.estimate.low < gap.estimate.value < gap.estimate.high
    assert gap.annotation_sd > 0
    assert a.minus(a).estimate.value == pytest.approx(0)
    with pytest.raises(InputError, match="same cases"):
        a.minus(ua_topk_accuracy(PREDICTIONS[:5], SAMPLES[:5], ci=None))


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="predictions must be"):
        ua_topk_accuracy(PREDICTIONS[:, :3], SAMPLES)
    with pytest.raises(InputError, match="case 1 hold NaN"):
        ua_topk_accuracy([[0.5, 0.5], [np.nan, 1]], [[0.5, 0.5]] * 2)
    with pytest.raises(InputError, match="sets"):
        aggregated_coverage([[2, 0]], [[0.5, 0.5]])
