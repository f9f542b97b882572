from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.answer_sets import AnswerSet, fit_answer_sets


def test_by_hand() -> None:
    clusters = [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
    right = [[1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1]]
    rule = fit_answer_sets(clusters, right, alpha=0.4)  # LAC scores .25 .5 .75 0, rank ceil(5 * 0.6) = 3
    assert rule.quantile.value == 0.5
    assert rule.none_rate == 0.0
    assert rule.n == 4
    sets = rule.sets([[3, 3, 3, 7], [3, 3, 7, 7], [1, 2, 3, 4]])
    assert sets == [AnswerSet((3,), False), AnswerSet((3, 7), False), AnswerSet((), False)]
    assert [s.answer for s in sets] == [3, None, None]


def test_an_item_without_a_right_sample_is_none_of_these() -> None:
    clusters, wrong = [[0, 0, 1]] * 10, [[0, 0, 0]] * 10
    for kind in ("lac", "aps"):
        rule = fit_answer_sets(clusters, wrong, alpha=0.2, kind=kind)
        assert rule.none_rate == 1.0
        (found,) = rule.sets([[5, 6, 5]])
        assert found == AnswerSet((5, 6), True), "nothing less would cover"
        assert found.answer is None


def test_several_right_clusters_count_by_the_most_plausible() -> None:
    rule = fit_answer_sets([[0, 0, 1]] * 9, [[1, 1, 1]] * 9, alpha=0.2)
    assert rule.quantile.value == pytest.approx(1 / 3)


@pytest.mark.parametrize(("kind", "randomised"), [("lac", False), ("aps", False), ("aps", True)])
def test_coverage_of_a_right_cluster_or_none(kind: str, randomised: bool) -> None:
    """100 splits of planted items: 10 samples from a law whose true answer is among them or not."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        clusters, right = [], []
        for _ in range(n):
            law = rng.dirichlet([0.6, 0.3, 0.2, 0.2])
            truth = int(rng.choice(5, p=[*(law * 0.95), 0.05]))  # 4: the model does not know it
            labels = rng.choice(4, size=10, p=law)
            clusters.append(labels)
            right.append((labels == truth).astype(float))
        return clusters, right

    covered, sizes, rates = [], [], []
    for _ in range(100):
        noise = rng if randomised else None
        rule = fit_answer_sets(*draw(200), alpha=0.2, kind=kind, rng=noise)
        clusters, right = draw(100)
        rates.append(rule.none_rate)
        for labels, verdicts, found in zip(clusters, right, rule.sets(clusters, noise), strict=True):
            covered.append(bool(np.isin(labels[verdicts == 1], found.clusters).any()) if verdicts.any() else found.none)
            sizes.append(len(found.clusters))
    assert np.mean(covered) >= 0.795
    assert 0.03 < np.mean(rates) < 0.3
    assert np.mean(sizes) < 4


@pytest.mark.parametrize(
    ("clusters", "right"),
    [([], []), ([[0]], []), ([[]], [[]]), ([[0, 1]], [[1]]), ([[0]], [[0.5]]), ([[0]], [[float("nan")]])],
)
def test_refusals(clusters: list[list[int]], right: list[list[float]]) -> None:
    with pytest.raises(InputError):
        fit_answer_sets(clusters, right, alpha=0.1)


def test_unknown_kind_and_alpha() -> None:
    with pytest.raises(InputError):
        fit_answer_sets([[0]], [[1]], alpha=0.1, kind="raps")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="alpha"):
        fit_answer_sets([[0]], [[1]], alpha=1.0)
