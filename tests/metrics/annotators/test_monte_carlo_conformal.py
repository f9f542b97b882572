"""Monte Carlo conformal prediction: order statistics by hand, the limit of many draws, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics.annotators import MonteCarloConformal, aggregated_coverage, conformity_threshold, weighted_conformity_threshold
from trueline.metrics.annotators.monte_carlo_conformal import draw_labels, ecdf_corrected, mean_p_values


def data(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Conformity scores of a noisy model, and the law of the annotators."""
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(5, 0.5), n)
    return law * np.exp(rng.normal(0, 0.7, law.shape)), law


def test_threshold_is_an_order_statistic() -> None:
    scores = np.array([0.5, 0.1, 0.4, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9])
    assert conformity_threshold(scores, 0.2) == 0.2
    assert conformity_threshold(scores, 0.2, quantile="midpoint") == pytest.approx(0.25)
    assert conformity_threshold(scores, 0.05) == -np.inf
    assert conformity_threshold(scores, 0.05, quantile="midpoint") == 0.1
    # 0.29 * 100 is 28.999999999999996 in floats
    assert conformity_threshold(np.arange(1.0, 100.0), 0.29) == 29
    assert conformity_threshold(np.array([scores, scores]), 0.2) == 0.2  # k = floor(0.2 * 2 * 10) - 1 = 3 of the pool


def test_sets_by_threshold_and_by_p_value_agree_for_one_draw() -> None:
    scores, law = data(98, 0)
    fitted = MonteCarloConformal(0.1, m=1).fit(scores, law, seed=4)
    test, _ = data(50, 1)
    np.testing.assert_array_equal(fitted.sets(test), fitted.p_values(test) > 0.1)
    assert fitted.sets(test).tobytes() == MonteCarloConformal(0.1, m=1).fit(scores, law, seed=4).sets(test).tobytes()


def test_many_draws_approach_the_weighted_quantile() -> None:
    scores, law = data(200, 2)
    many = MonteCarloConformal(0.1, m=3000).fit(scores, law, seed=0)
    limit = MonteCarloConformal(0.1, m=None).fit(scores, law, seed=0)
    assert many.threshold == pytest.approx(limit.threshold, rel=0.02)
    assert weighted_conformity_threshold(scores[:5], law[:5], 0.1) == -np.inf
    with pytest.raises(InputError, match="no p-values"):
        limit.p_values(scores)


def test_certain_annotations_give_split_conformal() -> None:
    scores, _ = data(57, 3)
    labels = np.random.default_rng(0).integers(0, 5, 57)
    for m in (1, 7):
        fitted = MonteCarloConformal(0.15, m=m).fit(scores, np.eye(5)[labels], seed=0)
        k = int(0.15 * m * 58) - m + 1
        assert fitted.threshold == np.sort(np.repeat(scores[np.arange(57), labels], m))[k - 1]


def test_labels_follow_their_law() -> None:
    law = np.array([[0.2, 0.0, 0.8], [0.0, 1.0, 0.0]])
    labels = draw_labels(law, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(labels[0], minlength=3) / 20_000, law[0], atol=0.01)
    assert (labels[1] == 1).all()


@pytest.mark.parametrize("settings", [MonteCarloConformal(0.1, 1), MonteCarloConformal(0.1, None), MonteCarloConformal(0.1, 10, "ecdf")])
def test_coverage_of_the_annotators(settings: MonteCarloConformal) -> None:
    values = []
    for seed in range(60):
        scores, law = data(400, seed)
        sets = settings.fit(scores[:200], law[:200], seed).sets(scores[200:])
        values.append(aggregated_coverage(sets, law[200:]).mean())
        assert 0 < sets.mean() < 1
    assert 0.88 < np.mean(values) < 0.93


def test_p_values_by_hand() -> None:
    drawn = np.array([[0.1, 0.2, 0.3], [0.3, 0.3, 0.3]])
    np.testing.assert_allclose(mean_p_values(drawn, [[0.2], [0.3], [0.05]]), [[0.5], [1.0], [0.25]])
    np.testing.assert_allclose(ecdf_corrected([0.1, 0.5, 0.0], [0.1, 0.5, 0.9, 0.5]), [0.25, 0.75, 0])


def test_bad_input_is_refused() -> None:
    scores, law = data(10, 0)
    for bad, message in (((scores, law * 2), "case 0"), ((scores[:5], law), "both be"), ((scores * np.nan, law), "NaN")):
        with pytest.raises(InputError, match=message):
            MonteCarloConformal(0.1).fit(*bad, seed=0)
    for settings in ({"alpha": 0.0}, {"alpha": 0.1, "m": 0}, {"alpha": 0.1, "m": None, "correction": "ecdf"}):
        with pytest.raises(InputError):
            MonteCarloConformal(**settings)
    with pytest.raises(InputError, match="quantile"):
        conformity_threshold([0.1, 0.2, 0.3], 0.4, quantile="nearest")
