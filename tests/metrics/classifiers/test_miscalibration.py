"""Signed miscalibration by class: parts, planted sides, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics import CI, miscalibration_score, top_label_ece, top_label_signed_ece

QUICK = CI(n_boot=200)


def two_sided(rng: np.random.Generator, n: int = 3000) -> tuple[Any, Any]:
    """Predicted class 0: says .9, right 6 times in 10. Predicted class 1: says .6, right 9 times in 10."""
    predicted = np.arange(n) % 2
    said, right = np.where(predicted == 0, 0.9, 0.6), rng.random(n) < np.where(predicted == 0, 0.6, 0.9)
    p = np.where(predicted[:, None] == np.arange(2), said[:, None], 1 - said[:, None])
    return p, np.where(right, predicted, 1 - predicted)


def test_two_sides_that_cancel() -> None:
    p, y = two_sided(np.random.default_rng(0))
    found = miscalibration_score(p, y, ci=QUICK)
    assert found.signed.low < 0 < found.signed.high
    assert found.ece.low > 0.25
    over, under = found.predicted_class_signed
    assert over.low < 0.3 < over.high
    assert under.low < -0.3 < under.high
    assert "neither side shown" in str(found)
    assert sum(found.class_n) == len(y)


@given(st.integers(0, 1000), st.integers(2, 5), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_by_parts(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.ones(k), n), rng.integers(0, k, n)
    found = miscalibration_score(p, y, ci=None)
    assert found.signed.value == pytest.approx(top_label_signed_ece(p, y, ci=None).value, abs=1e-12)
    levels = np.array([e.value for e in found.class_signed])
    assert [e.defined for e in found.class_signed] == [bool((y == c).any()) for c in range(k)]
    for c in np.unique(y):
        rows = y == c
        assert found.class_ece[c].value == pytest.approx(top_label_ece(p[rows], y[rows], ci=None).value, abs=1e-12)
        assert found.class_ece[c].value >= abs(levels[c]) - 1e-12
    known = levels[~np.isnan(levels)]
    over, under = known[known >= 0], known[known < 0]
    assert found.overall.value == pytest.approx((len(over) * over.sum() + len(under) * under.sum()) / len(known), abs=1e-12)
    assert found.over_mean.value == pytest.approx(over.mean() if len(over) else 0, abs=1e-12)
    assert found.under_mean.value == pytest.approx(under.mean() if len(under) else 0, abs=1e-12)
    assert found.share_over.value + found.share_under.value == pytest.approx(1)
    assert found.gap.value == pytest.approx(np.abs(known).sum(), abs=1e-12)


def test_order_and_clusters() -> None:
    p, y = two_sided(np.random.default_rng(1), 200)
    shuffled = np.random.default_rng(2).permutation(200)
    one, other = (miscalibration_score(p[rows], y[rows], ci=None).gap.value for rows in (np.arange(200), shuffled))
    assert one == pytest.approx(other, abs=1e-12)
    units = np.arange(200) // 20
    rows, by = np.repeat(p, 5, axis=0), np.repeat(y, 5)
    free, held = (miscalibration_score(rows, by, clusters=c, ci=QUICK).gap for c in (None, np.repeat(units, 5)))
    assert held.se > 1.5 * free.se


def test_what_was_not_seen_has_a_reason() -> None:
    found = miscalibration_score([[0.6, 0.4, 0.0], [0.7, 0.3, 0.0]], [0, 0], ci=QUICK)
    assert found.class_signed[1].reason == "no item of class 1"
    assert found.predicted_class_signed[2].reason == "no item predicted as class 2"
    assert np.isnan(found.share_over.low)


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], "row 1"),
        ([[2.0, -1.0]], [0], "row 0 is not a distribution"),
        ([[0.5, 0.5]], [2], r"labels\[0\] is 2"),
        ([[0.5, 0.5]], [0, 1], "labels must have shape"),
        ([[1.0]], [0], "K >= 2"),
        (np.empty((0, 2)), [], "n >= 1"),
    ],
)
def test_bad_input(p: Any, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        miscalibration_score(p, y)


def test_bad_clusters() -> None:
    with pytest.raises(InputError, match="clusters"):
        miscalibration_score([[0.5, 0.5]], [0], clusters=[1, 2])


def test_many_items() -> None:
    """Above 20,000 rows the skewness of an interval comes from a subset of them."""
    p, y = two_sided(np.random.default_rng(4), 21_000)
    found = miscalibration_score(p, y, ci=CI(n_boot=20))
    assert found.gap.low < found.gap.value < found.gap.high
