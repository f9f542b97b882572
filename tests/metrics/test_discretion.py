"""Regions, arbitrariness, wins and supremacy: cases by hand, properties, bad input; and the planted proof of docs/proofs/discretion.md."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trueline.errors import InputError
from trueline.metrics.discretion import (
    discretion_arbitrariness,
    effective_principles,
    judge_preference,
    principle_agreement,
    principle_supremacy,
    principle_wins,
    region_shares,
    regions,
    score_preferences,
    two_order_preference,
    voices,
)
from trueline.metrics.discretion_discrepancy import bootstrap_wins, compare_discretion, discretion_discrepancy
from trueline.metrics.principle_priority import principle_priority
from trueline.stats import CI

NAN = math.nan
cells = st.sampled_from([1.0, -1.0, 0.0, NAN])


@st.composite
def tables(draw: Any, principles: int | None = None) -> tuple[Any, Any]:
    n, k = draw(st.integers(1, 25)), principles or draw(st.integers(2, 5))
    return draw(arrays(float, (n, k), elements=cells)), draw(arrays(float, n, elements=cells))


def planted(rng: np.random.Generator, n: int, w: Any) -> Any:
    return rng.choice([1.0, -1.0, NAN], p=[0.15, 0.15, 0.7], size=(n, len(w)))


def follow(rng: np.random.Generator, P: Any, w: Any) -> Any:
    """An annotator that weighs the principles and adds logistic noise."""
    return np.sign(np.nan_to_num(P) @ w + rng.logistic(size=len(P)))


def test_zero_and_nan_say_nothing_but_are_counted_apart() -> None:
    P = [[0, NAN], [1, 0], [1, -1]]
    assert regions(P).tolist() == ["indifference", "consensus", "conflict"]
    found = voices(P)
    assert (found.first, found.second, found.position, found.silent) == (2, 1, 2, 1)
    assert found.flip_rate.value == pytest.approx(2 / 5)
    assert found.spoken.tolist() == [2, 1]


@given(tables())
def test_wins_equal_a_count_by_hand(case: tuple[Any, Any]) -> None:
    P, a = case
    k = P.shape[1]
    by_hand = [[sum(row[c] * row[d] == -1 and row[c] == x for row, x in zip(P, a, strict=True)) for d in range(k)] for c in range(k)]
    W = principle_wins(P, a)
    assert W.tolist() == by_hand
    PS = principle_supremacy(W)
    met = W + W.T > 0
    assert np.allclose((PS + PS.T)[met], 1)
    assert np.isnan(PS[~met]).all()


@given(tables())
def test_order_weights_and_swapped_responses_change_nothing(case: tuple[Any, Any]) -> None:
    P, a = case
    rng = np.random.default_rng(0)
    order, weights = rng.permutation(len(P)), rng.integers(1, 4, len(P))
    base = discretion_arbitrariness(P, a, ci=None)
    assert (regions(-P) == regions(P)).all()
    for other in (discretion_arbitrariness(P[order], a[order], ci=None), discretion_arbitrariness(-P, -a, ci=None)):
        assert other.value == pytest.approx(base.value, nan_ok=True)
        assert (other.n, other.n_missing) == (base.n, base.n_missing)
    repeated = np.repeat(P, weights, axis=0), np.repeat(a, weights)
    weighted = discretion_arbitrariness(P, a, weights=weights, ci=None).value
    assert weighted == pytest.approx(discretion_arbitrariness(*repeated, ci=None).value, nan_ok=True)
    assert np.array_equal(principle_wins(P, a, weights), principle_wins(*repeated))
    assert np.array_equal(principle_wins(P, -a), principle_wins(P, a).T)


@given(tables())
def test_the_opposite_annotator_has_the_complement(case: tuple[Any, Any]) -> None:
    P, a = case
    one, other = discretion_arbitrariness(P, a, ci=None), discretion_arbitrariness(P, -a, ci=None)
    assert other.value == pytest.approx(1 - one.value, nan_ok=True)
    if not one.n:
        assert math.isnan(one.value)
        assert one.reason


def test_arbitrariness_by_number_of_agreeing_principles() -> None:
    P, a = [[1, NAN, NAN], [1, 1, NAN], [-1, -1, -1], [1, 1, 0]], [-1, 1, 1, NAN]
    assert [discretion_arbitrariness(P, a, min_agree=m).value for m in (1, 2, 3)] == pytest.approx([2 / 3, 1 / 2, 1])
    assert discretion_arbitrariness(P, a).n_missing == 1
    none = discretion_arbitrariness(P, a, min_agree=4)
    assert math.isnan(none.value)
    assert "4 principles" in str(none.reason)


def test_intervals_hold_the_value_and_clusters_widen_them() -> None:
    rng = np.random.default_rng(3)
    P = np.repeat(planted(rng, 60, np.ones(4)), 8, axis=0)
    a = np.repeat(np.sign(rng.normal(size=60)), 8)
    alone, together = discretion_arbitrariness(P, a), discretion_arbitrariness(P, a, clusters=np.repeat(np.arange(60), 8))
    assert alone.method == "wilson"
    assert alone.low < alone.value < alone.high
    assert together.high - together.low > 2 * (alone.high - alone.low)
    shares = region_shares(P, clusters=np.repeat(np.arange(60), 8))
    assert sum(e.value for e in shares.values()) == pytest.approx(1)


def test_one_principle_cannot_conflict() -> None:
    P, a = [[1], [-1], [NAN]], [1, 1, 1]
    assert regions(P).tolist() == ["consensus", "consensus", "indifference"]
    assert discretion_arbitrariness(P, a).value == 0.5
    assert principle_wins(P, a).tolist() == [[0]]
    with pytest.raises(InputError, match="at least two"):
        principle_supremacy([[0]])


def test_copies_of_a_principle_are_seen() -> None:
    rng = np.random.default_rng(1)
    one = rng.choice([1.0, -1.0, NAN], size=(400, 1))
    apart = np.kron(np.eye(3), np.ones((2, 1)))
    assert effective_principles(np.hstack([one, one, -one])) == pytest.approx(1)
    assert effective_principles(np.where(apart == 0, NAN, apart)) == pytest.approx(3)
    assert math.isnan(effective_principles([[NAN, 0]]))
    assert principle_agreement(np.hstack([one, one, -one])).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert np.isnan(principle_agreement([[1, NAN], [NAN, 1]])[0, 1])


def test_scores_and_judges_become_preferences() -> None:
    inf = math.inf
    assert np.array_equal(score_preferences([2, 1, 1, NAN, -inf, -inf], [1, 2, 1, 1, -inf, 0]), [1, -1, 0, NAN, 0, -1], equal_nan=True)
    # Neither has to beat both answers; a tie of the answers is undecided.
    judged = judge_preference([0.4, 0.2, 0.3, 0.1, NAN], [0.2, 0.3, 0.3, 0.2, 0.1], [0.4, 0.1, 0.1, 0.3, 0.1])
    assert np.array_equal(judged, [1, -1, NAN, NAN, NAN], equal_nan=True)
    assert np.array_equal(two_order_preference([1, 1, -1, NAN], [-1, 1, 1, 1]), [1, 0, -1, NAN], equal_nan=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regions([]), "shape"),
        (lambda: regions([1, -1]), "shape"),
        (lambda: regions([[1, 0.5]]), r"P\[0, 1\] .*principle 1.* is 0.5"),
        (lambda: regions([[1, math.inf]]), "inf"),
        (lambda: regions([["yes"]]), "must be numbers"),
        (lambda: discretion_arbitrariness([[1], [1]], [1]), "1 entries but P has 2"),
        (lambda: discretion_arbitrariness([[1]], [2]), r"a\[0\] is 2.0"),
        (lambda: discretion_arbitrariness([[1]], [1], weights=[-1]), "weights"),
        (lambda: discretion_arbitrariness([[1]], [1], clusters=[1, 2]), "clusters has 2"),
        (lambda: discretion_arbitrariness([[1]], [1], min_agree=0), "min_agree is 0"),
        (lambda: principle_wins([[1, -1]], [1, 1]), "2 entries"),
        (lambda: principle_supremacy([[0, 1]]), "square"),
        (lambda: principle_supremacy([[1, 1], [0, 0]]), "diagonal"),
        (lambda: principle_supremacy([[0, NAN], [0, 0]]), r"W\[0, 1\] is nan"),
        (lambda: principle_supremacy([[0, -1], [0, 0]]), "not negative"),
        (lambda: score_preferences([1, 2], [1]), "score_1 has 1"),
        (lambda: judge_preference([0.5], [0.2, 0.1], [0.1]), "one shape"),
        (lambda: judge_preference([1.5], [0.2], [0.1]), "p_a must hold probabilities"),
        (lambda: two_order_preference([0], [1]), "order_0 must hold"),
        (lambda: two_order_preference([1], [1, 1]), "one shape"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@settings(max_examples=30)
@given(tables(), st.integers(0, 3))
def test_replicates_of_wins_equal_weighted_wins(case: tuple[Any, Any], seed: int) -> None:
    P, a = case
    wins = bootstrap_wins(P, [a], n_boot=3, seed=seed)[:, 0]
    rng = np.random.default_rng(seed)
    for found in wins:
        counts = np.bincount(rng.integers(0, len(P), len(P)), minlength=len(P))
        assert np.array_equal(found, principle_wins(np.repeat(P, counts, axis=0), np.repeat(a, counts)))


def test_planted_strengths_are_found() -> None:
    """30 worlds of 8 principles and 4,000 pairs: order, arbitrariness, the law of random flips, same and permuted strengths."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(2025)
    rows = []
    for _ in range(30):
        w = np.exp(rng.normal(size=8))
        P = planted(rng, 4000, w)
        a, same, other = follow(rng, P, w), follow(rng, P, w), follow(rng, P, rng.permutation(w))
        flipped, shuffled = np.where(rng.random(4000) < 0.2, -a, a), rng.permutation(a)
        fit, noise = (principle_priority(principle_wins(P, x)).w for x in (a, shuffled))
        da, da_flipped, da_shuffled = (discretion_arbitrariness(P, x, ci=None).value for x in (a, flipped, shuffled))
        dd = [discretion_discrepancy(fit, principle_priority(principle_wins(P, x)).w) for x in (same, other)]
        rows.append([spearmanr(fit, w)[0], da, da_shuffled, np.ptp(fit), np.ptp(noise), da_flipped - da - 0.2 * (1 - 2 * da), *dd])
    rho, da, shuffled_da, spread, noise, law, dd_same, dd_other = np.array(rows).T
    print(
        f"\nSpearman {rho.mean():.3f} (min {rho.min():.2f}), DA {da.mean():.3f}, shuffled {shuffled_da.min():.3f}-{shuffled_da.max():.3f}"
    )
    print(f"range {spread.min():.2f}+ against {noise.max():.2f} shuffled, flip law within {np.abs(law).max():.3f}")
    print(f"DD same {dd_same.mean():.3f} (max {dd_same.max():.2f}), permuted {dd_other.mean():.3f}")
    assert rho.mean() >= 0.93
    assert np.abs(law).max() <= 0.03
    assert dd_same.max() < 0.2
    assert 0.4 < dd_other.mean() < 0.6
    assert 0.44 < shuffled_da.min() <= shuffled_da.max() < 0.56
    assert spread.min() > noise.max()


def test_interval_of_arbitrariness_covers() -> None:
    rng = np.random.default_rng(7)
    w = np.exp(rng.normal(size=8))
    P = planted(rng, 400_000, w)
    truth = discretion_arbitrariness(P, follow(rng, P, w), ci=None).value
    covered = {"wilson": [], "bootstrap": []}  # type: dict[str, list[bool]]
    for seed in range(200):
        P = planted(rng, 500, w)
        a = follow(rng, P, w)
        for name, ci in (("wilson", CI()), ("bootstrap", CI("percentile", n_boot=500, seed=seed))):
            e = discretion_arbitrariness(P, a, ci=ci)
            covered[name].append(e.low <= truth <= e.high)
    rates = {name: float(np.mean(hits)) for name, hits in covered.items()}
    print(f"\ncoverage of DA {truth:.3f} at n = 500: {rates}")
    assert all(0.915 <= rate <= 0.985 for rate in rates.values())


def test_a_reward_model_inherits_the_order() -> None:
    """A linear reward model trained on an annotator's labels has that annotator's order of principles, not another's."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(5)
    found = []
    for _ in range(10):
        w = np.exp(rng.normal(size=8))
        response_0, response_1 = rng.normal(size=(2, 8000, 8))
        gap = response_0 - response_1
        P = np.where(np.abs(gap) > 1.5, np.sign(gap), NAN)
        labels, other = follow(rng, P, w), follow(rng, P, w[::-1].copy() if np.argmax(w) not in (3, 4) else np.roll(w, 4))
        half = slice(0, 4000)
        reward = LogisticRegression(fit_intercept=False).fit(gap[half], labels[half]).coef_[0]
        test = slice(4000, None)
        a = score_preferences(response_0[test] @ reward, response_1[test] @ reward)
        found.append([compare_discretion(P[test], a, x[test], ci=None).estimate.value for x in (labels, other)])
    own, others = np.array(found).T
    print(f"\nreward model: DD to its own {own.mean():.3f} (max {own.max():.2f}), to another {others.mean():.3f} (min {others.min():.2f})")
    assert own.mean() <= 0.15
    assert others.mean() >= 0.3


def test_replicates_are_cheap() -> None:
    rng = np.random.default_rng(0)
    P = rng.choice([1.0, -1.0, NAN], p=[0.1, 0.1, 0.8], size=(2312, 21))
    start = time.process_time()
    wins = bootstrap_wins(P, [np.sign(rng.normal(size=2312))], n_boot=1000)
    print(f"\n1000 replicates of the wins, n = 2312, k = 21: {time.process_time() - start:.2f} s")
    assert wins.shape == (1000, 1, 21, 21)
