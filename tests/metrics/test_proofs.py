"""Simulations behind docs/proofs/validation-core.md: coverage of intervals, size of tests, coverage of conformal sets.

Run with ``pytest tests/metrics/test_proofs.py -m slow -s``; every figure of the proof page is printed.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from trueline.metrics import accuracy, auroc, brier, compare, conformal_threshold, evaluate, mondrian_thresholds, nll
from trueline.stats import CI
from trueline.stats.delong import delong_test
from trueline.stats.mcnemar import mcnemar

pytestmark = pytest.mark.slow


def holds(e: Any, truth: float, slack: float = 0.0) -> bool:
    return bool(e.low - slack <= truth <= e.high + slack)


def binormal(rng: np.random.Generator, n: int, shift: float = 1.0) -> tuple[Any, Any]:
    y = (rng.random(n) < 0.4).astype(int)
    return y * shift + rng.normal(size=n), y


@pytest.mark.parametrize("kind", ["bca", "auto"])
def test_auroc_interval_covers(kind: Any) -> None:
    truth = NormalDist().cdf(1 / np.sqrt(2))
    rng = np.random.default_rng(11)
    rate = np.mean([holds(auroc(*binormal(rng, 300), ci=CI(kind, n_boot=1000, seed=s)), truth) for s in range(500)])
    print(f"\nAUROC, n = 300, {kind}: coverage {rate:.3f}")
    assert 0.925 <= rate <= 0.975


def test_delong_covers_small_samples_better_on_the_logit_scale() -> None:
    truth = NormalDist().cdf(2 / np.sqrt(2))
    rng = np.random.default_rng(12)
    logit, plain = [], []
    for _ in range(2000):
        e = auroc(*binormal(rng, 40, 2.0))
        logit.append(holds(e, truth))
        plain.append(e.value - 1.96 * e.se <= truth <= e.value + 1.96 * e.se)
    print(f"\nAUROC .921, n = 40, DeLong: logit scale {np.mean(logit):.3f}, plain {np.mean(plain):.3f}")
    assert np.mean(logit) > 0.925
    assert np.mean(logit) > np.mean(plain)


def test_cluster_interval_covers_and_item_interval_does_not() -> None:
    """60 clusters of 5 whose labels and 90 % of whose score noise are shared."""
    truth = NormalDist().cdf(1 / np.sqrt(2))
    rng = np.random.default_rng(13)
    by_cluster, by_item = [], []
    for s in range(500):
        group = np.repeat(np.arange(60), 5)
        y = rng.integers(0, 2, 60)[group]
        score = y + np.sqrt(0.9) * rng.normal(size=60)[group] + np.sqrt(0.1) * rng.normal(size=300)
        by_cluster.append(holds(auroc(score, y, clusters=group, ci=CI("bca", n_boot=500, seed=s)), truth))
        by_item.append(holds(auroc(score, y, ci=CI("bca", n_boot=500, seed=s)), truth))
    print(f"\nAUROC, 60 clusters of 5: cluster {np.mean(by_cluster):.3f}, item {np.mean(by_item):.3f}")
    assert 0.925 <= np.mean(by_cluster) <= 0.975
    assert np.mean(by_item) < 0.88


def test_wilson_covers_where_the_percentile_bootstrap_does_not() -> None:
    rng = np.random.default_rng(14)
    wilson, boot = [], []
    for s in range(600):
        right = (rng.random(30) < 0.93).astype(int)
        wilson.append(holds(accuracy(right), 0.93))
        boot.append(holds(accuracy(right, ci=CI("percentile", n_boot=400, seed=s)), 0.93) if right.min() == 0 else False)
    print(f"\naccuracy .93, n = 30: Wilson {np.mean(wilson):.3f}, percentile bootstrap {np.mean(boot):.3f}")
    assert np.mean(wilson) > 0.9 > np.mean(boot)


def overconfident(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Forecasts whose logit is twice the true one: rare, costly errors make the loss skewed."""
    logit = rng.normal(1.5, 1.2, n)
    return 1 / (1 + np.exp(-2 * logit)), (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)


@pytest.mark.parametrize("n", [20, 40])
def test_studentised_interval_covers_the_mean_of_a_skewed_loss(n: int) -> None:
    rng = np.random.default_rng(31)
    truth = nll(*overconfident(rng, 2_000_000), ci=None).value
    kinds = ("percentile", "bca", "studentised")
    found: dict[str, list[bool]] = {kind: [] for kind in kinds}
    for s in range(600):
        p, y = overconfident(rng, n)
        for kind in kinds:
            found[kind].append(holds(nll(p, y, ci=CI(kind, n_boot=600, seed=s)), truth))  # type: ignore[arg-type]
    rates = {k: float(np.mean(v)) for k, v in found.items()}
    print(f"\nmean NLL {truth:.3f}, n = {n}: " + ", ".join(f"{k} {v:.3f}" for k, v in rates.items()))
    assert rates["studentised"] > max(rates["bca"], rates["percentile"])
    assert rates["studentised"] >= 0.91


@pytest.mark.parametrize("g", [8, 15])
def test_studentised_interval_covers_with_few_clusters(g: int) -> None:
    """Brier score of g clusters of 10 forecasts that share most of their error."""
    rng = np.random.default_rng(32)
    kinds = ("percentile", "bca", "studentised")
    found: dict[str, list[bool]] = {kind: [] for kind in kinds}

    def data(clusters: int) -> tuple[Any, Any, Any]:
        group = np.repeat(np.arange(clusters), 10)
        logit = rng.normal(0.5, 1.0, clusters)[group] + rng.normal(0, 0.5, 10 * clusters)
        return np.full(10 * clusters, 0.6), (rng.random(10 * clusters) < 1 / (1 + np.exp(-logit))).astype(int), group

    truth = brier(*data(200_000)[:2], ci=None).value
    for s in range(600):
        p, y, group = data(g)
        for kind in kinds:
            found[kind].append(holds(brier(p, y, clusters=group, ci=CI(kind, n_boot=600, seed=s)), truth))  # type: ignore[arg-type]
    rates = {k: float(np.mean(v)) for k, v in found.items()}
    print(f"\nBrier, {g} clusters of 10: " + ", ".join(f"{k} {v:.3f}" for k, v in rates.items()))
    assert rates["studentised"] > max(rates["bca"], rates["percentile"])
    assert rates["studentised"] >= 0.92


def test_studentised_interval_of_auroc() -> None:
    truth = NormalDist().cdf(1 / np.sqrt(2))
    rng = np.random.default_rng(33)
    rate = np.mean([holds(auroc(*binormal(rng, 100), ci=CI("studentised", n_boot=500, seed=s)), truth) for s in range(2000)])
    print(f"\nAUROC .760, n = 100, studentised: coverage {rate:.3f}")
    assert 0.935 <= rate <= 0.975


@pytest.mark.parametrize("kind", ["bca", "studentised"])
def test_strata_give_back_the_width_that_their_design_earns(kind: Any) -> None:
    """Mean loss of three topics of 30 rows each, by design; their means are far apart."""
    rng = np.random.default_rng(34)
    topic = np.repeat(np.arange(3), 30)
    mean = np.array([0.2, 0.5, 0.8])
    found: dict[str, list[Any]] = {"plain": [], "strata": []}
    for s in range(600):
        loss = rng.beta(4 * mean[topic], 4 * (1 - mean[topic]))
        for name, strata in (("plain", None), ("strata", topic)):
            found[name].append(accuracy(loss, strata=strata, ci=CI(kind, n_boot=600, seed=s)))
    cover = {k: float(np.mean([holds(e, 0.5) for e in v])) for k, v in found.items()}
    width = {k: float(np.mean([e.high - e.low for e in v])) for k, v in found.items()}
    print(f"\nthree strata of 30, {kind}: coverage {cover}, width {width}")
    assert 0.925 <= cover["strata"] <= 0.97
    assert cover["plain"] > 0.98
    assert width["strata"] < 0.75 * width["plain"]


@pytest.mark.parametrize("g", [10, 24])
def test_accuracy_of_clusters_is_covered_by_the_adjusted_wilson_interval(g: int) -> None:
    rng = np.random.default_rng(35)
    found: dict[str, list[bool]] = {"auto": [], "bca": [], "rows": []}
    group = np.repeat(np.arange(g), 20)
    for s in range(600):
        right = (rng.random(20 * g) < rng.beta(0.8 * 4, 0.2 * 4, g)[group]).astype(int)
        found["auto"].append(holds(accuracy(right, clusters=group), 0.8))
        found["bca"].append(holds(accuracy(right, clusters=group, ci=CI("bca", n_boot=600, seed=s)), 0.8))
        found["rows"].append(holds(accuracy(right), 0.8))
    rates = {k: float(np.mean(v)) for k, v in found.items()}
    print(f"\naccuracy .8, {g} clusters of 20, ICC .2: " + ", ".join(f"{k} {v:.3f}" for k, v in rates.items()))
    assert rates["auto"] >= 0.93
    assert rates["auto"] > rates["bca"] > rates["rows"]


def miscalibrated(rng: np.random.Generator, n: int, slope: float, shift: float) -> tuple[Any, Any]:
    p = rng.beta(2, 1.5, n)
    logit = np.log(p / (1 - p))
    return p, (rng.random(n) < 1 / (1 + np.exp(-(slope * logit + shift)))).astype(int)


@pytest.mark.parametrize(("slope", "shift", "least", "debiased"), [(1.0, 0.0, 0.8, 0.93), (0.6, -0.3, 0.88, 0.93), (0.4, -0.5, 0.88, 0.93)])
def test_calibration_error_interval_covers_the_population_value(slope: float, shift: float, least: float, debiased: float) -> None:
    rng = np.random.default_rng(15)
    p, y = miscalibrated(rng, 4_000_000, slope, shift)
    code = np.minimum((p * 15).astype(int), 14)
    gap, mass = np.bincount(code, y - p, 15) / len(p), np.bincount(code, minlength=15) / len(p)
    truth = {"ece": np.abs(gap).sum(), "debiased_squared_ece": (gap**2 / mass).sum()}
    found: dict[str, list[bool]] = {"ece": [], "debiased_squared_ece": [], "ece bca": []}
    for s in range(300):
        p, y = miscalibrated(rng, 300, slope, shift)
        for name, e in evaluate(p, y, list(truth), ci=CI(n_boot=400, seed=s)).items():
            found[name].append(holds(e, truth[name], 1e-3))
        found["ece bca"].append(holds(evaluate(p, y, ["ece"], ci=CI("bca", n_boot=400, seed=s))["ece"], truth["ece"], 1e-3))
    rates = {k: float(np.mean(v)) for k, v in found.items()}
    print(f"\nECE {truth['ece']:.3f}, n = 300: " + ", ".join(f"{k} {v:.3f}" for k, v in rates.items()))
    assert rates["ece"] >= least
    assert rates["debiased_squared_ece"] >= debiased
    assert rates["ece bca"] < rates["ece"]


def test_size_of_the_tests_under_no_difference() -> None:
    rng = np.random.default_rng(16)
    p: dict[str, list[float]] = {"delong": [], "permutation": [], "mcnemar": [], "mcnemar mid-p": []}
    for _ in range(1000):
        y = rng.integers(0, 2, 200)
        shared = rng.normal(size=200)
        a, b = (y + shared + rng.normal(size=200) for _ in range(2))
        p["delong"].append(delong_test(a, b, y).p)
        p["permutation"].append(compare(a, b, y, test="permutation", ci=None, n_permutations=300).p)
        test = mcnemar((a > 0.5) == y, (b > 0.5) == y)
        p["mcnemar"].append(test.p)
        p["mcnemar mid-p"].append(test.midp)
    rates = {k: float(np.mean(np.array(v) <= 0.05)) for k, v in p.items()}
    print("\nrejections at 5 %, n = 200: " + ", ".join(f"{k} {v:.3f}" for k, v in rates.items()))
    assert 0.035 <= rates["delong"] <= 0.065
    assert 0.035 <= rates["permutation"] <= 0.065
    assert rates["mcnemar"] <= 0.055
    assert 0.025 <= rates["mcnemar mid-p"] <= 0.065


def test_conformal_coverage_is_the_beta_mean() -> None:
    rng = np.random.default_rng(17)
    n, alpha = 200, 0.1
    cover = []
    for _ in range(1000):
        t = conformal_threshold(np.abs(rng.normal(size=n)), alpha)
        cover.append(2 * NormalDist().cdf(t) - 1)
    lost = int((n + 1) * alpha)
    print(f"\nsplit conformal, n = {n}: mean coverage {np.mean(cover):.4f}, Beta mean {(n + 1 - lost) / (n + 1):.4f}")
    assert np.mean(cover) == pytest.approx((n + 1 - lost) / (n + 1), abs=0.01)
    assert np.std(cover) == pytest.approx(np.sqrt((n + 1 - lost) * lost / (n + 1) ** 2 / (n + 2)), rel=0.1)


def test_mondrian_holds_in_each_group_and_plain_does_not() -> None:
    """Groups 70/30 with noise 1 and 2.5."""
    rng = np.random.default_rng(18)
    noise = np.array([1.0, 2.5])
    plain, mondrian = [], []
    for _ in range(300):
        group = (rng.random(500) < 0.3).astype(int)
        scores = np.abs(rng.normal(size=500)) * noise[group]
        t, by_group = conformal_threshold(scores, 0.1), mondrian_thresholds(scores, group, 0.1)
        normal = NormalDist()
        plain.append([2 * normal.cdf(t / s) - 1 for s in noise])
        mondrian.append([2 * normal.cdf(by_group[g] / s) - 1 for g, s in enumerate(noise)])
    a, b = np.mean(plain, axis=0), np.mean(mondrian, axis=0)
    print(f"\ncoverage by group: plain {a.round(3)}, Mondrian {b.round(3)}")
    assert (np.abs(a - 0.9) > 0.05).all()
    assert b == pytest.approx([0.9, 0.9], abs=0.015)
