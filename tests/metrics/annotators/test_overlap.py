"""Average overlap: bounds, identity, and that without ties the partial form is the plain one."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics.annotators import average_overlap, partial_average_overlap


def test_partial_without_ties_is_plain() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.permuted(np.tile(np.arange(6), (30, 1)), axis=1) for _ in range(2))
    depth, groups = rng.integers(0, 7, 30), np.tile(np.arange(6), (30, 1))
    plain = average_overlap(a, b, depth)
    np.testing.assert_allclose(partial_average_overlap(a, groups, b, groups, depth, normalise=False), plain, atol=1e-12)
    assert ((plain >= 0) & (plain <= 1)).all()
    assert average_overlap(a, a, np.full(30, 6)) == pytest.approx(np.ones(30))


def test_ties_normalise_to_one_against_themselves() -> None:
    order, groups = [[2, 0, 1, 3]], [[0, 0, 1, -1]]
    assert partial_average_overlap(order, groups, order, groups, [3]) == pytest.approx([1.0])
    assert partial_average_overlap(order, groups, order, groups, [3], normalise=False)[0] < 1
    assert partial_average_overlap(order, [[-1] * 4], order, groups, [3]).tolist() == [0.0]


def test_bad_rankings_are_refused() -> None:
    with pytest.raises(InputError, match="every class"):
        average_overlap([[0, 0]], [[0, 1]], [1])
    with pytest.raises(InputError, match="depth"):
        average_overlap([[0, 1]], [[0, 1]], [3])
    with pytest.raises(InputError, match="fall"):
        partial_average_overlap([[0, 1]], [[-1, 0]], [[0, 1]], [[0, 1]], [2])
