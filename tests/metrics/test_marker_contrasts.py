"""Paired contrasts of classes, the regression on all labels, and emitted markers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm

from trueline.errors import InputError
from trueline.metrics.marker_contrasts import class_contrast, label_regression


def table(n: int = 80, effects: tuple[float, ...] = (0.0, 0.2, 0.5, 0.5), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + np.array(effects) + rng.normal(0, 0.1, size=(n, len(effects)))


def test_a_contrast_is_paired_by_item() -> None:
    y = table()
    found = class_contrast(y[:, 2:], y[:, :2], legacy=True)
    d = y[:, 2:].mean(axis=1) - y[:, :2].mean(axis=1)
    assert found.estimate.value == pytest.approx(d.mean())
    assert found.estimate.se == pytest.approx(d.std(ddof=1) / np.sqrt(80))
    assert found.estimate.low < 0.4 < found.estimate.high
    assert found.bootstrap[0] == pytest.approx(found.estimate.low, abs=0.01)
    assert found.p < 1e-10
    assert found.legacy is not None
    assert found.legacy["unpaired_p"] > 1e-5  # items differ far more than markers: without pairing the effect drowns
    assert math.isnan(found.mcnemar_p)


def test_identical_answers_are_no_error() -> None:
    y = (np.arange(40) % 2).astype(float)
    found = class_contrast(y, y)
    assert (found.estimate.value, found.estimate.se, found.p, found.mcnemar_p) == (0, 0, 1, 1)
    assert found.bootstrap == (0, 0)
    shifted = class_contrast(np.ones(40), np.zeros(40))
    assert 0 < shifted.p < 1e-9


def test_missing_items_are_counted_and_few_items_refused() -> None:
    y = table()
    y[:3, 0] = math.nan
    assert class_contrast(y[:, 0], y[:, 1]).estimate.n_missing == 3
    few = class_contrast(y[10:29, 2], y[10:29, 1])
    assert math.isfinite(few.estimate.value)
    assert math.isnan(few.estimate.low)
    assert math.isnan(few.p)
    assert "no interval below 20" in str(few.estimate.reason)
    none = class_contrast([math.nan] * 30, [0.0] * 30)
    assert math.isnan(none.estimate.value)
    assert none.to_json()["value"] is None


def test_clusters_widen() -> None:
    y = np.repeat(table(20), 5, axis=0)
    labels = np.repeat([f"c{k}" for k in range(20)], 5).tolist()
    alone, together = class_contrast(y[:, 2], y[:, 1]), class_contrast(y[:, 2], y[:, 1], clusters=labels)
    single = class_contrast(y[::5, 2], y[::5, 1])
    assert together.estimate.se == pytest.approx(single.estimate.se)
    assert together.estimate.se > 2 * alone.estimate.se
    assert together.estimate.value == pytest.approx(alone.estimate.value)


def test_regression_equals_least_squares_with_item_intercepts() -> None:
    y = table(60)
    labels = {"weak": np.array([0.0, 1, 1, 0]), "sourced": np.array([0.0, 0, 1, 1])}
    found = label_regression(y, labels)
    n, m = y.shape
    dummies = np.kron(np.eye(n), np.ones((m, 1)))
    x = np.column_stack([*(np.tile(v, n) for v in labels.values()), dummies])
    fit = sm.OLS(y.ravel(), x).fit()
    assert [found[name].value for name in labels] == pytest.approx(list(fit.params[:2]))
    assert found["sourced"].low < 0.4 < found["sourced"].high


def test_regression_says_what_it_cannot_tell() -> None:
    y = table(30)
    y[0, 0] = math.nan
    labels = {
        "a": np.array([0.0, 0, 1, 1]),
        "same": np.array([0.0, 0, 1, 1]),
        "flat": np.ones(4),
        "unknown": np.full((30, 4), math.nan),
        "own": np.random.default_rng(1).normal(size=(30, 4)),
    }
    found = label_regression(y, labels)
    assert found["a"].defined
    assert found["own"].low < 0 < found["own"].high
    for name in ("same", "flat", "unknown"):
        assert math.isnan(found[name].value)
        assert found[name].reason
    assert found["a"].n_missing == 1


def test_bad_input() -> None:
    with pytest.raises(InputError, match="second"):
        class_contrast([1, 0], [1])
    with pytest.raises(InputError, match="first has shape"):
        class_contrast([], [])
    with pytest.raises(InputError, match="the label 'x'"):
        label_regression(table(30), {"x": [1.0, 2.0]})
