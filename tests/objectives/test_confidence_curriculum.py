"""The confidence curriculum: threshold by hand, growth, raters, bad input."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.objectives import ConfidenceCurriculum, rater_scores


def test_by_hand() -> None:
    c = ConfidenceCurriculum([0.1, 0.5, 0.6, 0.9], init_ratio=0.75, end_epoch=4)  # type: ignore[arg-type]
    assert c.threshold == 0.499  # three of four lie above .499, two above .5
    assert c.mask(0).tolist() == [False, True, True, True]
    assert c.mask(3).tolist() == [False, True, True, True]  # .12475
    assert c.mask(4).all()
    assert c.mask(100).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.05, 1), st.integers(1, 12))
def test_it_only_grows(scores: list[float], ratio: float, end: int) -> None:
    c = ConfidenceCurriculum(np.array(scores), ratio, end)
    masks = [c.mask(epoch) for epoch in range(end + 1)]
    assert masks[0].mean() >= ratio - 1e-12
    assert all((later | ~earlier).all() for earlier, later in pairwise(masks))
    assert masks[-1].all()
    higher = round(c.threshold + 0.001, 3)
    assert higher > 1 or np.mean(np.array(scores) > higher) < ratio


def test_items_without_any_score_are_all_used() -> None:
    assert ConfidenceCurriculum(np.zeros(5)).mask(0).all()


def test_raters() -> None:
    assert rater_scores([[1.0, 0.0], [0.5, 0.5], [0.75, 0.25]]).tolist() == pytest.approx([1.0, 0.0, 0.5])
    for shares, message in (([[0.9, 0.1]] * 3, "same spread"), ([[np.nan, 1.0], [1.0, 0.0]], "row 0"), ([[3.0, 1.0]], "distribution")):
        with pytest.raises(InputError, match=message):
            rater_scores(shares)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scores": []}, "scores is empty"),
        ({"scores": [0.5, 1.5]}, r"scores\[1\]"),
        ({"scores": [np.nan]}, r"scores\[0\]"),
        ({"scores": [0.5], "init_ratio": 0.0}, "init_ratio"),
        ({"scores": [0.5], "end_epoch": 0}, "end_epoch"),
    ],
)
def test_bad_settings(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConfidenceCurriculum(**settings)


def test_epochs_are_counted_from_zero() -> None:
    with pytest.raises(InputError, match="epoch"):
        ConfidenceCurriculum(np.ones(3)).mask(-1)
