from __future__ import annotations

from pathlib import Path

import pytest

from trueline.errors import InputError
from trueline.tasks import Item, Task
from trueline.tasks.loading import load_task


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "q.csv"
    path.write_text("Q,answer\none,1\ntwo,2\n")
    return path


def test_path_with_options(questions: Path) -> None:
    task = load_task(questions, mapping={"question": "Q"}, grader="contains", limit=1)
    assert [i.question for i in task.items] == ["one"]
    assert task.grader == "contains"


def test_scheme_reaches_its_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("trueline.catalog").catalog.TASK_SCHEMES, "pair", f"{__name__}:two_items")
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(two_items=two_items))
    assert len(load_task("pair:x")) == 2
    assert [i.id for i in load_task("pair:x", limit=1).items] == ["a"]
    with pytest.raises(InputError, match="no columns to map"):
        load_task("pair:x", mapping={"question": "Q"})


def two_items(rest: str) -> Task:
    return Task(rest, [Item("a", "q"), Item("b", "q")])


@pytest.mark.parametrize(
    ("uri", "message"), [("wrld:facts", "did you mean world:"), ("nothing", "unknown task"), ("hf_dataset:x", "did you mean hf-dataset:")]
)
def test_unknown_tasks(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_task(uri)


def test_a_task_passes_through() -> None:
    task = two_items("x")
    assert load_task(task) is task
    with pytest.raises(InputError, match="at least 1"):
        load_task(task, limit=0)
