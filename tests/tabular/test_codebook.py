"""Codebooks in JSON, and tasks by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trueline.errors import InputError
from trueline.tabular import Choices, Numeric, Reasoned, load_codebook, load_risk_task
from trueline.tasks import load_task

BOOK: dict[str, Any] = {
    "data": "people.csv",
    "target": "pay",
    "threshold": "> 4",
    "population": "Coast",
    "group": "work",
    "columns": {"age": "age", "work": {"description": "work", "values": {"1": "mill", "2": "port"}, "missing": "none"}},
    "question": {"text": "Much pay?", "options": [["No", 0], ["Yes", 1]]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text("age,work,pay\n" + "".join(f"{20 + i},{1 + i % 2},{i}\n" for i in range(20)))
    return tmp_path


def write(folder: Path, **changes: Any) -> Path:
    book = {key: value for key, value in (BOOK | changes).items() if value is not None}
    (folder / "book.json").write_text(json.dumps(book))
    return folder / "book.json"


def test_a_codebook_is_a_task(folder: Path) -> None:
    task = load_codebook(write(folder))
    assert isinstance(task.question, Choices)
    assert task.y.tolist() == [0] * 5 + [1] * 15
    assert "- The work is: mill." in task.ask(task.df.row(0)).text()
    assert task.name == "book"
    assert load_risk_task(f"table:{folder}/book.json").y.tolist() == task.y.tolist()
    assert load_risk_task(str(folder / "people.csv"), folder / "book.json", group="age").group == "age"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ({"text": "p?"}, Numeric),
        ({"text": "p?", "kind": "reasoned"}, Reasoned),
        ({"text": "p?", "options": {"a": 0, "b": 0.5, "c": 1}}, Choices),
    ],
)
def test_kinds_of_question(folder: Path, question: dict[str, Any], kind: type) -> None:
    assert isinstance(load_codebook(write(folder, question=question)).question, kind)


def test_a_table_is_a_task_for_measuring(folder: Path) -> None:
    write(folder, split=[0.5, 0, 0.5])
    found = load_task(f"table:{folder}/book.json", limit=4)
    assert len(found) == 4
    assert found.items[0].references[0] in ("A", "B")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": None}, "lacks 'target'"),
        ({"treshold": "> 4"}, "did you mean threshold"),
        ({"columns": []}, "must map column names"),
        ({"columns": {"age": {"values": {}}}}, "lacks a description"),
        ({"columns": {"age": {"description": "age", "values": 3}}}, "must map codes to texts"),
        ({"columns": {"height": "height"}}, "no column 'height'"),
        ({"threshold": "many"}, "expected an operator"),
        ({"question": {"options": []}}, "lacks its text"),
        ({"question": {"text": "x", "options": [1, 2]}}, "list of"),
        ({"question": {"text": "x", "kind": "guess"}}, "unknown"),
        ({"data": None}, "names no data"),
        ({"data": "nowhere.csv"}, "no file"),
    ],
)
def test_bad_codebooks_name_file_and_key(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_codebook(write(folder, **changes))


def test_files_that_are_no_codebook(folder: Path) -> None:
    (folder / "broken.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_codebook(folder / "broken.json")
    (folder / "list.json").write_text("[1]")
    with pytest.raises(InputError, match="JSON object"):
        load_codebook(folder / "list.json")
    with pytest.raises(InputError, match="cannot be read"):
        load_codebook(folder / "none.json")
    with pytest.raises(InputError, match="needs a codebook"):
        load_risk_task(str(folder / "people.csv"))
    with pytest.raises(InputError, match="unknown table 'anes97'; did you mean anes96"):
        load_risk_task("anes97")
