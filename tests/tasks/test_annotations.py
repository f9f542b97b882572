"""Annotations in files: labels, votes, rankings and names in, the same out again, and what cannot be meant is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.items import items_table
from trueline.tasks.annotations import Reading, annotations_of, from_json, majority, read_annotations, to_json
from trueline.tasks.files import load_file


def groups(value: Any) -> list[tuple[tuple[str, ...], ...]]:
    return [r.groups for r in read_annotations(value)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (["yes", None, "no", float("nan")], [(("yes",),), (("no",),)]),
        ('["yes", null, 3]', [(("yes",),), (("3",),)]),
        ("yes | no||yes", [(("yes",),), (("no",),), (("yes",),)]),
        ({"yes": 2, "no": 1}, [(("yes",),), (("yes",),), (("no",),)]),
        ([["A", ["B", "C"]], ["B"]], [(("A",), ("B", "C")), (("B",),)]),
        ([[[56], [3, 7]]], [(("56",), ("3", "7"))]),
        ([4, 5.0, True], [(("4",),), (("5",),), (("True",),)]),
        (None, []),
        ("", []),
        ([], []),
    ],
)
def test_forms_of_a_cell(cell: Any, expected: Any) -> None:
    assert groups(cell) == expected


def test_names_come_from_keys_and_columns() -> None:
    assert read_annotations({"ann": "yes", "bob": None}) == (Reading((("yes",),), "ann"),)
    row = {"annotations": ["no"], "annotator_cem": "yes", "annotator_dia": "", "other": "x"}
    assert annotations_of(row, "annotations") == (Reading((("no",),)), Reading((("yes",),), "cem"))


@pytest.mark.parametrize(
    "cell",
    ["[1, ", {"yes": -1}, {"yes": 1.5}, {"yes": 10**9}, {"yes": float("nan")}, [["A", "A"]], [["A", []]], [{"a": 1}], [[["A", None]]]],
)
def test_what_cannot_be_meant_is_refused(cell: Any) -> None:
    with pytest.raises(InputError):
        read_annotations(cell)


def test_the_most_voted_labels_win_and_ties_stay() -> None:
    assert majority(read_annotations(["a", "b", "b"])) == ("b",)
    assert majority(read_annotations(["a", "b"])) == ("a", "b")
    assert majority(read_annotations([["a", "b"], ["b", "a"], ["b"]])) == ("b",)
    assert majority(()) == ()


LABEL = st.text(min_size=1).filter(lambda s: s.strip() == s and bool(s.strip()))


@given(st.lists(st.tuples(st.lists(LABEL, min_size=1, unique=True), st.text())))
def test_json_and_back(answers: list[tuple[list[str], str]]) -> None:
    readings = tuple(Reading(tuple((label,) for label in labels), name) for labels, name in answers)
    assert from_json(to_json(readings)) == readings
    assert from_json(None) == ()


def test_a_task_keeps_them_and_takes_the_most_voted_label_as_reference(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [
        {"question": "a?", "annotations": ["yes", "yes", "no"]},
        {"question": "b?", "annotations": ["no"], "answer": "maybe", "annotator_x": "yes"},
        {"question": "c?"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = load_file(path)
    assert [i.references for i in task.items] == [("yes",), ("maybe",), ()]
    assert [len(i.annotations) for i in task.items] == [3, 2, 0]
    assert task.items[1].metadata == {}
    table = items_table(task.items)
    assert [from_json(x) for x in table["annotations"].to_pylist()] == [i.annotations for i in task.items]
    assert "annotations" not in items_table(task.items[2:]).column_names
    path.write_text('{"question": "a?", "annotations": [["A", "A"]]}', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: an annotator names 'A' twice"):
        load_file(path)
