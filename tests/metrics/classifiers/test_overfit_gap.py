"""Training against held-out items: a planted gap, none, what was not given, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import overfit_gap


def side(rng: np.random.Generator, n: int, right: float, shift: float) -> tuple[Any, Any, Any]:
    score = rng.normal(shift, 1, n)
    return score, rng.random(n) < right, 0.5 + 0.5 / (1 + np.exp(-score))


def test_planted_gap_and_none() -> None:
    rng = np.random.default_rng(0)
    (a, right_a, sure_a), (b, right_b, sure_b) = side(rng, 400, 0.99, 1.0), side(rng, 300, 0.7, 0.0)
    found = overfit_gap(a, b, correct=(right_a, right_b), confidence=(sure_a, sure_b))
    assert found.auroc.low > 0.7
    assert found.accuracy_gap.low > 0.2
    assert found.signed_gap.value == pytest.approx(found.train_signed.value - found.heldout_signed.value)
    assert found.signed_gap.high < 0
    same = overfit_gap(b[:150], b[150:], correct=(right_b[:150], right_b[150:]))
    assert same.auroc.low < 0.5 < same.auroc.high
    assert same.accuracy_gap.low < 0 < same.accuracy_gap.high
    assert same.signed_gap.reason == "confidence was not given"
    assert "heldout_accuracy" in str(same)


def test_without_intervals() -> None:
    found = overfit_gap([3.0, 2.0], [1.0, 2.0, 0.0], correct=([1, 1], [1, 0, 0]), ci=None)
    assert found.auroc.value == pytest.approx(5.5 / 6)
    assert found.accuracy_gap.value == pytest.approx(2 / 3)
    assert np.isnan(found.accuracy_gap.low)
    assert overfit_gap([3.0], [1.0]).train_accuracy.reason == "correct was not given"


@pytest.mark.parametrize(
    ("scores", "given", "message"),
    [
        (([], [1.0]), {}, "train_scores is empty"),
        (([np.nan], [1.0]), {}, "index 0"),
        (([1.0], [1.0]), {"correct": ([1], None)}, "both given or neither"),
        (([1.0], [1.0]), {"correct": ([1, 0], [1])}, "training side"),
        (([1.0], [1.0]), {"confidence": ([0.5], [0.5])}, "needs correct"),
        (([1.0], [1.0]), {"correct": ([1], [1]), "confidence": ([1.5], [0.5])}, r"\[0, 1\]"),
    ],
)
def test_bad_input(scores: Any, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overfit_gap(*scores, **given)
