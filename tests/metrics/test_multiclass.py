"""Multi-class metrics reduce to binary ones, and refuse rows that are no distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from trueline.errors import InputError
from trueline.metrics import brier, classwise_ece, ece, multiclass_brier, multiclass_nll, signed_ece, top_label_ece, top_label_signed_ece


def world(k: int = 3, n: int = 200) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(k), n)
    return p, np.array([rng.choice(k, p=row) for row in p])


def test_two_classes_are_the_binary_case() -> None:
    p, y = world(2)
    assert multiclass_brier(p, y, ci=None).value == pytest.approx(2 * brier(p[:, 1], y, ci=None).value, abs=1e-12)
    assert classwise_ece(p, y, ci=None).value >= 0


def test_by_parts() -> None:
    p, y = world()
    w = np.random.default_rng(1).integers(0, 3, len(y))
    top, right = p.max(axis=1), p.argmax(axis=1) == y
    assert top_label_ece(p, y, weights=w, ci=None).value == pytest.approx(ece(top, right, weights=w, ci=None).value, abs=1e-12)
    assert top_label_signed_ece(p, y, ci=None).value == pytest.approx(signed_ece(top, right, ci=None).value, abs=1e-12)
    by_class = np.mean([ece(p[:, k], y == k, weights=w, ci=None).value for k in range(3)])
    assert classwise_ece(p, y, weights=w, ci=None).value == pytest.approx(by_class, abs=1e-12)
    assert multiclass_nll(p, y, ci=None).value == pytest.approx(log_loss(y, p), abs=1e-12)
    many = np.repeat(np.arange(len(y)), w)
    for f in (top_label_ece, classwise_ece, multiclass_brier, multiclass_nll):
        assert f(p, y, weights=w, ci=None).value == pytest.approx(f(p[many], y[many], ci=None).value, abs=1e-12)


def test_intervals() -> None:
    p, y = world()
    for f in (top_label_ece, classwise_ece):
        assert f(p, y).low == 0
        assert f(p**4 / (p**4).sum(axis=1, keepdims=True), y).low > 0.02
    e = multiclass_brier(p, y)
    assert e.low < e.value < e.high


def test_missing_rows_and_certain_errors() -> None:
    p, y = world()
    p[3, 0] = np.nan
    with pytest.raises(InputError, match="index 3"):
        multiclass_brier(p, y)
    assert multiclass_brier(p, y, nan_policy="drop").n_missing == 1
    e = multiclass_nll([[1.0, 0.0], [0.5, 0.5]], [1, 1])
    assert e.value == math.inf
    assert e.reason == "infinite: 1 labels had probability 0"


@pytest.mark.parametrize(
    ("p", "y", "text"),
    [
        ([[0.5, 0.6]], [0], "row 0"),
        ([[1.5, -0.5]], [0], "row 0"),
        ([[0.5, 0.5]], [2], r"labels\[0\]"),
        ([[0.5, 0.5]], [0, 1], "shape"),
        ([0.5, 0.5], [0, 1], "shape"),
        ([[1.0]], [0], "shape"),
        ([[0.5, 0.5]], [0.5], r"labels\[0\]"),
    ],
)
def test_bad_input(p: Any, y: Any, text: str) -> None:
    for f in (top_label_ece, classwise_ece, multiclass_brier, multiclass_nll):
        with pytest.raises(InputError, match=text):
            f(p, y)
