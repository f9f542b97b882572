"""Recalibration maps: they repair a known distortion, are monotone, and refuse their own rows."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import brier, cross_fit, debiased_ece, recalibrate, venn_abers_interval
from trueline.metrics.recalibration import Method, folds
from trueline.stats.logistic import logit, sigmoid

METHODS = get_args(Method)
GRID = np.linspace(0, 1, 101)


def distorted(n: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return sigmoid(2.5 * z), (rng.random(n) < sigmoid(z)).astype(int)


@pytest.mark.parametrize("method", METHODS)
def test_repairs_overconfidence_on_other_rows(method: Any) -> None:
    train, test = distorted(1500, 0), distorted(1500, 1)
    fitted = recalibrate(method).fit(*train)
    q = fitted.predict(test[0])
    assert ((q >= 0) & (q <= 1)).all()
    assert brier(q, test[1], ci=None).value < brier(*test, ci=None).value - 0.01
    assert debiased_ece(q, test[1], ci=None).value < 0.5 * debiased_ece(*test, ci=None).value


@pytest.mark.parametrize("method", [m for m in METHODS if m != "histogram"])
def test_monotone(method: Any) -> None:
    assert (np.diff(recalibrate(method).fit(*distorted(400, 0)).predict(GRID)) >= -1e-12).all()


@pytest.mark.parametrize("method", METHODS)
def test_integer_weights_are_repetition(method: Any) -> None:
    p, y = distorted(300, 0)
    w = np.random.default_rng(0).integers(1, 3, 300)
    one = recalibrate(method, n_bins=1).fit(p, y, weights=w).predict(GRID)
    two = recalibrate(method, n_bins=1).fit(np.repeat(p, w), np.repeat(y, w)).predict(GRID)
    assert one == pytest.approx(two, abs=1e-6)


def test_known_parameters() -> None:
    p, y = distorted(20_000, 0)
    assert recalibrate("temperature").fit(p, y).parameters["temperature"] == pytest.approx(2.5, rel=0.05)
    platt = recalibrate("platt").fit(p, y).parameters
    assert (platt["a"], platt["b"]) == pytest.approx((0.4, 0), abs=0.03)


def test_its_own_rows_are_refused_in_any_order() -> None:
    p, y = distorted(300, 0)
    fitted = recalibrate("platt").fit(p, y)
    order = np.random.default_rng(0).permutation(300)
    with pytest.raises(InputError, match="cross_fit"):
        fitted.evaluate(p[order], y[order])
    assert fitted.evaluate(*distorted(300, 1), ci=None)["brier"].defined


def test_small_sets_warn() -> None:
    for method in ("isotonic", "histogram"):
        with pytest.warns(UserWarning, match="overfits"):
            recalibrate(method).fit(*distorted(50, 0))  # type: ignore[arg-type]


def test_separation_stays_inside_the_unit_interval() -> None:
    p, y = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
    q = recalibrate("platt").fit(p, y).predict(p)
    assert ((q > 0) & (q < 1)).all()


def test_beta_drops_a_negative_slope() -> None:
    p, y = distorted(300, 0)
    parameters = recalibrate("beta").fit(1 - p, y).parameters
    assert parameters["a"] >= 0
    assert parameters["b"] >= 0


def test_cross_fit_never_shows_a_cluster_its_own_labels() -> None:
    p, y = distorted(400, 0)
    cluster = np.arange(400) // 8
    out = cross_fit("platt", p, y, clusters=cluster)
    fold = folds(400, cluster, 5, 0)
    changed = y.copy()
    changed[fold == 2] = 1 - changed[fold == 2]
    again = cross_fit("platt", p, changed, clusters=cluster)
    assert np.array_equal(out[fold == 2], again[fold == 2])
    assert not np.array_equal(out[fold != 2], again[fold != 2])
    assert all(len(np.unique(fold[cluster == c])) == 1 for c in range(50))
    assert debiased_ece(out, y, ci=None).value < debiased_ece(p, y, ci=None).value


def test_venn_abers_brackets_the_truth() -> None:
    p, y = distorted(500, 0)
    query = np.array([0.05, 0.5, 0.95])
    low, high = venn_abers_interval(p, y, query)
    assert (low <= high).all()
    assert (high - low < 0.25).all()
    assert sigmoid(logit(query) / 2.5) == pytest.approx(high / (1 - low + high), abs=0.12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: recalibrate("spline"),
        lambda: recalibrate("histogram", n_bins=0),
        lambda: recalibrate().fit([1.2], [1]),
        lambda: recalibrate().fit([0.2], [2]),
        lambda: recalibrate().fit([0.2, 0.3], [1]),
        lambda: recalibrate().fit([], []),
        lambda: recalibrate().fit([0.2, 0.4], [1, 0]).predict([float("nan")]),
        lambda: cross_fit("platt", [0.5], [1]),
        lambda: cross_fit("platt", [0.5, 0.4], [1, 0], clusters=["a", "a"]),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()
