"""Accuracy: Wilson, graded correctness, labels of any type, missing grades."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from trueline.errors import InputError
from trueline.metrics import accuracy, evaluate


def test_wilson_interval() -> None:
    e = accuracy([1] * 28 + [0] * 2)
    ci = stats.binomtest(28, 30).proportion_ci(0.95, "wilson")
    assert (e.value, e.low, e.high) == pytest.approx((28 / 30, ci.low, ci.high))
    assert (e.method, e.n) == ("wilson", 30)


def test_labels_of_any_type() -> None:
    assert accuracy(["a", "b", "c"], ["a", "b", "x"]).value == pytest.approx(2 / 3)
    assert accuracy([1, 2, 3], [1, 2, 4]).value == pytest.approx(2 / 3)
    assert accuracy([True, False], [True, True]).value == 0.5


def test_a_missing_label_is_missing_not_wrong() -> None:
    answers = np.array(["a", None, "b"], dtype=object)
    with pytest.raises(InputError, match="index 1"):
        accuracy(answers, ["a", "a", "b"])
    e = accuracy(answers, ["a", "a", "b"], nan_policy="drop")
    assert (e.value, e.n, e.n_missing) == (1.0, 2, 1)


def test_graded_correctness_is_bootstrapped() -> None:
    e = accuracy(np.linspace(0, 1, 50))
    assert e.method.startswith("bca")
    assert e.low < 0.5 < e.high


def test_accuracy_behind_a_loss_is_the_mirror_image() -> None:
    loss = np.r_[np.ones(3), np.zeros(17)]
    e, mirrored = evaluate(np.arange(20), loss, ["accuracy"])["accuracy"], accuracy(1 - loss)
    assert (e.value, e.low, e.high) == pytest.approx((mirrored.value, mirrored.low, mirrored.high))


@pytest.mark.parametrize("bad", [[1, 2], [-0.1, 0], [], [float("nan"), 1]])
def test_bad_input(bad: Any) -> None:
    with pytest.raises(InputError):
        accuracy(bad)
    with pytest.raises(InputError, match="equally long"):
        accuracy([1, 2], [1])
