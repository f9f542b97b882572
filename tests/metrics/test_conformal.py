"""Conformal sets: order statistics, nested forms, group and class thresholds, shift, reports."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import (
    aps_scores,
    class_conditional_thresholds,
    clustered_thresholds,
    conformal_p_values,
    conformal_threshold,
    cqr_scores,
    lac_scores,
    mondrian_thresholds,
    prediction_sets,
    raps_scores,
    set_report,
    weighted_threshold,
)
from trueline.metrics.conformal import coverage_band, raps_k_reg, residual_scores


def world(n: int = 400, k: int = 5, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k) * 0.5, n)
    return p, np.array([rng.choice(k, p=row) for row in p])


def test_threshold_is_the_right_order_statistic() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100))
    assert conformal_threshold(scores, 0.1) == 90
    assert conformal_threshold(scores, 0.01) == 99
    with pytest.warns(UserWarning, match="infinite"):
        assert conformal_threshold(scores, 0.009) == np.inf


def test_p_values_and_thresholds_make_the_same_sets() -> None:
    p, y = world(60)
    test, _ = world(50, seed=1)
    cal, new = lac_scores(p, y).round(2), lac_scores(test).round(2)
    for alpha in (0.05, 0.1, 0.31, 0.5):
        assert np.array_equal(prediction_sets(new, conformal_threshold(cal, alpha)), conformal_p_values(cal, new) > alpha + 1e-12)


def test_adaptive_scores_by_hand() -> None:
    p = [[0.2, 0.5, 0.3]]
    assert aps_scores(p)[0] == pytest.approx([1.0, 0.5, 0.8])
    assert aps_scores(p, [2]) == pytest.approx([0.8])
    assert raps_scores(p, k_reg=1, lambda_reg=0.1)[0] == pytest.approx([1.2, 0.5, 0.9])
    assert aps_scores([[0.4, 0.4, 0.2]])[0] == pytest.approx([0.4, 0.8, 1.0])
    randomised = aps_scores(p, rng=np.random.default_rng(0))[0]
    u = np.random.default_rng(0).random()
    assert randomised == pytest.approx([1 - 0.2 * (1 - u), 0.5 - 0.5 * (1 - u), 0.8 - 0.3 * (1 - u)])
    assert raps_k_reg([[0.2, 0.5, 0.3]] * 10, [1] * 8 + [2] * 2, 0.2) == 1
    assert raps_k_reg([[0.2, 0.5, 0.3]] * 10, [1] * 8 + [2] * 2, 0.1) == 2


@pytest.mark.parametrize("score", [lac_scores, aps_scores, lambda *a: raps_scores(*a, k_reg=2)])
def test_coverage_on_new_rows(score: Any) -> None:
    (p, y), (q, z) = world(2000), world(4000, seed=1)
    sets = prediction_sets(score(q), conformal_threshold(score(p, y), 0.1))
    report = set_report(sets, z, n_cal=2000, alpha=0.1)
    assert 0.87 < report.coverage.value < 0.935
    assert report.band[0] < 0.9 < report.band[1]
    assert report.mean_size == pytest.approx(sets.sum(axis=1).mean())
    assert sum(count for count, _ in report.by_size.values()) == 4000
    assert report.empty_rate + report.singleton_rate <= 1


def test_groups_classes_and_clusters() -> None:
    p, y = world(600)
    scores, group = lac_scores(p, y), np.arange(600) % 2
    by_group = mondrian_thresholds(scores, group, 0.1)
    assert by_group[0] == conformal_threshold(scores[group == 0], 0.1)
    by_class = class_conditional_thresholds(scores, y, 5, 0.1)
    assert by_class[3] == conformal_threshold(scores[y == 3], 0.1)
    with pytest.warns(UserWarning, match="group 'b' has 3 rows"):
        assert mondrian_thresholds(np.arange(23.0), ["a"] * 20 + ["b"] * 3, 0.1)["b"] == np.inf
    shared = clustered_thresholds(scores, y, 5, 0.1, n_clusters=1)
    assert shared == pytest.approx(np.full(5, conformal_threshold(scores, 0.1)))
    two = clustered_thresholds(np.r_[scores, 5 + scores], np.r_[y, y + 5], 10, 0.1, n_clusters=2)
    assert two[5:] == pytest.approx(two[:5] + 5)
    rare = clustered_thresholds(np.append(scores, 0.5), np.append(y, 5), 6, 0.1)
    assert rare[5] == conformal_threshold(np.append(scores, 0.5), 0.1)


def test_weighted_threshold() -> None:
    scores = np.arange(1.0, 20)
    assert weighted_threshold(scores, np.ones(19), 1.0, 0.1) == conformal_threshold(scores, 0.1)
    assert weighted_threshold(scores, np.where(scores > 15, 10.0, 1.0), 1.0, 0.1) > conformal_threshold(scores, 0.1)
    assert weighted_threshold(scores, np.ones(19), 100.0, 0.1) == np.inf


def test_regression_scores() -> None:
    assert residual_scores([1.0, 2.0], [3.0, 1.5]).tolist() == [2.0, 0.5]
    assert cqr_scores([0, 0], [1, 1], [1.5, 0.25]).tolist() == [0.5, -0.25]


def test_band_is_a_beta_interval_and_the_whole_line_covers_always() -> None:
    low, high = coverage_band(999, 0.1)
    assert low == pytest.approx(0.9 - 1.96 * np.sqrt(0.9 * 0.1 / 1001), abs=0.001)
    assert high == pytest.approx(0.9 + 1.96 * np.sqrt(0.9 * 0.1 / 1001), abs=0.001)
    assert coverage_band(5, 0.1) == (1.0, 1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: conformal_threshold([], 0.1),
        lambda: conformal_threshold([1, float("nan")], 0.1),
        lambda: conformal_threshold([1], 0),
        lambda: conformal_threshold([1], 1.0),
        lambda: weighted_threshold([1], [-1], 1, 0.1),
        lambda: weighted_threshold([1], [1], -1, 0.1),
        lambda: mondrian_thresholds([1, 2], ["a"], 0.1),
        lambda: class_conditional_thresholds([1, 2], [0], 2, 0.1),
        lambda: lac_scores([[0.5, 0.6]]),
        lambda: lac_scores([[0.5, float("nan")]]),
        lambda: aps_scores([[0.5, 0.5]], [3]),
        lambda: residual_scores([1], [1, 2]),
        lambda: cqr_scores([1], [1], [1, 2]),
        lambda: set_report([[True, False]], [0, 1], n_cal=9, alpha=0.1),
        lambda: set_report([], [], n_cal=9, alpha=0.1),
    ],
)
def test_bad_input(call: Any) -> None:
    with warnings.catch_warnings(), pytest.raises(InputError):
        call()
