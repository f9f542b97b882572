"""Bootstrap-t intervals: influence values against finite differences, standard errors against theory, kinds that have none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import METRICS, auroc, brier, compare, evaluate, nll
from trueline.metrics._items import item_estimates
from trueline.metrics.distributional import capability
from trueline.stats import CI, estimates, sorted_sample
from trueline.stats.delong import delong_interval
from trueline.stats.studentised import standard_errors

WITH_INFLUENCE = ["accuracy", "auroc", "brier", "nll", "signed_ece"]


def world(n: int = 60, seed: int = 0, digits: int = 6) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 1, n).round(digits).clip(0.01, 0.99)
    return p, (rng.random(n) < p).astype(float)


@pytest.mark.parametrize("name", WITH_INFLUENCE)
@pytest.mark.parametrize("digits", [6, 1])
def test_influence_is_the_derivative_by_a_rows_weight(name: str, digits: int) -> None:
    p, y = world(30, digits=digits)
    sample = sorted_sample(p, y, merge=False)
    metric = METRICS[name]
    assert metric.influence is not None
    weights = np.random.default_rng(1).integers(1, 4, (1, 30)).astype(float)
    shown = metric.influence(sample, weights)[0]
    h = 1e-6
    nudged = weights + h * np.eye(30), weights - h * np.eye(30)
    slope = (metric.value(sample, nudged[0]) - metric.value(sample, nudged[1])) / (2 * h)
    assert shown == pytest.approx(slope, abs=1e-6)
    assert shown @ weights[0] == pytest.approx(0, abs=1e-12)


def test_standard_error_of_a_mean_is_s_over_root_n() -> None:
    p, y = world(50)
    for clusters in (None, np.arange(50)):
        sample = sorted_sample(p, y, clusters=clusters)
        se = standard_errors(sample, sample.weights[None], metric=METRICS["brier"])[0]
        assert se == pytest.approx(((p - y) ** 2).std(ddof=1) / math.sqrt(50))


def test_standard_error_of_auroc_is_delongs() -> None:
    p, y = world(400)
    sample = sorted_sample(p, y)
    interval = delong_interval(sample, 0.95)
    assert interval is not None
    assert standard_errors(sample, sample.weights[None], metric=METRICS["auroc"])[0] == pytest.approx(interval.se, rel=0.01)


def test_merged_rows_and_whole_clusters_have_the_error_of_what_they_stand_for() -> None:
    p, y = world(80, digits=1)
    merged, single = sorted_sample(p, y), sorted_sample(p, y, merge=False)
    assert merged.n_rows < 40
    five = sorted_sample(np.repeat(p, 5), np.repeat(y, 5), clusters=np.repeat(np.arange(80), 5))
    for name in WITH_INFLUENCE:
        found = [standard_errors(s, s.weights[None], metric=METRICS[name])[0] for s in (merged, single, five)]
        assert found == pytest.approx([found[1]] * 3)


def test_weights_count_for_the_value_and_not_as_evidence() -> None:
    p, y = world(60)
    plain, tripled = brier(p, y, ci="studentised"), brier(p, y, weights=np.full(60, 3.0), ci="studentised")
    assert (tripled.low, tripled.high) == pytest.approx((plain.low, plain.high))
    some = np.r_[np.zeros(20), np.ones(40)]
    assert brier(p, y, weights=some, clusters=np.arange(60) // 4, ci="studentised").low < 0.2


def test_the_interval_leans_to_where_the_tail_is() -> None:
    rng = np.random.default_rng(3)
    p = np.where(rng.random(40) < 0.1, 0.02, 0.9)
    e, boot = (nll(p, np.ones(40), ci=CI(kind)) for kind in ("studentised", "percentile"))  # type: ignore[arg-type]
    assert e.method.startswith("studentised, 2000")
    assert e.high - e.value > 1.5 * (e.value - e.low)
    assert e.high > boot.high


def test_a_wider_level_and_the_seed() -> None:
    p, y = world()
    narrow, wide, again = (auroc(p, y, ci=CI("studentised", level=level)) for level in (0.8, 0.99, 0.8))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert narrow == again


def test_metrics_without_influence_say_so() -> None:
    p, y = world()
    found = evaluate(p, y, ["ece", "brier"], ci="studentised")
    assert math.isnan(found["ece"].low)
    assert "no studentised interval for ece" in str(found["ece"].reason)
    assert found["brier"].low < found["brier"].value
    with pytest.raises(InputError, match="one sample"):
        compare(p, p[::-1], y, "brier", ci="studentised")


def test_no_spread_falls_back_or_says_so() -> None:
    right = METRICS["accuracy"]
    e = estimates(sorted_sample(np.arange(20), np.zeros(20)), [right], "studentised")["accuracy"]
    assert 0.8 < e.low < 1 == e.high
    flat = brier(np.full(20, 0.5), np.r_[np.ones(10), np.zeros(10)], ci="studentised")
    assert math.isnan(flat.low)
    assert "no interval" in str(flat.reason)


@pytest.mark.parametrize("metric", ["prr", "auprc"])
def test_few_rows_in_perfect_order_make_no_interval_of_width_zero(metric: str) -> None:
    few = evaluate([0.1, 0.2, 0.9], [0, 0, 1], [metric])[metric]
    assert few.value == 1
    assert math.isnan(few.low)
    assert few.reason == "no interval: every replicate has the same value"
    known = evaluate([0.1, 0.2, 0.9], [0, 0, 1], ["auroc"])["auroc"]  # where theory knows better it is asked
    assert known.low < 0.1
    assert known.high == 1


def test_means_and_ratios_over_items_have_it_too() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.exponential(size=50), rng.exponential(size=50) + 1
    found = item_estimates({"mean": a}, {"ratio": (np.minimum(a, b), b, "empty")}, ci="studentised", largest=math.inf)
    assert found["mean"].se == pytest.approx(a.std() / math.sqrt(50), rel=0.1)
    assert found["ratio"].low < found["ratio"].value < found["ratio"].high
    sampled = capability(rng.integers(0, 2, 40), rng.integers(0, 2, (40, 8)), (1, 4), ci="studentised")
    assert sampled.pass_at_k[4].method.startswith("studentised")
