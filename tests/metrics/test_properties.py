"""Properties that hold for every metric: weights are repetition, order of rows is nothing, ties, scale, direction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trueline.metrics import METRICS, Bins, ece_metric, evaluate
from trueline.metrics.calibration_slope import CALIBRATION_INTERCEPT, CALIBRATION_SLOPE
from trueline.metrics.corp import corp_metrics
from trueline.metrics.proper import MURPHY
from trueline.metrics.risk_coverage import coverage_at_risk_metric, prr_metric, selective_risk_metric
from trueline.stats import CI, Metric

ALL: list[Metric] = [
    *METRICS.values(),
    *(m for m in MURPHY if m.name != "brier"),
    *corp_metrics(),
    CALIBRATION_SLOPE,
    CALIBRATION_INTERCEPT,
]
SETTINGS = [ece_metric(Bins(10, closed="left"), 2), prr_metric(0.35), selective_risk_metric(0.5), coverage_at_risk_metric(0.4)]
REAL = [m for m in ALL if m.truth == "real"]
RANK_ONLY = ["auroc", "auprc", "fpr_at_tpr", "aurc", "e_aurc", "augrc", "prr", "prr_unconditional", "spearman", "kendall", "concordance"]
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def rows(draw: st.DrawFn, levels: int = 8) -> tuple[Any, Any, Any]:
    """Scores with many ties, labels of both classes, integer weights some of which are zero."""
    n = draw(st.integers(4, 25))
    score = draw(st.lists(st.integers(0, levels), min_size=n, max_size=n))
    label = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    weight = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    label[0], label[1], weight[0], weight[1] = 0, 1, 1, 1
    return np.array(score) / levels, np.array(label, dtype=float), np.array(weight, dtype=float)


def values(scores: Any, truth: Any, metrics: list[Metric], **kw: Any) -> dict[str, float]:
    return {name: e.value for name, e in evaluate(scores, truth, metrics, ci=None, **kw).items()}


def same(one: dict[str, float], two: dict[str, float], tolerance: float = 1e-12) -> None:
    for name in one:
        assert one[name] == pytest.approx(two[name], abs=tolerance, nan_ok=True), name


@quick
@given(rows())
def test_integer_weights_are_repetition(data: tuple[Any, Any, Any]) -> None:
    p, y, w = data
    many = w.astype(int)
    binary = [m for m in ALL if m.name not in ("calibration_slope", "calibration_intercept")]
    same(values(p, y, binary, weights=w), values(np.repeat(p, many), np.repeat(y, many), binary))
    same(values(p, y, SETTINGS, weights=w), values(np.repeat(p, many), np.repeat(y, many), SETTINGS))


@quick
@given(rows())
def test_integer_weights_are_repetition_after_newton(data: tuple[Any, Any, Any]) -> None:
    p, y, w = data
    many = w.astype(int)
    fitted = [CALIBRATION_SLOPE, CALIBRATION_INTERCEPT]
    same(values(p, y, fitted, weights=w), values(np.repeat(p, many), np.repeat(y, many), fitted), 1e-8)


@quick
@given(rows(), st.integers(0, 10**6))
def test_integer_weights_are_repetition_for_real_truth(data: tuple[Any, Any, Any], seed: int) -> None:
    p, _, w = data
    loss = np.round(np.random.default_rng(seed).random(len(p)), 1)
    many = w.astype(int)
    same(values(p, loss, REAL, weights=w), values(np.repeat(p, many), np.repeat(loss, many), REAL))


@quick
@given(rows(), st.randoms(use_true_random=False))
def test_order_of_rows_is_nothing(data: tuple[Any, Any, Any], random: Any) -> None:
    p, y, w = data
    order = np.array(random.sample(range(len(p)), len(p)))
    same(values(p, y, ALL, weights=w), values(p[order], y[order], ALL, weights=w[order]), 1e-9)


@quick
@given(rows())
def test_ranking_metrics_see_only_the_order_of_scores(data: tuple[Any, Any, Any]) -> None:
    p, y, w = data
    chosen = [METRICS[name] for name in RANK_ONLY]
    same(values(p, y, chosen, weights=w), values(np.exp(7 * p) - 100, y, chosen, weights=w))
    same(values(p, y, chosen), values(np.where(p == p.max(), np.inf, p), y, chosen))


@quick
@given(rows())
def test_weights_have_no_scale_but_for_harmonic_sums(data: tuple[Any, Any, Any]) -> None:
    p, y, w = data
    counting = {"aurc", "e_aurc", "prr", "selective_risk", "debiased_ece", "debiased_squared_ece", "smooth_ece"}
    chosen = [m for m in ALL if m.name not in counting]
    same(values(p, y, chosen, weights=w), values(p, y, chosen, weights=w * 0.37), 1e-9)


@quick
@given(rows())
def test_turning_the_score_round_turns_the_ranking_round(data: tuple[Any, Any, Any]) -> None:
    p, y, w = data
    forward, back = values(p, y, ALL, weights=w), values(1 - p, y, ALL, weights=w)
    assert forward["auroc"] == pytest.approx(1 - back["auroc"], abs=1e-12)
    assert forward["spearman"] == pytest.approx(-back["spearman"], abs=1e-12, nan_ok=True)
    assert forward["kendall"] == pytest.approx(-back["kendall"], abs=1e-12, nan_ok=True)
    assert forward["prr_unconditional"] == pytest.approx(2 * forward["auroc"] - 1, abs=1e-12)
    assert forward["concordance"] == pytest.approx(forward["auroc"], abs=1e-12)


@quick
@given(rows())
def test_identities(data: tuple[Any, Any, Any]) -> None:
    p, y, w = data
    v = values(p, y, ALL, weights=w)
    assert v["brier"] == pytest.approx(v["reliability"] - v["resolution"] + v["uncertainty"], abs=1e-12)
    assert v["brier"] == pytest.approx(v["miscalibration"] - v["discrimination"] + v["corp_uncertainty"], abs=1e-12)
    assert v["augrc"] == pytest.approx((1 - v["auroc"]) * v["accuracy"] * (1 - v["accuracy"]) + (1 - v["accuracy"]) ** 2 / 2, abs=1e-12)
    assert abs(v["signed_ece"]) <= v["ece"] + 1e-12 <= v["mce"] + 2e-12
    assert v["e_aurc"] >= -1e-12


def test_ties_by_expectation_is_the_mean_over_random_orders() -> None:
    rng = np.random.default_rng(0)
    score, loss = rng.integers(0, 4, 40).astype(float), rng.random(40).round(2)
    mean = np.mean([values(score + 1e-6 * rng.random(40), loss, [METRICS["aurc"]])["aurc"] for _ in range(4000)])
    assert values(score, loss, [METRICS["aurc"]])["aurc"] == pytest.approx(mean, abs=2e-3)


def test_float32_scores_are_summed_in_float64() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(5000).astype(np.float32)
    y = (rng.random(5000) < p).astype(np.float32)
    same(values(p, y, ALL[:19]), values(p.astype(np.float64), y.astype(np.float64), ALL[:19]))


def test_intervals_do_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    p, order = rng.random(120), rng.permutation(120)
    y = (rng.random(120) < p).astype(float)
    names = ["auroc", "aurc", "ece", "brier"]
    one, two = (evaluate(a, b, names, ci=CI("bca", n_boot=200)) for a, b in ((p, y), (p[order], y[order])))
    for name in names:
        assert (one[name].low, one[name].high) == pytest.approx((two[name].low, two[name].high), abs=1e-12)
