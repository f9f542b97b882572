"""Inverse rank normalisation against its definition, and how it treats weights and empty cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.annotators import PartialRankings, irn


@st.composite
def annotations(draw: st.DrawFn) -> list[list[list[list[int]]]]:
    """Cases of readers who order some of five classes, with ties."""
    cases = []
    for _ in range(draw(st.integers(1, 4))):
        readers = []
        for _ in range(draw(st.integers(1, 4))):
            named = draw(st.permutations(range(5)))[: draw(st.integers(1, 5))]
            cuts = draw(st.lists(st.booleans(), min_size=len(named), max_size=len(named)))
            groups: list[list[int]] = []
            for label, cut in zip(named, cuts, strict=True):
                groups = [*groups, [label]] if cut or not groups else [*groups[:-1], [*groups[-1], label]]
            readers.append(groups)
        cases.append(readers)
    return cases


@given(annotations())
def test_equals_the_definition(lists: list[list[list[list[int]]]]) -> None:
    expected = np.zeros((len(lists), 5))
    for i, case in enumerate(lists):
        for reader in case:
            for j, group in enumerate(reader, start=1):
                expected[i, group] += 1 / j
    np.testing.assert_allclose(irn(PartialRankings.from_lists(lists, 5)), expected / expected.sum(axis=1, keepdims=True), atol=1e-15)


@given(annotations())
def test_weight_two_is_the_reader_twice(lists: list[list[list[list[int]]]]) -> None:
    r = PartialRankings.from_lists(lists, 5)
    weights = np.where(r.reader_number == 0, 2.0, 1.0)
    twice = PartialRankings.from_lists([[case[0], *case] for case in lists], 5)
    np.testing.assert_allclose(irn(r, weights=weights), irn(twice), atol=1e-15)


def test_undefined_without_readers() -> None:
    r = PartialRankings.from_lists([[], [[[1]]]], 3)
    assert np.isnan(irn(r)[0]).all()
    assert irn(r)[1].tolist() == [0, 1, 0]
    assert np.isnan(irn(r, weights=[0.0])).all()
    assert np.isnan(irn(PartialRankings.from_lists([[]], 3))).all()
    for bad in ([1.0, 1.0], [-1.0], [np.nan]):
        with pytest.raises(InputError, match="weights"):
            irn(r, weights=bad)
