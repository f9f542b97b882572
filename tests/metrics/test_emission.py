"""Emitted classes: shares, accuracies and gaps with their intervals, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.emission import KINDS, emission
from trueline.stats.intervals import wilson


def test_by_hand() -> None:
    kinds = ["weakener"] * 10 + ["strengthener"] * 10 + ["none"] * 5
    correct = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, *[1] * 8, 0, 0, 1, 1, 1, 1, math.nan]
    found = emission(kinds, correct, np.linspace(0, 1, 25), more={"entropy": [2.0] * 10 + [1.0] * 15})
    weak, strong, none = (found.classes[kind] for kind in KINDS)
    assert weak["share"].value == 0.4
    assert (weak["share"].low, weak["share"].high) == pytest.approx((wilson(10, 25).low, wilson(10, 25).high))
    assert strong["accuracy"].value == 0.8
    assert (none["accuracy"].value, none["accuracy"].n, none["accuracy"].n_missing) == (1, 4, 1)
    gap = found.gaps["strengthener_minus_weakener"]
    assert gap["accuracy"].value == pytest.approx(0.7)
    assert gap["accuracy"].low > 0
    assert gap["entropy"].value == -1
    json.dumps(found.to_json(), allow_nan=False)


def test_few_answers_have_no_interval_and_a_class_that_is_never_emitted_says_so() -> None:
    found = emission(["weakener", "none"], [0, 1], [0.1, math.nan])
    assert found.classes["weakener"]["accuracy"].value == 0
    assert math.isnan(found.classes["weakener"]["share"].low)
    assert found.classes["strengthener"]["accuracy"].reason == "never emitted"
    assert found.classes["strengthener"]["share"].value == 0
    assert found.gaps["none_minus_weakener"]["accuracy"].value == 1
    assert found.gaps["strengthener_minus_none"]["accuracy"].reason == "never emitted"
    assert math.isnan(found.classes["none"]["probability"].value)


def test_clusters_widen_intervals() -> None:
    kinds, correct = ["weakener", "none"] * 50, [float(k // 10 % 2) for k in range(100)]
    alone = emission(kinds, correct, [0.5] * 100).classes["weakener"]["accuracy"]
    shared = emission(kinds, correct, [0.5] * 100, clusters=[f"c{k // 10}" for k in range(100)]).classes["weakener"]["accuracy"]
    assert shared.value == alone.value == 0.5
    assert shared.high - shared.low > 1.3 * (alone.high - alone.low)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60))
def test_shares_add_up_and_classes_make_up_the_whole(rows: list[tuple[str, int, float]]) -> None:
    kinds, correct, probability = zip(*rows, strict=True)
    found = emission(kinds, correct, probability).classes
    assert sum(found[k]["share"].value for k in KINDS) == pytest.approx(1)
    total = sum(found[k]["accuracy"].value * found[k]["accuracy"].n for k in KINDS if found[k]["accuracy"].n)
    assert total == pytest.approx(sum(correct))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], []), "no answer"),
        ((["maybe"], [1], [0.5]), "'maybe' is no class"),
        ((["none"], [2], [0.5]), "other than 0, 1"),
        ((["none"], [1], [1.5]), "outside"),
        ((["none"], [1, 0], [0.5]), "accuracy has 2"),
    ],
)
def test_bad_input(arguments: tuple[list[str], list[float], list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        emission(*arguments)
