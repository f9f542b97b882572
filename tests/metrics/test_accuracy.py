"""Accuracy: Wilson, graded correctness, labels of any type, missing grades."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from trueline.errors import InputError
from trueline.metrics import accuracy, evaluate
from trueline.stats import cluster_rate


def test_wilson_interval() -> None:
    e = accuracy([1] * 28 + [0] * 2)
    ci = stats.binomtest(28, 30).proportion_ci(0.95, "wilson")
    assert (e.value, e.low, e.high) == pytest.approx((28 / 30, ci.low, ci.high))
    assert (e.method, e.n) == ("wilson", 30)


def test_clusters_take_wilson_at_their_effective_count() -> None:
    k, n = [1, 9, 3, 8, 6], [10, 10, 10, 10, 10]
    right = np.concatenate([np.r_[np.ones(a), np.zeros(b - a)] for a, b in zip(k, n, strict=True)])
    group = np.repeat(np.arange(5), 10)
    e, rate = accuracy(right, clusters=group), cluster_rate(k, n).rate
    assert (e.value, e.low, e.high, e.se) == pytest.approx((rate.value, rate.low, rate.high, rate.se))
    assert e.method == "cluster wilson, 5 clusters"
    assert e.high - e.low > accuracy(right).high - accuracy(right).low
    loss = evaluate(np.arange(50), 1 - right, ["accuracy"], clusters=group)["accuracy"]
    assert (loss.low, loss.high) == pytest.approx((e.low, e.high))
    assert accuracy(right, clusters=group, weights=np.r_[np.ones(25), np.full(25, 2.0)]).method.startswith("bca")
    assert accuracy(right / 2, clusters=group).method.startswith("bca")
    assert "one independent unit" in str(accuracy(right, clusters=["one"] * 50).reason)


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
