"""Sampling beside greedy: exact small cases, properties, worlds with known truth, bad input. The proof page's figures: -m slow -s."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.distributional import any_at_k, capability, majority_at_k, path_diversity
from trueline.metrics.robustness import robustness, transition, transition_difference
from trueline.metrics.tail_risk import cvar, deployment_any_harm, tail_risk, upper_bound_if_none
from trueline.stats import CI
from trueline.stats.power import plan_samples


def draws(rng: np.random.Generator, q: Any, n: int) -> Any:
    return (rng.random((len(q), n)) < np.asarray(q)[:, None]).astype(int)


def brute_vote(answers: Any, correct: Any, k: int) -> float:
    credits = []
    for subset in combinations(answers, k):
        tally = {a: subset.count(a) for a in subset}
        best = [a for a, c in tally.items() if c == max(tally.values())]
        credits.append((correct in best) / len(best))
    return float(np.mean(credits))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), st.data())
def test_vote_equals_the_mean_over_all_subsets(answers: list[str], data: Any) -> None:
    k = data.draw(st.integers(1, len(answers)))
    assert majority_at_k(answers, "a", [k])[k] == pytest.approx(brute_vote(answers, "a", k))
    assert sum(majority_at_k(answers, a, [k])[k] for a in "abcd") == pytest.approx(1)


def test_vote_is_exact_where_enumeration_is_hopeless() -> None:
    answers = ["a"] * 40 + ["b"] * 24
    share = majority_at_k(answers, "a", [1, 31, 64])
    assert share[1] == pytest.approx(40 / 64)
    assert 0.9 < share[31] < 1
    assert share[64] == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=10), st.data())
def test_any_at_k_equals_the_share_of_subsets(events: list[bool], data: Any) -> None:
    k = data.draw(st.integers(1, len(events)))
    assert any_at_k([events], k)[0] == pytest.approx(np.mean([any(s) for s in combinations(events, k)]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pass_at_k_rises_with_k_from_the_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sampled = draws(rng, rng.random(6), 7)
    c = capability(rng.integers(0, 2, 6), sampled, range(1, 8), ci=None)
    values = [c.pass_at_k[k].value for k in range(1, 8)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(sampled.mean())
    assert values[-1] == pytest.approx(sampled.any(axis=1).mean())
    assert all(c.gain_pass[k].value == pytest.approx(c.pass_at_k[k].value - c.greedy_accuracy.value) for k in range(1, 8))


def test_capability_with_votes_guesses_and_ragged_samples() -> None:
    answers = [["x", "x", "y"], ["y", "x", "x", "x"]]
    graded = [[a == ref for a in row] for row, ref in zip(answers, "xy", strict=True)]
    c = capability([0, 1], graded, [1, 3], answers=answers, references=["x", "y"], n_options=4)
    assert c.majority_at_k[3].value == pytest.approx((1 + brute_vote(answers[1], "y", 3)) / 2)
    assert c.gain_vote[3].value == pytest.approx(c.majority_at_k[3].value - 0.5)
    assert c.guess_at_k[3] == pytest.approx(1 - 0.75**3)
    assert (c.reachable.value, c.fragile.value) == (0.5, 0.5)
    assert c.greedy_or_vote is not None
    assert (c.greedy_or_vote.b, c.greedy_or_vote.c) == (1, 1)
    alone = capability([0, 1], graded, [1])
    assert alone.gain_vote[1].reason
    assert alone.greedy_or_vote is None


def test_no_harm_seen_has_an_upper_bound() -> None:
    r = tail_risk(np.zeros(30), np.zeros((30, 20)), [1, 20])
    for e in (r.greedy_harm_rate, r.mean_harm_probability, r.any_harm_at_k[20], r.risk_gap_at_k[20], r.cvar):
        assert (e.value, e.low) == (0, 0)
        assert 0 < e.high < 0.2
    assert r.per_prompt[0].high == pytest.approx(upper_bound_if_none(20))


def test_no_gain_seen_may_be_a_gain_or_a_loss() -> None:
    outcomes = np.repeat([0, 1], 15)
    gain = capability(outcomes, np.repeat(outcomes[:, None], 4, axis=1), [2]).gain_pass[2]
    assert gain.value == 0
    assert gain.low == -gain.high
    assert 0 < gain.high < 0.2


def test_false_alarms_are_taken_off() -> None:
    rng = np.random.default_rng(1)
    q, f = np.repeat([0.0, 0.05], 2000), 0.02
    seen = draws(rng, q + (1 - q) * f, 40)
    r = tail_risk(np.zeros(4000), seen, [20], false_positive_rate=f)
    truth = (1 - (1 - q) ** 20).mean()
    assert r.any_harm_at_k[20].value > truth + 0.1
    assert r.corrected_any_harm_at_k[20].low < truth < r.corrected_any_harm_at_k[20].high
    assert tail_risk([0], [[1]], [1]).corrected_any_harm_at_k[1].reason


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 1))
def test_cvar_lies_between_mean_and_maximum(q: list[float], alpha: float) -> None:
    value = cvar(q, alpha, ci=None).value
    assert np.mean(q) - 1e-12 <= value <= max(q) + 1e-12
    assert cvar(q, 1, ci=None).value == pytest.approx(np.mean(q))
    assert cvar(q, alpha / 2, ci=None).value >= value - 1e-12


def test_cvar_counts_the_last_prompt_in_part() -> None:
    assert cvar([0.1, 0.4, 1.0, 0.0], 0.375, ci=None).value == pytest.approx((1.0 + 0.5 * 0.4) / 1.5)


def test_plan_and_bound_are_inverse() -> None:
    n = plan_samples(0.01, 0.975)
    assert upper_bound_if_none(n) <= 0.01 < upper_bound_if_none(n - 1)


def test_deployment_fit_recovers_a_beta_law() -> None:
    rng = np.random.default_rng(2)
    h = draws(rng, rng.beta(0.5, 9.5, 1000), 40).sum(axis=1)
    e = deployment_any_harm(h, np.full(1000, 40), 1000)
    law = rng.beta(0.5, 9.5, 400_000)
    assert e.low < (1 - (1 - law) ** 1000).mean() < e.high
    assert e.high - e.low < 0.15
    assert "extrapolates" in (e.reason or "")
    assert deployment_any_harm([0, 0], [5, 5], 10).reason
    within = deployment_any_harm(h, np.full(1000, 40), 10)
    assert within.value == pytest.approx((1 - (1 - law) ** 10).mean(), abs=0.03)
    assert within.reason is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_variance_split_is_an_identity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = rng.integers(0, 2, (5, 3, 4))
    r = robustness(s, rng.integers(0, 2, (5, 3)), unbiased=False, ci=None)
    p = s.mean(axis=(1, 2))
    assert r.outcome_variance.value == pytest.approx((p * (1 - p)).mean())
    assert r.sampling_part.value + r.prompt_part.value == pytest.approx(r.outcome_variance.value)
    assert r.worst_variant_greedy_accuracy.value <= r.mean_variant_greedy_accuracy.value


def test_unbiased_split_recovers_the_truth_from_few_samples() -> None:
    rng = np.random.default_rng(3)
    q = rng.choice([0.2, 0.6, 0.9], (4000, 3))
    s = (rng.random((4000, 3, 4)) < q[..., None]).astype(int)
    g = (q > 0.5).astype(int)
    fair, plain = robustness(s, g), robustness(s, g, unbiased=False)
    assert fair.sampling_part.low < (q * (1 - q)).mean() < fair.sampling_part.high
    assert fair.prompt_part.low < q.var(axis=1).mean() < fair.prompt_part.high
    assert plain.prompt_part.low > q.var(axis=1).mean()
    assert robustness(s[:, :1], g[:, :1]).flip_rate.reason


def test_without_greedy_answers() -> None:
    rng = np.random.default_rng(8)
    sampled = draws(rng, rng.random(20), 6)
    found = capability(None, sampled, [3])
    full = capability(np.ones(20), sampled, [3])
    assert found.pass_at_k == full.pass_at_k
    assert not found.gain_pass[3].defined
    assert not found.greedy_accuracy.defined
    assert found.greedy_or_vote is None
    risk = tail_risk(None, sampled, [3])
    assert risk.any_harm_at_k == tail_risk(np.zeros(20), sampled, [3]).any_harm_at_k
    assert "no greedy answer" in str(risk.concealed_risk.reason)
    wordings = robustness(sampled.reshape(10, 2, 6), None)
    assert wordings.prompt_part.value == robustness(sampled.reshape(10, 2, 6), np.ones((10, 2))).prompt_part.value
    assert not wordings.flip_rate.defined


def test_paths() -> None:
    d = path_diversity(["p", "q", "q", "r"], [1, 1, 0, 0])
    assert (d.n, d.distinct_paths, d.distinct_correct_paths, d.mixed_paths) == (4, 3, 2, 1)
    assert d.effective_paths == pytest.approx(np.exp(d.path_entropy))
    assert d.unseen_mass == 0.5
    assert np.isnan(path_diversity([0], [1]).simpson_diversity)


def test_transition_difference_finds_a_step_that_greedy_hides() -> None:
    rng = np.random.default_rng(4)
    scale = [1e6, 1e7, 1e8, 1e9]
    greedy = np.stack([draws(rng, np.full(200, p), 1)[:, 0] for p in (0.05, 0.1, 0.15, 0.2)], axis=1)
    sampled = np.stack([draws(rng, np.full(200, p), 1)[:, 0] for p in (0.05, 0.05, 0.9, 0.9)], axis=1)
    d = transition_difference(scale, greedy, sampled)
    assert d.total_rise.low > 0
    assert d.jump_concentration.low > 0
    same = transition_difference(scale, greedy, greedy)
    assert (same.total_rise.value, same.jump_concentration.value) == (0, 0)
    assert transition(scale, [0, 0, 1, 1]).jump_concentration == 1
    assert transition(scale, [0.5] * 4).reason


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: any_at_k([], 1), "empty"),
        (lambda: any_at_k(3, 1), "one vector an item"),  # type: ignore[arg-type]
        (lambda: any_at_k([[0, 2]], 1), "0 or 1"),
        (lambda: any_at_k([[0, float("nan")]], 1), "0 or 1"),
        (lambda: any_at_k([[0, 1], [1]], 2), "expected 1 to 1"),
        (lambda: any_at_k([[0, 1]], 0), "k is 0"),
        (lambda: capability([0, 1], [[0]], [1]), "greedy_correct has 2"),
        (lambda: capability([0.5], [[0]], [1]), "0 or 1"),
        (lambda: capability([0], [[0]], [1], answers=[["a"]]), "references"),
        (lambda: capability([0], [[0]], [1], answers=[["a", "b"]], references=["a"]), "2 answers"),
        (lambda: capability([0], [[0]], [1], n_options=0), "n_options"),
        (lambda: majority_at_k([], "a", [1]), "k is 1"),
        (lambda: majority_at_k(["a"], "a", [2]), "k is 2"),
        (lambda: path_diversity([1, 2], [1]), "path_ids has 2"),
        (lambda: tail_risk([0], [[0]], [1], tau=1.5), "tau"),
        (lambda: tail_risk([0], [[0]], [1], cvar_alpha=0.0), "cvar_alpha"),
        (lambda: tail_risk([0], [[0]], [1], false_positive_rate=1.0), "false_positive_rate"),
        (lambda: cvar([1.2]), r"\[0, 1\]"),
        (lambda: plan_samples(0.0), "p_min"),
        (lambda: upper_bound_if_none(0), "n >= 1"),
        (lambda: deployment_any_harm([3], [2], 5), "harms"),
        (lambda: deployment_any_harm([1], [2], 0), "k is 0"),
        (lambda: robustness([[[1]]], [[1]]), "unbiased=False"),
        (lambda: robustness([[1, 0]], [[1]]), "expected"),
        (lambda: robustness([[[1, 2]]], [[1]]), "0 or 1"),
        (lambda: transition([1, 1], [0, 1]), "rising"),
        (lambda: transition([1, 2], [0, 1.5]), "accuracy"),
        (lambda: transition_difference([1, 2], [[0, 1]], [[0, 1, 1]]), "stochastic"),
    ],
)
def test_bad_input(call: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


# -- the proof ------------------------------------------------------------------------------------------------------


def test_greedy_hides_rare_harm() -> None:
    rng = np.random.default_rng(10)
    q = rng.beta(0.12, 6, 400)
    r = tail_risk(q > 0.5, draws(rng, q, 50), [10], tau=0.05)
    assert r.greedy_harm_rate.value <= 0.005
    assert r.any_harm_at_k[10].value == pytest.approx((1 - (1 - q) ** 10).mean(), abs=0.02)
    assert r.risk_gap_at_k[10].low > 0.05


@pytest.mark.slow
def test_rare_harm_over_a_hundred_repeats() -> None:
    rng = np.random.default_rng(11)
    law = rng.beta(0.12, 6, 2_000_000)
    population, far = ((1 - (1 - law) ** k).mean() for k in (10, 1000))
    errors, values, plug_in, greedy, covered, fit = [], [], [], [], 0, []
    for repeat in range(100):
        q = rng.beta(0.12, 6, 400)
        sampled = draws(rng, q, 50)
        r = tail_risk(q > 0.5, sampled, [10], ci=CI(seed=repeat))
        e = r.any_harm_at_k[10]
        errors.append(abs(e.value - (1 - (1 - q) ** 10).mean()))
        values.append(e.value)
        plug_in.append((1 - (1 - sampled.mean(axis=1)) ** 10).mean())
        greedy.append(r.greedy_harm_rate.value)
        covered += e.low <= population <= e.high
        if repeat < 20:
            p = deployment_any_harm(sampled.sum(axis=1), np.full(400, 50), 1000)
            fit.append((p.value, p.low <= far <= p.high, p.high - p.low))
    print(f"\nany-harm@10 {population:.4f}: unbiased {np.mean(values):.4f}, plug-in {np.mean(plug_in):.4f}, greedy {np.mean(greedy):.5f}")
    print(f"error against the prompts drawn: mean {np.mean(errors):.4f}, largest {max(errors):.4f}; interval covers {covered} of 100")
    value, inside, width = np.mean(fit, axis=0)
    print(f"any-harm@1000 {far:.4f}: beta-binomial {value:.4f}, interval covers {inside * 20:.0f} of 20, mean width {width:.3f}")
    assert max(errors) < 0.02
    assert np.mean(values) == pytest.approx(population, abs=0.004)
    assert np.mean(plug_in) < population - 0.003
    assert covered >= 90
    assert inside >= 0.8


@pytest.mark.slow
def test_capability_on_a_known_law() -> None:
    rng = np.random.default_rng(12)
    q = rng.beta(0.7, 0.7, 400)
    c = capability(q > 0.5, draws(rng, q, 32), [1, 8])
    truth = (1 - (1 - q) ** 8).mean()
    print(f"\ngreedy {c.greedy_accuracy}, pass@8 {c.pass_at_k[8]}, truth {truth:.4f}, gain {c.gain_pass[8]}")
    assert c.pass_at_k[8].value == pytest.approx(truth, abs=0.02)
    assert c.gain_pass[8].low > 0.2
