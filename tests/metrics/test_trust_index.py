"""Trust index and excess optimal risk: hand-checked values, bounds, ties, weights, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics import CI, compare, e_aurc, excess_optimal_risk, selective_risk, trust_index
from trueline.metrics.trust_index import TRUST_INDEX

scored = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=25)


def by_hand(uncertainty: Any, correct: Any) -> tuple[float, float]:
    """Both numbers from their definition, ties by the mean of each group."""
    order = np.argsort(uncertainty, kind="stable")
    u, wrong = np.asarray(uncertainty, dtype=float)[order], 1 - np.asarray(correct, dtype=float)[order]
    wrong = np.array([wrong[u == value].mean() for value in u])
    n, best = len(u), int(np.sum(correct))
    risk = np.cumsum(wrong) / np.arange(1, n + 1)
    excess = sum(risk[k - 1] - max(0, k - best) / k for k in range(max(best, 1), n + 1)) / n
    return (1 - risk[best - 1] if best else math.nan), excess


@given(scored)
@settings(max_examples=60, deadline=None)
def test_definition_and_bounds(rows: list[tuple[int, int]]) -> None:
    u, c = zip(*rows, strict=True)
    ti, excess = by_hand(u, c)
    found, area = trust_index(u, c, ci=None), excess_optimal_risk(u, c, ci=None)
    assert found.value == pytest.approx(ti, abs=1e-12, nan_ok=True)
    assert area.value == pytest.approx(excess, abs=1e-12)
    accuracy = np.mean(c)
    if accuracy:
        assert max(0, 2 - 1 / accuracy) - 1e-12 <= found.value <= 1
    else:
        assert found.reason is not None
        assert "none of" in found.reason
    assert area.value <= e_aurc(u, 1 - np.array(c), ci=None).value + 1e-12


def test_weights_repeat_items() -> None:
    rng = np.random.default_rng(0)
    u, c, w = rng.integers(0, 9, 30), rng.integers(0, 2, 30), rng.integers(0, 4, 30)
    many = np.repeat(np.arange(30), w)
    for metric in (trust_index, excess_optimal_risk):
        assert metric(u, c, weights=w, ci=None).value == pytest.approx(metric(u[many], c[many], ci=None).value, abs=1e-12)


def test_named_coverage_is_selective_accuracy() -> None:
    rng = np.random.default_rng(1)
    u, c = rng.random(40), rng.integers(0, 2, 40)
    risk = selective_risk(u, 1 - c, coverage=0.95, ci=None).value
    assert trust_index(u, c, coverage=0.95, ci=None).value == pytest.approx(1 - risk, abs=1e-12)


def test_the_better_ranking_wins_at_equal_accuracy() -> None:
    """Two scores of the same answers: trust index and AUROC order them alike, a shuffled score has the accuracy."""
    rng = np.random.default_rng(2)
    wrong = rng.random(2000) < 0.3
    sharp, dull, noise = wrong + rng.normal(0, 0.6, 2000), wrong + rng.normal(0, 1.5, 2000), rng.normal(size=2000)
    found = [compare(sharp, dull, wrong, metric, n_permutations=200) for metric in ("auroc", TRUST_INDEX)]
    assert all(d.low > 0.05 for d in found)
    assert all(d.p < 0.05 for d in found)
    shuffled = trust_index(noise, 1 - wrong)
    assert shuffled.low < 0.7 < shuffled.high
    assert excess_optimal_risk(sharp, 1 - wrong, ci=None).value < excess_optimal_risk(dull, 1 - wrong, ci=None).value


def test_intervals() -> None:
    rng = np.random.default_rng(3)
    wrong = rng.random(300) < 0.2
    u = wrong + rng.normal(0, 1, 300)
    for metric in (trust_index, excess_optimal_risk):
        found = metric(u, ~wrong)
        assert found.low < found.value < found.high
    perfect = trust_index([1, 2, 3, 4], [1, 1, 1, 1])
    assert perfect.value == perfect.high == 1
    assert 0.4 < perfect.low < 0.6
    assert math.isnan(excess_optimal_risk([1, 2, 3, 4], [1, 1, 1, 1]).high)


@pytest.mark.parametrize(
    ("u", "c", "message"),
    [
        ([], [], "no row|empty|at least"),
        ([0.1, np.nan], [1, 0], "index 1"),
        ([0.1, 0.2], [1, 0.5], r"correct\[1\] is 0.5"),
        ([0.1, 0.2], [1], "give one an item"),
    ],
)
def test_bad_input(u: Any, c: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trust_index(u, c)


@pytest.mark.parametrize("coverage", [0, 1.5, -1])
def test_bad_coverage(coverage: float) -> None:
    with pytest.raises(InputError, match="coverage"):
        trust_index([0.1], [1], coverage=coverage)


def test_missing_rows_are_counted() -> None:
    found = trust_index([0.1, np.nan, 0.3], [1, 1, 0], nan_policy="drop", ci=None)
    assert (found.n, found.n_missing, found.value) == (2, 1, 1.0)


@pytest.mark.slow
def test_intervals_cover(capsys: pytest.CaptureFixture[str]) -> None:
    def draw(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
        wrong = rng.random(n) < 0.3
        return wrong + rng.normal(0, 1, n), ~wrong

    metrics = (trust_index, excess_optimal_risk)
    truth = [metric(*draw(np.random.default_rng(99), 1_000_000), ci=None).value for metric in metrics]
    for n in (50, 300):
        covered = np.zeros(2)
        for seed in range(200):
            rows = draw(np.random.default_rng(seed), n)
            found = [metric(*rows, ci=CI(n_boot=1000)) for metric in metrics]
            covered += [e.low <= t <= e.high for e, t in zip(found, truth, strict=True)]
        with capsys.disabled():
            print(f"n = {n}: truth {truth}, covered {covered} of 200")
        assert (covered >= 180).all()
