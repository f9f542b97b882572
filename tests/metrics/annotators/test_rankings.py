"""Reading annotations: lists, votes, ratings and opinions say the same thing; mistakes are named by case and reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics.annotators import PartialRankings, irn

LISTS = [[[[0, 3], [2]], [[1], [0]]], [], [[[2], [0, 1]]]]


def test_columns_of_a_small_example() -> None:
    r = PartialRankings.from_lists(LISTS, 4)
    assert r.case.tolist() == [0, 0, 0, 0, 0, 2, 2, 2]
    assert r.reader.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert r.place.tolist() == [1, 1, 2, 1, 2, 1, 2, 2]
    assert r.label.tolist() == [0, 3, 2, 1, 0, 2, 0, 1]
    assert r.n_readers.tolist() == [2, 0, 1]
    assert r.reader_number.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[[[0]]], [[[1]], []]], "case 1, reader 1: names no class"),
        ([[[[0]]], [[[1]], [[2], []]]], "case 1, reader 1: has an empty group"),
        ([[[[0]], [[1], [2, 1]]]], "case 0, reader 1: class 1 is named twice"),
        ([[], [[[4]]]], "case 1, reader 0: class 4 is outside 0..3"),
        ([[[[0], [-1]]]], "case 0, reader 0: class -1 is outside"),
        ([[[[0.5]]]], "whole numbers"),
    ],
)
def test_mistakes_are_named(lists: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PartialRankings.from_lists(lists, 4)


def test_parts_keep_the_readers_of_a_case_together() -> None:
    r = PartialRankings.from_lists(LISTS, 4)
    part = r.cases(np.array([False, True, True]))
    np.testing.assert_array_equal(irn(part), irn(r)[1:])
    first = r.readers(r.reader_number == 0)
    assert first.n_readers.tolist() == [1, 0, 1]
    np.testing.assert_allclose(irn(first)[0], [0.4, 0, 0.2, 0.4])
    for method, mask in ((r.cases, [True]), (r.readers, [1, 1, 0])):
        with pytest.raises(InputError, match="bool"):
            method(np.array(mask))


def test_votes_are_readers_of_one_class() -> None:
    counts = np.array([[2, 0, 1], [0, 0, 0], [1, 1, 0]])
    r = PartialRankings.from_votes(counts)
    assert r.n_readers.tolist() == [3, 0, 2]
    np.testing.assert_allclose(irn(r)[[0, 2]], [[2 / 3, 0, 1 / 3], [0.5, 0.5, 0]])
    with pytest.raises(InputError, match="whole numbers"):
        PartialRankings.from_votes([[0.5, 1]])


def test_ratings_are_classes_on_a_scale() -> None:
    r = PartialRankings.from_ratings([[4, 4, np.nan], [0, 2, 2]], levels=5)
    np.testing.assert_allclose(irn(r), [[0, 0, 0, 0, 1], [1 / 3, 0, 2 / 3, 0, 0]])
    with pytest.raises(InputError, match="case 0, reader 1: rating 5"):
        PartialRankings.from_ratings([[1, 5]], levels=5)


def test_opinions_rank_by_confidence() -> None:
    confidence = np.array([[[0.5, 0.0, 0.25, 0.25], [np.nan] * 4], [[0.1, 0.2, 0.3, 0.4], [0, 1, 0, 0]]])
    r = PartialRankings.from_opinions(confidence)
    expected = PartialRankings.from_lists([[[[0], [2, 3]]], [[[3], [2], [1], [0]], [[1]]]], 4)
    for column in ("case", "reader", "place", "label", "reader_case"):
        np.testing.assert_array_equal(getattr(r, column), getattr(expected, column))
    with pytest.raises(InputError, match="some classes only"):
        PartialRankings.from_opinions([[[0.5, np.nan]]])


def test_file_of_annotations(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"case_id": i, "annotations": a}) + "\n" for i, a in enumerate(LISTS)))
    np.testing.assert_array_equal(irn(PartialRankings.from_jsonl(path, 4)), irn(PartialRankings.from_lists(LISTS, 4)))
    path.write_text('{"labels": []}\n')
    with pytest.raises(InputError, match="record 0 has no field 'annotations'"):
        PartialRankings.from_jsonl(path, 4)
