"""Curves: they contain the metrics that go with them, and their bands hold the curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from trueline.errors import InputError
from trueline.metrics import (
    CI,
    aurc,
    auroc,
    ece,
    reliability,
    risk_coverage_band,
    roc_curve_band,
    selective_risk,
    smooth_ece,
    smooth_reliability,
)

FAST = CI(n_boot=300)


def world(n: int = 200, digits: int = 2) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    u = rng.random(n).round(digits)
    return u, (rng.random(n) < u).astype(int)


@pytest.mark.parametrize("digits", [1, 6])
@pytest.mark.parametrize("clusters", [None, np.arange(200) // 5])
def test_roc(digits: int, clusters: Any) -> None:
    u, wrong = world(digits=digits)
    c = roc_curve_band(u, wrong, clusters=clusters, ci=FAST, n_points=201)
    fpr, tpr, _ = roc_curve(wrong, u, drop_intermediate=False)
    # At a vertical step scikit-learn lists both ends; the curve here takes the upper one.
    upper = np.array([tpr[fpr <= x + 1e-12].max() for x in fpr])
    expected = np.interp(c.x, fpr, tpr)
    assert c.y == pytest.approx(np.maximum(expected, np.where(np.isin(c.x, fpr), np.interp(c.x, fpr, upper), 0)), abs=0.03)
    assert np.trapezoid(c.y, c.x) == pytest.approx(auroc(u, wrong, ci=None).value, abs=0.01)
    assert (c.low <= c.y).all()
    assert (c.y <= c.high).all()
    assert (np.diff(c.y) >= -1e-12).all()
    assert c.y[-1] == 1
    assert repr(c.summary) == repr(auroc(u, wrong, clusters=clusters, ci=FAST))


def test_roc_of_one_class_says_why() -> None:
    c = roc_curve_band([1, 2, 3], [1, 1, 1])
    assert np.isnan(c.y).all()
    assert c.summary.reason is not None
    assert "only one class" in c.summary.reason


@pytest.mark.parametrize("clusters", [None, np.arange(200) // 5])
def test_risk_coverage(clusters: Any) -> None:
    u, wrong = world()
    c = risk_coverage_band(u, wrong, clusters=clusters, ci=FAST)
    for x, y in zip(c.x, c.y, strict=True):
        assert y == pytest.approx(selective_risk(u, wrong, coverage=x, ci=None).value, abs=1e-12)
    assert c.x[-1] == 1
    assert c.y[-1] == pytest.approx(wrong.mean())
    assert (c.low <= c.y + 1e-12).all()
    assert (c.y <= c.high + 1e-12).all()
    assert c.summary.value == aurc(u, wrong, ci=None).value
    full = risk_coverage_band(u, wrong, n_points=201, ci=None)
    assert full.y.mean() == pytest.approx(full.summary.value, abs=1e-12)
    assert np.isnan(full.low).all()


def test_no_error_among_the_surest_is_not_certainty() -> None:
    c = risk_coverage_band(np.arange(50), (np.arange(50) > 30).astype(int), ci=FAST)
    assert c.y[0] == 0
    assert c.high[0] > 0.5
    assert c.high[20] < c.high[0]


@pytest.mark.parametrize("bins", ["width", "mass"])
def test_reliability(bins: Any) -> None:
    p, y = world(digits=3)
    w = np.random.default_rng(0).integers(0, 3, 200)
    r = reliability(p, y, bins=bins, weights=w, ci=FAST)
    assert (r.weight * np.abs(r.accuracy - r.confidence)).sum() / r.weight.sum() == pytest.approx(
        ece(p, y, n_bins=10, bins=bins, weights=w, ci=None).value, abs=1e-12
    )
    assert r.count.sum() <= 200
    assert ((r.lower <= r.confidence) & (r.confidence <= r.upper)).all()
    assert ((r.low <= r.accuracy) & (r.accuracy <= r.high)).all()
    assert r.method == "wilson"


def test_reliability_of_clusters_is_wider_and_never_a_point() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(60)
    y = (rng.random(60) < p).astype(int)
    ten = np.repeat(np.arange(60), 10)
    naive, honest = reliability(p[ten], y[ten], ci=FAST), reliability(p[ten], y[ten], clusters=ten, ci=FAST)
    assert (honest.high - honest.low).mean() > 2 * (naive.high - naive.low).mean()
    assert (honest.high - honest.low > 0).all()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="n_points"):
        roc_curve_band([1, 2], [0, 1], n_points=1)
    with pytest.raises(InputError, match="probabilities"):
        reliability([1.5, 0.5], [0, 1])
    with pytest.raises(InputError, match="index 0"):
        roc_curve_band([1, 2], [3, 1])


def test_a_smooth_reliability_curve_by_hand() -> None:
    """With rows at one confidence only, the curve there is the share of truth 1."""
    c = smooth_reliability(np.full(40, 0.5), np.arange(40) < 10, bandwidth=0.1, ci=FAST)
    assert c.y[50] == pytest.approx(0.25)
    assert np.isnan(c.y[:45]).all()
    assert np.isnan(c.y[56:]).all()
    assert c.low[50] < 0.2
    assert c.high[50] > 0.3


@pytest.mark.parametrize("clusters", [None, np.arange(3000) // 3])
def test_the_smooth_curve_holds_a_perfect_confidence_to_the_diagonal_and_finds_a_planted_error(clusters: Any) -> None:
    rng = np.random.default_rng(2)
    p = rng.random(3000)
    for truth, curve in ((p, lambda x: x), (p**2, lambda x: x**2)):
        y = (rng.random(3000) < truth).astype(int)
        c = smooth_reliability(p, y, clusters=clusters, ci=FAST)
        assert np.abs(c.y - curve(c.x)).max() < 0.08  # some 600 rows under the Gaussian: a standard error of .02
        assert ((c.low <= curve(c.x) + 0.02) & (curve(c.x) - 0.02 <= c.high)).mean() > 0.85
        assert c.summary.value == smooth_ece(p, y, ci=None).value
    assert np.abs(c.y - c.x).max() > 0.15  # negative: the planted error is not smoothed away


def test_the_smooth_curve_counts_weights_as_repetition_and_needs_items_enough() -> None:
    p, y, w = np.array([0.2, 0.4, 0.8, 0.9]), np.array([0, 1, 1, 0]), np.array([3, 5, 4, 2])
    weighted = smooth_reliability(p, y, weights=w, bandwidth=0.2, ci=None)
    repeated = smooth_reliability(np.repeat(p, w), np.repeat(y, w), bandwidth=0.2, ci=None)
    assert weighted.y == pytest.approx(repeated.y, nan_ok=True)
    few = smooth_reliability(p, y, ci=FAST)
    assert np.isnan(few.y).all()
    with pytest.raises(InputError, match="bandwidth is 0"):
        smooth_reliability(p, y, bandwidth=0)
    with pytest.raises(InputError, match="probabilities in"):
        smooth_reliability(2 * p, y)
