"""Priorities: the likelihood's optimum, what cannot be fitted, and the discrepancy between two annotators with its interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trueline.errors import InputError
from trueline.metrics.discretion_discrepancy import bootstrap_wins, compare_discretion, discretion_discrepancy
from trueline.metrics.principle_priority import principle_priority
from trueline.stats import CI

NAN, INF = math.nan, math.inf


@st.composite
def wins(draw: Any) -> Any:
    k = draw(st.integers(2, 6))
    W = draw(arrays(float, (k, k), elements=st.integers(0, 9).map(float)))
    np.fill_diagonal(W, 0)
    return W


@given(wins(), st.sampled_from([0.0, 0.5, 1.0]))
def test_expected_wins_equal_wins_at_the_optimum(W: Any, prior: float) -> None:
    """The gradient is zero: every placed principle wins as often as its priority says; the rest has a reason."""
    fit = principle_priority(W, prior)
    kept = np.array([s == "finite" for s in fit.status])
    assert (np.isfinite(fit.w) == kept).all()
    assert np.isfinite(fit.se[kept]).all()
    assert (kept.all() and fit.message == "") or fit.message
    w, V = fit.w[kept], (W + prior / 2 * (W + W.T > 0))[np.ix_(kept, kept)]
    chance = 1 / (1 + np.exp(w[None, :] - w[:, None]))
    assert np.allclose(((V + V.T) * chance).sum(1), V.sum(1), atol=1e-7)
    if kept.any():
        assert abs(w.mean()) < 1e-9


@given(wins(), st.randoms())
def test_relabelling_and_scale(W: Any, random: Any) -> None:
    order = np.array(random.sample(range(len(W)), len(W)))
    fit, moved = principle_priority(W, 1.0).w, principle_priority(W[np.ix_(order, order)], 1.0).w
    assert np.allclose(moved, fit[order], atol=1e-8, equal_nan=True)
    assert np.allclose(principle_priority(W.T, 1.0).w, -fit, atol=1e-8, equal_nan=True)
    assert np.allclose(principle_priority(7 * W, 7.0).w, fit, atol=1e-8, equal_nan=True)


def test_layers_of_winners_are_peeled_one_after_the_other() -> None:
    # 0 beats all, 1 all but 0; 2 and 3 take turns; 4 loses to all.
    W = np.array([[0, 2, 2, 2, 2], [0, 0, 1, 1, 1], [0, 0, 0, 3, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]])
    fit = principle_priority(W)
    assert fit.status == ("always_wins", "always_wins", "finite", "finite", "always_loses")
    assert fit.w.tolist() == pytest.approx([INF, INF, math.log(3) / 2, -math.log(3) / 2, -INF])
    assert "prior > 0" in fit.message
    assert np.isfinite(principle_priority(W, prior=1.0).w).all()


def test_only_the_largest_part_is_fitted() -> None:
    W = np.zeros((6, 6))
    W[0, 1], W[1, 2], W[2, 0] = 1, 1, 1  # three in a circle
    W[3, 4], W[4, 3] = 2, 1  # two apart
    fit = principle_priority(W)
    assert fit.status == ("finite",) * 3 + ("other_component",) * 2 + ("no_games",)
    assert fit.w[:3].tolist() == [0, 0, 0]
    # One part beats the other without a loss: there is no finite optimum, and only the larger part is placed.
    W[0, 3] = 5
    assert principle_priority(W).status == fit.status
    assert np.isfinite(principle_priority(W, prior=1.0).w[:5]).all()


def test_one_principle_between_a_winner_and_a_loser() -> None:
    fit = principle_priority([[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    assert fit.w.tolist() == [INF, 0, -INF]
    silent = principle_priority(np.zeros((2, 2)))
    assert silent.status == ("no_games", "no_games")
    assert np.isnan(silent.w).all()


def test_lopsided_counts_converge() -> None:
    fit = principle_priority([[0, 1e8, 1], [1, 0, 1e8], [1, 1, 0]])
    assert np.isfinite(fit.w).all()
    assert np.isfinite(fit.se).all()
    # A tiny prior beside large counts: two principles meet only through their log-odds.
    for wins, prior in ((1e5, 1e-3), (1e7, 1e-5)):
        w = principle_priority([[0, wins], [0, 0]], prior).w
        assert w[0] - w[1] == pytest.approx(math.log((wins + prior / 2) / (prior / 2)), rel=1e-9)
    rng = np.random.default_rng(6)
    for scale in 10.0 ** np.arange(-3, 6):
        W = rng.poisson(0.5, (7, 7)) * scale
        np.fill_diagonal(W, 0)
        assert np.isfinite(principle_priority(W, 1e-3).se).any()


def test_standard_errors_match_replicates() -> None:
    rng = np.random.default_rng(0)
    w = np.array([1.0, 0.3, -0.2, -1.1])
    n = np.full((4, 4), 60)
    fits = []
    for _ in range(400):
        upper = np.triu(rng.binomial(n, 1 / (1 + np.exp(w[None, :] - w[:, None]))), 1)
        fits.append(principle_priority(upper + np.tril(n - upper.T, -1)))
    spread = np.std([f.w for f in fits], axis=0)
    assert np.allclose(np.mean([f.se for f in fits], axis=0), spread, rtol=0.12)


@given(arrays(float, 6, elements=st.floats(-5, 5, width=16), unique=True), st.integers(0, 99))
def test_discrepancy_of_orders(a: Any, seed: int) -> None:
    b = np.random.default_rng(seed).permutation(a)
    assert discretion_discrepancy(a, a) == 0
    assert discretion_discrepancy(a, -a) == 1
    assert discretion_discrepancy(a, b) == pytest.approx(discretion_discrepancy(b, a))
    assert discretion_discrepancy(a, b) == pytest.approx(1 - discretion_discrepancy(a, -b))
    assert discretion_discrepancy(np.exp(a), b) == pytest.approx(discretion_discrepancy(a, b))


def test_discrepancy_agrees_with_scipy_on_ties() -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(4)
    for _ in range(20):
        a, b = rng.integers(0, 4, (2, 9)).astype(float)
        assert discretion_discrepancy(a, b) == pytest.approx((1 - kendalltau(a, b)[0]) / 2)
    assert discretion_discrepancy([1, 2, NAN], [1, 2, 0]) == 0
    assert math.isnan(discretion_discrepancy([1, NAN], [1, 2]))
    assert math.isnan(discretion_discrepancy([1, 1], [1, 2]))


def annotated(rng: np.random.Generator, n: int, strengths: list[Any]) -> tuple[Any, list[Any]]:
    P = rng.choice([1.0, -1.0, NAN], p=[0.15, 0.15, 0.7], size=(n, len(strengths[0])))
    return P, [np.sign(np.nan_to_num(P) @ w + rng.logistic(size=n)) for w in strengths]


def test_comparison_of_annotators() -> None:
    rng = np.random.default_rng(1)
    w = np.array([3.0, 1.5, 0.8, 0.3])
    P, (a, b, c) = annotated(rng, 4000, [w, w, w[::-1]])
    ci = CI(n_boot=200)
    same, reverse = compare_discretion(P, a, b, ci=ci), compare_discretion(P, a, c, ci=ci)
    assert same.n_principles == 4
    assert same.estimate.low <= 0.0 <= same.estimate.value <= same.estimate.high < 0.5
    assert reverse.estimate.low > 0.5
    assert reverse.estimate.value > 0.9
    assert compare_discretion(P, a, a, ci=ci).estimate.value == 0
    assert compare_discretion(P, a, b, ci=ci) == same
    assert "bias-corrected" in compare_discretion(P, a, b, ci=CI("bca", n_boot=50)).estimate.method
    for kind in ("percentile", "basic", "centred", "bayesian"):
        e = compare_discretion(P, a, c, clusters=np.arange(4000) // 2, ci=CI(kind, n_boot=50)).estimate  # type: ignore[arg-type]
        assert e.low <= e.value <= e.high
        assert e.method == f"{kind}, 50 replicates of clusters"


def test_comparison_without_a_value_says_why() -> None:
    found = compare_discretion([[1, 1], [1, NAN]], [1, 1], [1, NAN])
    assert math.isnan(found.estimate.value)
    assert "fewer than two" in str(found.estimate.reason)
    assert found.estimate.n_missing == 1
    analytic = compare_discretion([[1, -1], [-1, 1], [1, -1]], [1, 1, -1], [1, 1, 1], ci="analytic").estimate
    assert "no analytic" in str(analytic.reason)


@pytest.mark.slow
def test_coverage_of_the_discrepancy() -> None:
    """Two annotators with the same and with permuted strengths, 1,500 items: the interval by pairs covers, the others do not."""
    rng = np.random.default_rng(8)
    kinds = ("auto", "bca", "percentile", "basic")
    hits: dict[Any, list[bool]] = {}
    widths: dict[Any, list[float]] = {}
    for world in range(60):
        w = np.exp(rng.normal(size=8))
        strengths = [w, w if world % 2 else rng.permutation(w)]
        P, many = annotated(rng, 100_000, strengths)
        truth = 0.0 if world % 2 else compare_discretion(P, *many, ci=None).estimate.value
        P, few = annotated(rng, 1500, strengths)
        for kind in kinds:
            e = compare_discretion(P, *few, ci=CI(kind, n_boot=200, seed=world)).estimate  # type: ignore[arg-type]
            hits.setdefault((kind, world % 2), []).append(e.low - 1e-9 <= truth <= e.high + 1e-9)
            widths.setdefault((kind, world % 2), []).append(e.high - e.low)
    for (kind, same), covered in hits.items():
        width = np.mean(widths[kind, same])
        print(f"\n{kind}, {'same' if same else 'permuted'} strengths: coverage {np.mean(covered):.2f}, width {width:.2f}", end="")
    assert all(np.mean(hits["auto", same]) >= 0.93 for same in (0, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: principle_priority([[0, 1]]), "square"),
        (lambda: principle_priority([[0, 1], [0, 0]], prior=-1), "prior is -1"),
        (lambda: principle_priority([[0, 1], [0, 0]], prior=NAN), "prior is nan"),
        (lambda: principle_priority([[0, "x"], [0, 0]]), "must be numbers"),
        (lambda: discretion_discrepancy([1, 2], [1]), "w_b has 1"),
        (lambda: discretion_discrepancy([], []), "empty"),
        (lambda: compare_discretion([[1, -1]], [1], [3]), r"b\[0\] is 3"),
        (lambda: bootstrap_wins([[1, -1]], [[1]], n_boot=0), "n_boot is 0"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
