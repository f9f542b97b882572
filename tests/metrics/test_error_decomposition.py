"""Bias and variance of repeated runs: identities, the truth of a known law, bad input. The proof page's figures: -m slow -s."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.error_decomposition import bias_variance, coverage_bias_variance, embedding_variance, squared_bias_variance
from trueline.metrics.incoherence import ensemble, incoherence, incoherence_difference, length_groups, loglog_slope, median_split
from trueline.stats import CI

LAW = 0.6


def world(rng: np.random.Generator, n_items: int = 300) -> tuple[Any, Any, float]:
    """Answer laws a_i ~ Dirichlet(0.6 x 4), targets drawn from them with chance 0.6, else uniform; and the true Brier incoherence."""
    laws = rng.dirichlet(np.full(4, 0.6), n_items)
    own = np.array([rng.choice(4, p=a) for a in laws])
    y = np.where(rng.random(n_items) < LAW, own, rng.integers(0, 4, n_items))
    variance = 1 - (laws**2).sum(axis=1)
    return laws, y, float(variance.sum() / (variance + ((np.eye(4)[y] - laws) ** 2).sum(axis=1)).sum())


def runs(rng: np.random.Generator, laws: Any, n_runs: int) -> Any:
    return np.eye(4)[np.array([rng.choice(4, n_runs, p=a) for a in laws])]


@st.composite
def item(draw: Any) -> tuple[Any, int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_runs, c = draw(st.integers(2, 8)), draw(st.integers(2, 5))
    p = rng.dirichlet(np.full(c, draw(st.sampled_from([0.05, 0.5, 3.0]))), n_runs)
    return (np.eye(c)[p.argmax(axis=1)] if draw(st.booleans()) else p), draw(st.integers(0, c - 1))


@settings(max_examples=60, deadline=None)
@given(item(), st.booleans())
def test_the_parts_add_up_to_the_error(given_item: Any, unbiased: bool) -> None:
    p, y = given_item
    for loss in ("kl", "brier"):
        t = bias_variance(p, y, loss, unbiased=unbiased)
        assert t.bias2 + t.variance == pytest.approx(t.error, rel=1e-9, abs=1e-9)
    smooth = (p + 1e-12) / (1 + p.shape[1] * 1e-12)
    assert bias_variance(p, y, "kl").error == pytest.approx(-np.log(smooth[:, y]).mean(), abs=1e-9)
    assert bias_variance(p, y, "brier").error == pytest.approx(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())


@settings(max_examples=60, deadline=None)
@given(item(), st.integers(0, 2**32 - 1))
def test_order_of_runs_and_options_does_not_matter(given_item: Any, seed: int) -> None:
    p, y = given_item
    rng = np.random.default_rng(seed)
    rows, options = rng.permutation(len(p)), rng.permutation(p.shape[1])
    for loss in ("kl", "brier"):
        a = bias_variance(p, y, loss, unbiased=True)
        b = bias_variance(p[rows][:, options], int(np.flatnonzero(options == y)[0]), loss, unbiased=True)
        assert (a.bias2, a.variance, a.error) == pytest.approx((b.bias2, b.variance, b.error), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(item())
def test_kl_parts_are_divergences(given_item: Any) -> None:
    p, y = given_item
    f = (p + 1e-6) / (1 + p.shape[1] * 1e-6)
    mean = np.exp(np.log(f).mean(axis=0))
    mean /= mean.sum()
    t = bias_variance(p, y, "kl", delta=1e-6)
    assert t.bias2 == pytest.approx(-np.log(mean[y]), abs=1e-9)
    assert t.variance == pytest.approx((mean * (np.log(mean) - np.log(f))).sum(axis=1).mean(), abs=1e-9)


def test_zero_one_identity_for_two_options() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        p = np.eye(2)[rng.integers(0, 2, 7)]
        t = bias_variance(p, 0, "zero_one")
        assert t.error == pytest.approx(t.bias2 + t.variance * (1 if t.bias2 == 0 else -1))


def test_unbiased_brier_is_right_on_average_where_plug_in_is_not() -> None:
    rng = np.random.default_rng(1)
    law = np.array([0.5, 0.3, 0.2])
    draws = [np.eye(3)[rng.choice(3, 3, p=law)] for _ in range(4000)]
    truth = 1 - (law**2).sum()
    assert np.mean([bias_variance(d, 0, "brier", unbiased=True).variance for d in draws]) == pytest.approx(truth, abs=0.02)
    assert np.mean([bias_variance(d, 0, "brier").variance for d in draws]) == pytest.approx(truth * 2 / 3, abs=0.02)


def test_the_kl_jackknife_takes_off_most_of_the_bias() -> None:
    rng = np.random.default_rng(2)
    long = rng.dirichlet([4.0, 3.0, 2.0], 200_000)
    truth = bias_variance(long, 0, "kl").variance
    short = [rng.dirichlet([4.0, 3.0, 2.0], 5) for _ in range(3000)]
    plain, jack = (np.mean([bias_variance(s, 0, "kl", unbiased=u).variance for s in short]) for u in (False, True))
    assert abs(jack - truth) < 0.25 * abs(plain - truth)


def test_squared_error_in_a_metric() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(6, 2)), np.array([1.0, -1.0])
    root = np.array([[2.0, 0.0], [1.0, 0.5]])
    a, b = squared_bias_variance(x, y, root.T @ root), squared_bias_variance(x @ root.T, root @ y)
    assert (a.bias2, a.variance, a.error) == pytest.approx((b.bias2, b.variance, b.error))
    assert a.bias2 + a.variance == pytest.approx(a.error)
    assert embedding_variance(x) == pytest.approx(squared_bias_variance(x, x.mean(axis=0)).variance)
    assert embedding_variance(x, unbiased=True) == pytest.approx(np.cov(x.T).trace())


def test_coverage_is_the_squared_error_per_test() -> None:
    passed = np.random.default_rng(4).integers(0, 2, (5, 7))
    a, b = coverage_bias_variance(passed, unbiased=True), squared_bias_variance(passed, np.ones(7), unbiased=True)
    assert (7 * a.bias2, 7 * a.variance, 7 * a.error) == pytest.approx((b.bias2, b.variance, b.error))


def test_one_run_is_undefined_with_a_reason_and_refused_for_a_set() -> None:
    t = bias_variance([[0.7, 0.3]], 0, "kl", unbiased=True)
    assert np.isnan(t.variance)
    assert t.reason
    with pytest.raises(InputError, match="at least 2 samples"):
        incoherence([[[0.7, 0.3]]], [0])


def test_incoherence_tells_a_wrong_goal_from_noise() -> None:
    rng = np.random.default_rng(5)
    wrong = [np.eye(4)[np.where(rng.random(10) < 0.97, 1, 0)] for _ in range(60)]
    noise = [np.eye(4)[rng.integers(0, 4, 10)] for _ in range(60)]
    a, b = incoherence([*wrong, *noise], [0] * 120, groups=["wrong"] * 60 + ["noise"] * 60)
    assert (a.group, b.group) == ("wrong", "noise")
    assert a.incoherence.high < 0.2
    assert a.error.low > 0.8
    assert b.incoherence.low > 0.4
    assert a.plug_in < a.incoherence.value


def test_set_is_a_ratio_of_sums_and_keeps_items_without_error() -> None:
    p = [np.eye(2)[[0, 0, 0]], np.eye(2)[[0, 1, 1]], np.eye(3)[[2, 2]]]
    (row,) = incoherence(p, [0, 0, 2], lengths=[[1, 2, 3], [4, 5, 6], [7, 8]])
    t = bias_variance(p[1], 0, "brier", unbiased=True)
    assert row.incoherence.value == pytest.approx(t.variance / t.error)
    assert (row.n_items, row.n_without_error, row.n_runs, row.mean_length) == (3, 2, (2, 3), 4.5)
    assert row.incoherence.low <= row.incoherence.value <= row.incoherence.high


def test_all_right_is_undefined() -> None:
    (row,) = incoherence([np.eye(2)[[0, 0]]], [0])
    assert np.isnan(row.incoherence.value)
    assert row.incoherence.reason == "zero total error"
    # nothing wrong was seen in one item alone: hardly anything is known
    (row,) = incoherence([np.eye(2)[[0, 0]]] * 30, [0] * 30)
    assert row.error.value == 0
    assert 0 < row.error.high < 0.5


def test_one_value_everywhere_is_not_certainty() -> None:
    (row,) = incoherence([np.eye(2)[[1, 1]]] * 30, [0] * 30)
    assert (row.incoherence.value, row.incoherence.low) == (0, 0)
    assert 0 < row.incoherence.high < 0.2
    assert 1.5 < row.error.low < row.error.value == row.error.high == 2
    (row,) = incoherence([np.eye(2)[[1, 1]]] * 30, [0] * 30, "kl")
    assert np.isnan(row.error.low)


def test_item_order_does_not_change_the_interval_and_clusters_widen_it() -> None:
    rng = np.random.default_rng(6)
    laws, y, _ = world(rng, 40)
    laws, y = np.repeat(laws, 3, axis=0), np.repeat(y, 3)
    p = runs(rng, laws, 5)
    order = rng.permutation(len(p))
    a, b = incoherence(p, y)[0].incoherence, incoherence(p[order], y[order])[0].incoherence
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=1e-9)
    c = incoherence(p, y, clusters=np.repeat(np.arange(40), 3))[0].incoherence
    assert c.high - c.low > 1.2 * (a.high - a.low)


def test_groups_and_median_split() -> None:
    lengths = [[10, 10], [1, 1, 4], [5, 5], [2, 2]]
    assert length_groups(lengths, 3).tolist() == [2, 0, 1, 0]
    split = median_split([[1, 2, 3, 4], [5, 5, 5, 5], [1, 1, 2, 2, 2]])
    assert split.kept.tolist() == [0, 2]
    assert [x.tolist() for x in split.below] == [[0, 1], [0, 1]]
    assert [x.tolist() for x in split.at_or_above] == [[2, 3], [2, 3, 4]]
    assert split.n_dropped == 1


def test_difference_of_two_sets_of_terms() -> None:
    rng = np.random.default_rng(3)
    stuck = [bias_variance(np.eye(3)[np.where(rng.random(8) < 0.9, 1, 0)], 0, "brier", unbiased=True) for _ in range(40)]
    loose = [bias_variance(np.eye(3)[rng.integers(3, size=8)], 0, "brier", unbiased=True) for _ in range(40)]

    def share(terms: Any) -> float:
        return float(sum(t.variance for t in terms) / sum(t.error for t in terms))

    paired = incoherence_difference(stuck, loose)
    assert paired.value == pytest.approx(share(loose) - share(stuck))
    assert 0 < paired.low < paired.value < paired.high
    apart = incoherence_difference([*stuck, *[None] * 40], [*[None] * 40, *loose])
    assert apart.value == pytest.approx(paired.value)
    assert incoherence_difference(loose, loose).value == 0
    assert "zero total error" in str(incoherence_difference([None], [None]).reason)
    with pytest.raises(InputError, match="one entry an item"):
        incoherence_difference(stuck, loose[:3])
    with pytest.raises(InputError, match="second: item 0 has no variance"):
        incoherence_difference(stuck[:1], [bias_variance([[0.5, 0.5]], 0, "brier", unbiased=True)])


def test_slope_of_a_power_law() -> None:
    x = np.array([1e6, 1e7, 1e8, 1e9])
    exact = loglog_slope(x, 3 * x**-0.3)
    assert exact.alpha.value == pytest.approx(-0.3)
    assert exact.r2 == pytest.approx(1)
    noisy = loglog_slope(x, [1.0, 0.6, 0.2, 0.15])
    assert noisy.alpha.low < noisy.alpha.value < noisy.alpha.high
    assert np.isnan(loglog_slope([1, 10], [2, 1]).alpha.low)


def test_ensembles_are_dealt_without_overlap() -> None:
    p = np.eye(40)[np.arange(40)]
    (row,) = ensemble([p], [0], [4], 10, rng=np.random.default_rng(0), unbiased=False, ci=None)
    # ten disjoint means of four distinct options each: every one has squared norm 1/4, their mean 1/40
    assert row.decomposition.variance.value == pytest.approx(1 / 4 - 1 / 40)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bias_variance([[0.5, 0.5]], 2), "target 2"),
        (lambda: bias_variance([[0.5, 0.5]], 0.5), "target"),  # type: ignore[arg-type]
        (lambda: bias_variance([[0.5, 0.6]], 0), "run 0"),
        (lambda: bias_variance([[1.1, -0.1]], 0), "run 0"),
        (lambda: bias_variance([[0.5, 0.5], [float("nan"), 1.0]], 0), "run 1"),
        (lambda: bias_variance([[0.5, 0.5], [1.0]], 0), "as many"),
        (lambda: bias_variance([], 0), "shape"),
        (lambda: bias_variance([[1.0]], 0), "at least 2"),
        (lambda: bias_variance([[0.5, 0.5]], 0, "mse"), "unknown"),  # type: ignore[arg-type]
        (lambda: bias_variance([[0.5, 0.5]], 0, delta=0.0), "delta"),
        (lambda: bias_variance([[0.5, 0.5]], 0, "zero_one", unbiased=True), "zero-one"),
        (lambda: coverage_bias_variance([[0.5, 1]]), "0 and 1"),
        (lambda: squared_bias_variance([[1.0, 2.0]], [1.0]), "target"),
        (lambda: squared_bias_variance([[1.0, 2.0]], [1.0, 1.0], [[1.0, 0.0], [0.0, -1.0]]), "semi-definite"),
        (lambda: incoherence([], []), "empty"),
        (lambda: incoherence([np.eye(2)], [0], "zero_one"), "zero-one"),  # type: ignore[arg-type]
        (lambda: incoherence([np.eye(2)], [0, 1]), "targets"),
        (lambda: incoherence([np.eye(2)], [0], groups=[1, 2]), "groups has 2"),
        (lambda: incoherence([np.eye(2)], [0], groups=[float("nan")]), "groups holds NaN"),
        (lambda: incoherence([np.eye(2)], [None]), "target None"),
        (lambda: incoherence([np.eye(2)], [0], lengths=[[-1.0, 2.0]]), "lengths of item 0"),
        (lambda: incoherence([np.eye(2)], [0], clusters=[1, 2]), "clusters has 2"),
        (lambda: length_groups([[1.0]], 2), "n_groups"),
        (lambda: median_split([[1.0, 2.0]], min_runs=0), "min_runs"),
        (lambda: ensemble([np.eye(2)], [0], [2], 2), "need 4"),
        (lambda: loglog_slope([1, 2], [0, 1]), "above 0"),
        (lambda: loglog_slope([2, 2], [1, 1]), "one value"),
    ],
)
def test_bad_input(call: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


# -- the proof ------------------------------------------------------------------------------------------------------


def test_known_law_is_recovered() -> None:
    rng = np.random.default_rng(10)
    laws, y, truth = world(rng)
    (row,) = incoherence(runs(rng, laws, 10), y)
    assert row.incoherence.value == pytest.approx(truth, abs=0.03)
    assert row.plug_in < truth - 0.02


@pytest.mark.slow
def test_known_law_over_a_hundred_repeats() -> None:
    rng = np.random.default_rng(11)
    population = world(rng, 200_000)[2]
    errors, plug_in, values, covered = [], [], [], 0
    for repeat in range(100):
        laws, y, truth = world(rng)
        (row,) = incoherence(runs(rng, laws, 10), y, ci=CI(seed=repeat))
        errors.append(abs(row.incoherence.value - truth))
        values.append(row.incoherence.value)
        plug_in.append(row.plug_in)
        covered += row.incoherence.low <= population <= row.incoherence.high
    print(f"\npopulation {population:.4f}, unbiased {np.mean(values):.4f} (error: mean {np.mean(errors):.4f}, largest {max(errors):.4f}),")
    print(f"plug-in {np.mean(plug_in):.4f}, interval covers {covered} of 100")
    assert np.mean(errors) < 0.01
    assert max(errors) < 0.02
    assert np.mean(values) == pytest.approx(population, abs=0.01)
    assert np.mean(plug_in) < population - 0.03
    assert covered >= 90


@pytest.mark.slow
def test_plug_in_rises_towards_the_truth_with_more_runs() -> None:
    rng = np.random.default_rng(12)
    laws, y, truth = world(rng)
    plug_in = []
    for n_runs in (3, 5, 10, 30, 100):
        rows = [incoherence(runs(rng, laws, n_runs), y, ci=None)[0] for _ in range(10)]
        plain, fair = np.mean([r.plug_in for r in rows]), np.mean([r.incoherence.value for r in rows])
        print(f"\nR = {n_runs}: plug-in {plain:.3f}, unbiased {fair:.3f}, truth {truth:.3f}", end="")
        assert fair == pytest.approx(truth, abs=0.015)
        plug_in.append(plain)
    assert plug_in == sorted(plug_in)
    assert plug_in[0] < 0.75 * truth


@pytest.mark.slow
def test_ensembles_cut_variance_and_leave_bias() -> None:
    rng = np.random.default_rng(13)
    laws, y, _ = world(rng)
    rows = ensemble(list(runs(rng, laws, 320)), y, [1, 2, 4, 8], 40, rng=rng)
    scaled = np.array([r.decomposition.variance.value * r.size for r in rows])
    bias2 = np.array([r.decomposition.bias2.value for r in rows])
    print(f"\nvariance x size {scaled.round(3)}, bias2 {bias2.round(3)}")
    assert scaled.max() / scaled.min() < 1.15
    assert np.ptp(bias2) < 0.03
    values = [r.decomposition.incoherence.value for r in rows]
    assert values == sorted(values, reverse=True)
