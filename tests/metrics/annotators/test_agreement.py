"""Leave one reader out: by hand, and chunk by chunk."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.metrics.annotators import PartialRankings, agreement, leave_one_reader_out_agreement, reader_agreement

LISTS = [[[[0]], [[0], [1]], [[2]]], [[[1]]], [], [[[0]], [[1]], [[0, 1]]]]


def test_by_hand() -> None:
    r = PartialRankings.from_lists(LISTS, 3)
    # case 0: without reader 0 the others tie 0 and 2, and reader 0 names 0; without 1 likewise; without 2 they put 0 first, unnamed by 2
    # case 3: 1 leads without reader 0, 0 leads without reader 1, and reader 2 names both of the tied
    np.testing.assert_array_equal(reader_agreement(r), [1, 1, 0, np.nan, 0, 0, 1])
    np.testing.assert_allclose(leave_one_reader_out_agreement(r), [2 / 3, np.nan, np.nan, 1 / 3])


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    r = PartialRankings.from_votes(rng.poisson(0.8, (40, 5)))
    whole = reader_agreement(r)
    assert 0 < np.nanmean(whole) < 1
    monkeypatch.setattr(agreement, "_CHUNK", 7)
    np.testing.assert_array_equal(reader_agreement(r), whole)
