"""Comparisons: sign, tests, pairing, identical systems, clusters, independent sets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import Estimate, auroc, compare, compare_unpaired, evaluate
from trueline.stats import CI, Metric, paired_difference
from trueline.stats.delong import delong_test
from trueline.stats.mcnemar import mcnemar

FAST = CI("bca", n_boot=400)


def world(n: int = 150, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    shared = rng.normal(size=n)
    good, poor = (1 / (1 + np.exp(-(s * (y - 0.5) + shared + 0.5 * rng.normal(size=n)))) for s in (3, 0.5))
    return good, poor, y


@pytest.mark.parametrize("metric", ["auroc", "auprc", "aurc", "prr", "brier", "ece", "debiased_ece", "spearman"])
def test_the_better_one_is_found_and_the_sign_is_first_minus_second(metric: str) -> None:
    good, poor, y = world()
    d = compare(good, poor, y, metric, ci=FAST, n_permutations=500)
    one, two = (evaluate(s, y, [metric], ci=None)[metric].value for s in (good, poor))
    assert (d.first, d.second) == pytest.approx((one, two), abs=1e-12)
    assert d.value == pytest.approx(one - two)
    assert d.low <= d.value <= d.high
    back = compare(poor, good, y, metric, ci=FAST, n_permutations=500)
    assert back.value == -d.value
    if metric in ("auroc", "auprc", "brier", "prr", "spearman"):
        assert d.p < 0.01
        assert d.low * d.high > 0


def test_automatic_tests() -> None:
    good, poor, y = world()
    assert compare(good, poor, y, ci=None).p == delong_test(good, poor, y).p
    right = [(s > 0.5).astype(int) for s in (good, poor)]
    d = compare(*right, y, "accuracy", ci=FAST)
    assert d.p == mcnemar(right[0] == y, right[1] == y).midp
    assert d.value == pytest.approx((right[0] == y).mean() - (right[1] == y).mean())
    assert "permutation of clusters" in compare(good, poor, y, clusters=np.arange(150) // 3, ci=None, n_permutations=100).method


def test_few_clusters_are_permuted_exactly() -> None:
    rng = np.random.default_rng(5)
    group = np.arange(80) // 10
    a, b = rng.random(80), rng.random(80)
    a[group < 6] += 0.5
    y = np.zeros(80)
    mean_loss = Metric("mean score", lambda sample, w: w @ sample.scores / w.sum(axis=1), scores="probability", truth="real")
    a, b = a / 2, b / 2
    # scores of both lie in [0, 1]: a mean of them then has one scale
    found = compare(a, b, y, mean_loss, clusters=group, ci=None)
    assert found.method == "exact permutation of clusters"
    d = np.array([(a - b)[group == g].sum() for g in range(8)])
    assert found.p == pytest.approx(paired_difference(d).p)
    assert found == compare(a, b, y, mean_loss, clusters=group, ci=CI("none", seed=9))  # nothing is random
    one = compare(a, b, y, mean_loss, clusters=["one"] * 80, ci=None)
    assert one.p == 1.0


def test_permutation_agrees_with_delong() -> None:
    a, b, y = world(200, 3)
    b = 0.7 * a + 0.3 * b
    exact, shuffled = compare(a, b, y, ci=None).p, compare(a, b, y, test="permutation", ci=None, n_permutations=4000).p
    assert shuffled == pytest.approx(exact, abs=0.05)


def test_the_same_system_twice_has_no_difference() -> None:
    good, _, y = world(60)
    for metric in ("auroc", "brier", "aurc"):
        d = compare(good, good, y, metric, ci=FAST, n_permutations=200)
        assert (d.value, d.p) == (0, 1)
        assert (d.low, d.high) == pytest.approx((0, 0), abs=1e-12)
    monotone = compare(good, np.exp(good), y, ci=FAST)
    assert monotone.p == 1


def test_pairing_narrows_the_interval() -> None:
    good, poor, y = world()
    near = 0.9 * good + 0.1 * poor
    paired = compare(good, near, y, ci=FAST)
    unpaired = compare_unpaired(auroc(good, y), auroc(near, y))
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)
    assert paired.detectable == pytest.approx(2.8016 * paired.se, rel=1e-3)


def test_paired_replicates_use_one_weight_for_both_orders() -> None:
    good, poor, y = world(80)
    d = compare(good, poor, y, "brier", ci=CI("percentile", n_boot=3000), n_permutations=10)
    gap = (good - y) ** 2 - (poor - y) ** 2
    assert d.se == pytest.approx(gap.std() / math.sqrt(80), rel=0.06)


def test_missing_in_either_is_missing_in_both() -> None:
    good, poor, y = world(60)
    good[3], poor[9] = np.nan, np.nan
    with pytest.raises(InputError, match="index 3"):
        compare(good, poor, y)
    d = compare(good, poor, y, nan_policy="drop", clusters=np.arange(60) // 2, ci=FAST, n_permutations=50)
    assert (d.n, d.n_missing) == (58, 2)


def test_one_class_is_undefined() -> None:
    d = compare([1, 2, 3], [3, 2, 1], [1, 1, 1])
    assert math.isnan(d.value)
    assert math.isnan(d.p)
    assert d.reason is not None
    assert "only one class" in d.reason


def test_unpaired_by_hand() -> None:
    d = compare_unpaired(Estimate(0.8, se=0.03, n=10, low=0, high=1), Estimate(0.7, se=0.04, n=20, low=0, high=1))
    assert (d.value, d.se, d.n) == pytest.approx((0.1, 0.05, 30))
    assert d.p == pytest.approx(0.0455, abs=1e-4)
    assert (d.low, d.high) == pytest.approx((0.1 - 0.098, 0.1 + 0.098), abs=1e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare([1, 2], [1], [0, 1]),
        lambda: compare([1, 2], [1, 2], [0]),
        lambda: compare([1, 2], [1, 2], [0, 1], "aurok"),
        lambda: compare([1, 2], [1, 2], [0, 1], "brier"),
        lambda: compare([1, 2], [1, 2], [0, 1], "aurc", test="delong"),
        lambda: compare([1, 2], [1, 2], [0, 1], test="mcnemar"),
        lambda: compare([1, 2], [1, 2], [0, 1], test="wilcoxon"),  # type: ignore[arg-type]
        lambda: compare([1, 2], [1, 2], [0, 1], test="delong", clusters=["a", "b"]),
        lambda: compare_unpaired(Estimate(0.5), Estimate(0.5)),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()


def answerers(n: int = 200, seed: int = 4) -> tuple[Any, Any, Any, Any]:
    """Two systems that answered the same questions: scores and own truths; the first knows better where it is wrong."""
    rng = np.random.default_rng(seed)
    y, z = (rng.integers(0, 2, n).astype(float) for _ in range(2))
    return 2.5 * y + rng.normal(size=n), 0.3 * z + rng.normal(size=n), y, z


@pytest.mark.parametrize("metric", ["auroc", "aurc", "prr"])
def test_each_system_is_judged_by_its_own_truth(metric: str) -> None:
    a, b, y, z = answerers()
    d = compare(a, b, y, metric, second_truth=z, ci=FAST, n_permutations=500)
    assert (d.first, d.second) == pytest.approx(tuple(evaluate(s, t, [metric], ci=None)[metric].value for s, t in ((a, y), (b, z))))
    assert d.p < 0.01
    assert d.low <= d.value <= d.high
    assert compare(b, a, z, metric, second_truth=y, ci=FAST, n_permutations=500).value == -d.value
    assert compare(a, b, y, metric, second_truth=y, ci=FAST, n_permutations=500) == compare(a, b, y, metric, ci=FAST, n_permutations=500)


def test_tests_with_own_truths_agree() -> None:
    a, b, y, z = answerers(seed=5)
    b = b + 1.6 * z
    exact = compare(a, b, y, second_truth=z, ci=None)
    assert exact.method == "delong, own truths"
    shuffled = compare(a, b, y, second_truth=z, test="permutation", ci=None, n_permutations=4000)
    assert shuffled.p == pytest.approx(exact.p, abs=0.05)
    right = compare(y, z, np.ones(200), "accuracy", second_truth=np.ones(200), ci=None)
    assert right.p == mcnemar(y, z).midp


def test_own_truths_where_one_system_is_undefined() -> None:
    a, b, y, _ = answerers()
    d = compare(a, b, y, second_truth=np.zeros(200))
    assert math.isnan(d.value)
    assert math.isnan(d.p)
    assert "class" in str(d.reason)
    missing = compare(a, b, y, second_truth=np.where(np.arange(200) < 10, np.nan, y), nan_policy="drop", ci=None)
    assert (missing.n, missing.n_missing) == (190, 10)
    with pytest.raises(InputError, match="second_truth"):
        compare(a, b, y, second_truth=y[:-1])
