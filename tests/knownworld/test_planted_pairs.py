"""Planted preferences: the texts say what the truth is, labels follow the strengths, and the same seed plants the same world."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.knownworld.planted_pairs import planted_pairs


def test_texts_labels_and_truth_belong_together() -> None:
    world = planted_pairs(n=3000, k=8, seed=5)
    assert np.nanmean(world.P == 1) == pytest.approx(0.15, abs=0.02)
    assert np.isnan(world.P).mean() == pytest.approx(0.70, abs=0.02)
    for row, truth in zip(world.rows[:200], world.P[:200], strict=True):
        for (name, _), sign in zip(world.principles, truth, strict=True):
            assert (f"keeps {name}" in row["response_0"]) == (sign == 1)
            assert (f"keeps {name}" in row["response_1"]) == (sign == -1)
            assert (f"breaks {name}" in row["response_0"]) == (sign == -1)
    pull = np.nan_to_num(world.P) @ world.w
    human = np.array([row["human"] for row in world.rows])
    for low, high in ((0.5, 1.5), (-3, -2)):
        inside = (pull > low) & (pull < high)
        expected = (1 / (1 + np.exp(-pull[inside]))).mean()
        assert (human[inside] == 1).mean() == pytest.approx(expected, abs=0.06)


def test_the_other_annotator_has_the_same_strengths_in_another_order() -> None:
    world = planted_pairs(n=2, k=8, seed=2)
    np.testing.assert_allclose(np.sort(world.w), np.sort(world.w_other))
    assert not np.any(world.w == world.w_other)


def test_seeds() -> None:
    assert planted_pairs(n=20, seed=1).rows == planted_pairs(n=20, seed=1).rows
    assert planted_pairs(n=20, seed=1).rows != planted_pairs(n=20, seed=2).rows


@pytest.mark.parametrize(("n", "k"), [(0, 4), (3, 1), (3, 13)])
def test_bad_sizes(n: int, k: int) -> None:
    with pytest.raises(InputError, match="expected at least one pair and 2 to 12 principles"):
        planted_pairs(n=n, k=k)
