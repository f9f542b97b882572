"""Programming problems: loaded from the layouts of HumanEval and MBPP, answers made into programs and graded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trueline.errors import InputError
from trueline.tasks import Item, Task, load_grader, load_task
from trueline.tasks.code import split_tests
from trueline.tasks.code_answers import program_of
from trueline.tasks.code_quality import CodeQuality, code_quality, code_quality_rule
from trueline.tasks.sandbox import Limits

PROMPT = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Add them up.\n    >>> total([1, 2])\n    3\n    """\n'
CHECK = """
METADATA = {'author': 'x'}

def check(candidate):
    assert candidate([]) == 0
    for n in range(3):
        assert candidate([1] * n) == n
    big = 10 ** 6
    assert candidate([big]) == big

check(total)
"""
HUMAN_EVAL = {"task_id": "H/0", "prompt": PROMPT, "test": CHECK, "entry_point": "total", "canonical_solution": "    return sum(xs)\n"}
MBPP = {
    "task_id": 11,
    "text": "Write a function to add two numbers.",
    "code": "def add(a, b):\n    return a + b",
    "test_setup_code": "one = 1",
    "test_list": ["assert add(one, 2) == 3", "assert add(0, 0) == 0"],
}


def write(folder: Path, *rows: Mapping[str, Any]) -> str:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"code:{path}"


def items(folder: Path, *rows: Mapping[str, Any]) -> Task:
    return load_task(write(folder, *rows))


def test_both_layouts_are_read(tmp_path: Path) -> None:
    task = items(tmp_path, HUMAN_EVAL, MBPP)
    first, second = task.items
    assert (first.id, second.id) == ("H/0", "11")
    assert first.metadata["tests"] == [
        "assert total([]) == 0",
        "for n in range(3):\n    assert total([1] * n) == n",
        "assert total([big]) == big",
    ]
    assert first.metadata["setup"] == "METADATA = {'author': 'x'}\nbig = 10 ** 6"
    assert first.prompt_text == PROMPT
    assert second.metadata["tests"] == MBPP["test_list"]
    assert second.metadata["setup"] == "one = 1"
    assert "assert add(one, 2) == 3" in second.messages[0][1]
    assert task.grader == "code_quality"
    assert task.version != items(tmp_path, {**HUMAN_EVAL, "test": CHECK + "\n"}, {**MBPP, "test_list": ["assert add(1, 1) == 2"]}).version


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": "do it", "tests": []}, "no tests"),
        ({"prompt": "do it", "tests": "x = 1"}, "assert nothing"),
        ({"prompt": "do it", "tests": "assert ("}, "do not parse"),
        ({"prompt": " ", "tests": ["assert True"]}, "no prompt"),
        ({"prompt": "do it", "test": "def check(candidate):\n    assert candidate()"}, "entry_point"),
    ],
)
def test_problems_that_cannot_be_used_are_named_by_line(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=rf"line 2.*{problem}"):
        items(tmp_path, MBPP, row)
    task = load_task(write(tmp_path, MBPP, row), skip_bad=True)
    assert len(task) == 1
    assert "skipped 1 bad line" in task.notes[0]
    with pytest.raises(InputError, match="more than once"):
        items(tmp_path, MBPP, MBPP)
    with pytest.raises(InputError, match="no columns to map"):
        load_task(write(tmp_path, MBPP), mapping={"question": "text"})


def test_tests_from_source_without_a_check_function() -> None:
    setup, found = split_tests("import math\nassert f(1)\ndef helper(x):\n    assert x\n    return x\nassert f(helper(2))", None)
    assert found == ["assert f(1)", "assert f(helper(2))"]
    assert setup.startswith("import math\ndef helper(x):")


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("return sum(xs)", 1.0),
        ("    return sum(xs)\n\ndef other():\n    pass\nprint(total([1]))", 1.0),
        ("s = 0\n    for x in xs:\n        s += x\n    return s", 1.0),
        ("def total(xs: List[int]) -> int:\n    return sum(xs)", 1.0),
        ("Here it is:\n```python\ndef total(xs):\n    return sum(xs)\n```\nIt adds them up.", 1.0),
        ("```\n    return sum(xs)\n```", 1.0),
        ("```python\ndef total(xs):\n    return sum(xs)", 1.0),
        ("return 0", 0.5 + 0.5 / 3),
        ("return 1", 0.5),
        ("I do not know.", 0.0),
        ("", 0.5),  # the prompt alone is a function that returns nothing
        ("import os\n    os.fork()\n    return sum(xs)", 0.5),
    ],
)
def test_answers_become_programs_with_a_quality(tmp_path: Path, answer: str, score: float) -> None:
    (item,) = items(tmp_path, HUMAN_EVAL).items
    grade = load_grader("code_quality:2", items(tmp_path, HUMAN_EVAL), allow_exec=True)(item, answer.strip())
    assert grade.score == pytest.approx(score)
    assert grade.correct is (score == 1.0)
    assert grade.answer == program_of(item, answer.strip())
    assert (grade.reason is None) == (score == 1.0)


def test_nothing_is_run_without_being_allowed(tmp_path: Path) -> None:
    task = items(tmp_path, MBPP)
    for spec in ("code_quality", "code_quality:3"):
        with pytest.raises(InputError, match="allow-exec"):
            load_grader(spec, task)
    with pytest.raises(InputError, match="allow_exec=True"):
        code_quality("x = 1", ["assert x"])
    with pytest.raises(InputError, match="seconds"):
        load_grader("code_quality:soon", task, allow_exec=True)
    assert load_task(write(tmp_path, MBPP), grader="code_quality:1").grader == "code_quality:1"


def test_quality_of_a_program() -> None:
    tests = ["assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 0"]
    assert code_quality("def f(x): return x + 1", tests, allow_exec=True) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert code_quality("def f(x) return x", tests, allow_exec=True) == 0.0
    assert code_quality("while True: pass", ["assert True"], 0.3, allow_exec=True) == 0.5
    assert code_quality("x = 1", ["assert y == 2"], setup="y = x + 1", allow_exec=True) == 1.0
    for bad in ((True, 2, 1), (True, -1, 1), (True, 0, 0)):
        with pytest.raises(InputError):
            code_quality_rule(*bad)


def test_what_was_not_run_in_time_is_ungraded_and_what_has_no_tests_too(tmp_path: Path) -> None:
    (item,) = items(tmp_path, MBPP).items
    late = CodeQuality(Limits(), total_seconds=-1.0).grade_many([item, item], ["def add(a, b): return a + b", "no program"])
    assert late[0].correct is None
    assert "not run" in (late[0].reason or "")
    assert late[1].score == 0.0
    none = CodeQuality(Limits())(Item("x", "q"), "x = 1")
    assert none.correct is None
    assert "no tests" in (none.reason or "")


def test_a_run_needs_the_permission_anew(tmp_path: Path) -> None:
    """Neither a task file nor a stored run can allow it."""
    from code_model import CodeModel

    from trueline.measuring import measure
    from trueline.run import open_run

    uri = write(tmp_path, HUMAN_EVAL, MBPP)
    with pytest.raises(InputError, match="allow-exec"):
        measure(CodeModel(), uri, ["sample_vro(distance=ast_edit)"], samples=2, out=tmp_path / "run")
    run = measure(CodeModel(), uri, ["sample_vro(distance=ast_edit)"], samples=2, out=tmp_path / "run", allow_exec=True)
    assert run.grades["score"].to_list() == [1.0, 0.75]
    assert run.grades["correct"].to_list() == [True, False]
    with pytest.raises(InputError, match="allow-exec"):
        open_run(tmp_path / "run").grade()
    assert open_run(tmp_path / "run").grade(allow_exec=True)["score"].to_list() == [1.0, 0.75]
