from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax

from trueline.errors import InputError
from trueline.estimators.conformal import (
    abstention_threshold,
    aps_scores,
    label_scores,
    lac_scores,
    prediction_sets,
    split_quantile,
    uacc,
)


def test_rank_at_exact_products() -> None:
    assert split_quantile(np.arange(9.0), 0.1).rank == 9
    assert split_quantile(np.arange(99.0), 0.07).rank == 93  # 100 * 0.93 is 93.00000000000001 in floats
    with pytest.warns(UserWarning, match="too few"):
        assert math.isinf(split_quantile([0.1], 0.1).value)


def test_ties_of_probabilities_are_ordered_by_label() -> None:
    assert aps_scores([[0.25, 0.5, 0.25]]).tolist() == [[0.75, 0.5, 1.0]]
    assert prediction_sets([[0.75, 0.5, 1.0]], 0.75) == [[0, 1]]
    assert prediction_sets([[0.75, 0.5, 1.0]], 0.1) == [[]]


def test_randomised_scores_lie_below() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    drawn = aps_scores(p, np.random.default_rng(1))
    assert (drawn <= aps_scores(p)).all()
    assert (drawn >= aps_scores(p) - p - 1e-12).all()


@pytest.mark.parametrize("score", [lac_scores, aps_scores])
def test_coverage_is_as_promised(score) -> None:
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(100):
        labels = rng.integers(5, size=1200)
        logits = rng.normal(size=(1200, 5))
        logits[np.arange(1200), labels] += 1.5
        scores = score(softmax(logits, axis=1))
        quantile = split_quantile(label_scores(scores[:200], labels[:200]), 0.1)
        covered.append((label_scores(scores[200:], labels[200:]) <= quantile.value).mean())
    assert 0.885 <= np.mean(covered) <= 0.925


def test_abstention_keeps_its_promise() -> None:
    rng = np.random.default_rng(8)
    rates = []
    for _ in range(200):
        uncertainty = rng.random(600)
        wrong = rng.random(600) < uncertainty
        threshold = abstention_threshold(uncertainty[:200], wrong[:200], 0.1)
        rates.append((wrong[200:] & (uncertainty[200:] <= threshold)).mean())
    assert 0.08 < np.mean(rates) <= 0.1


def test_tied_scores_are_answered_together() -> None:
    assert abstention_threshold([0.1, 0.2, 0.2, 0.3], [0, 0, 1, 1], 0.4) == 0.2
    assert abstention_threshold([0.1, 0.2, 0.2, 0.3], [0, 0, 1, 1], 0.39) == 0.1


@pytest.mark.parametrize(
    "call",
    [
        lambda: split_quantile([], 0.1),
        lambda: split_quantile([math.nan], 0.1),
        lambda: split_quantile([0.1], 1.0),
        lambda: lac_scores([[0.5, 0.6]]),
        lambda: aps_scores([0.5, 0.5]),
        lambda: label_scores(np.eye(2), [0, 2]),
        lambda: abstention_threshold([0.1], [2], 0.1),
        lambda: abstention_threshold([0.1, 0.2], [0], 0.1),
        lambda: uacc(1.5, 2.0, 4),
        lambda: uacc(0.5, 0.0, 4),
    ],
)
def test_refusals(call) -> None:
    with pytest.raises(InputError):
        call()
