"""Questions, styles, examples, splits: how a row becomes a prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.tabular import Choices, ColumnText, Numeric, PromptStyle, Reasoned, TabularRiskTask, Threshold, asked_as
from trueline.tabular.prompting import Asking
from trueline.tasks import load_grader

COLUMNS = [ColumnText("age", "age", template="{value} years old"), ColumnText("work", "work", {"1": "Mill."}), ColumnText("town", "town")]
CHOICES = Choices("How much does this person earn?", (("Little", 0), ("Much", 1)))


def make(n: int = 40, **changes: Any) -> TabularRiskTask:
    rng = np.random.default_rng(0)
    table = {"age": list(range(20, 20 + n)), "work": [1] * n, "town": [f"T{i}" for i in range(n)], "pay": rng.integers(0, 9, n)}
    given: dict[str, Any] = {"group": "town", "population": "Coast, 1990", "question": CHOICES}
    return TabularRiskTask(table, "pay", Threshold(4, ">"), COLUMNS, **(given | changes))


def test_the_default_prompt() -> None:
    assert make().ask({"age": 21, "work": 1, "town": "Orv"}).text() == (
        "The information below describes one respondent of a survey: Coast, 1990. Answer the question from this information. "
        "An approximate answer is enough.\n\n- The age is: 21 years old.\n- The work is: Mill.\n- The town is: Orv.\n\n"
        "Question: How much does this person earn?\nA. Little.\nB. Much.\nAnswer:"
    )


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ({"form": "lines"}, "age = 21 years old\nwork = Mill.\ntown = Orv"),
        ({"form": "sentence"}, "The age is 21 years old, the work is Mill and the town is Orv."),
        ({"order": "reversed"}, "- The town is: Orv.\n- The work is: Mill.\n- The age is: 21 years old."),
        ({"connector": "="}, "- The age = 21 years old."),
        ({"connector": ":"}, "- The age: 21 years old."),
        ({"decode": False}, "- The age is: 21.\n- The work is: 1."),
    ],
)
def test_styles(style: dict[str, Any], shown: str) -> None:
    text = make().ask({"age": 21, "work": 1, "town": "Orv"}, style=PromptStyle(preamble=False, **style)).text()
    assert text.startswith(shown)


def test_shuffled_features_are_shuffled_once_for_all_rows() -> None:
    task = make()
    orders = {s: tuple(c.name for c in PromptStyle(order="shuffled", seed=s).ordered(task.features)) for s in range(12)}
    assert len(set(orders.values())) > 2
    assert all(sorted(order) == ["age", "town", "work"] for order in orders.values())
    assert orders[3] == tuple(c.name for c in PromptStyle(order="shuffled", seed=3).ordered(task.features))


def test_orders_move_options_and_answers() -> None:
    three = Choices("How much?", (("none", 0), ("some", 0.5), ("all", 1)))
    assert len(three.orders(True)) == 6
    assert three.orders(False) == [(0, 1, 2)]
    assert three.body((2, 0, 1)).endswith("A. all.\nB. none.\nC. some.")
    assert three.answer(1, (2, 0, 1)) == "Answer: A"
    assert three.answer(0, (2, 0, 1)) == "Answer: B"
    assert CHOICES.positive == "Much"


def test_examples_come_from_the_train_split_and_are_balanced() -> None:
    task = make()
    train = {task.df["town"][int(i)]: int(task.y[i]) for i in task.rows("train")}
    for i in task.rows("test"):
        text = task.ask(task.df.row(int(i)), style=PromptStyle(shots=4)).text()
        blocks = text.split("\n\nQuestion:")
        towns = [block.rpartition("- The town is: ")[2].rstrip(".") for block in blocks[:-1]]
        answers = [block.split("Answer:")[1].split()[0] for block in blocks[1:-1]]
        assert len(answers) == 4
        assert towns[-1] == task.df["town"][int(i)]
        assert all(town in train for town in towns[:-1])
        assert sorted(answers) == ["A", "A", "B", "B"]
        assert [train[t] for t in towns[:-1]] == [int(a == "B") for a in answers]


def test_a_row_is_never_its_own_example_and_fresh_examples_differ() -> None:
    task = make()
    rows = [task.df.row(int(i)) for i in task.rows("train")[:8]]
    seen = set()
    for row in rows:
        text = task.ask(row, style=PromptStyle(shots=3, fresh=True, balanced=False)).text()
        assert text.count(f"- The town is: {row['town']}.") == 1
        assert text == task.ask(row, style=PromptStyle(shots=3, fresh=True, balanced=False)).text()
        seen.add(text.partition("\n\nQuestion")[0])
    assert len(seen) > 2
    fixed = {task.ask(task.df.row(int(i)), style=PromptStyle(shots=3)).text().partition("Answer:")[0] for i in task.rows("test")}
    assert len(fixed) == 1


def test_too_few_examples_are_said() -> None:
    with pytest.raises(InputError, match="the train split has"):
        make(10).ask(make(10).df.row(0), style=PromptStyle(shots=9))


def test_the_answers_beginning_stands_once() -> None:
    asking = make(question=Numeric("p?")).ask({"age": 1, "work": 1, "town": "x"})
    assert asking.text().endswith("0.")
    assert asking.prompt(chat=False, prefilled=True).messages == ()
    roles = [m.role for m in asking.prompt(chat=True, prefilled=True).messages]
    assert roles == ["system", "user", "assistant"]
    assert [m.role for m in asking.prompt(chat=True, prefilled=False).messages] == ["system", "user"]
    assert "0." not in asking.prompt(chat=True, prefilled=True).messages[1].content.rpartition("Question")[2]
    assert [m.role for m in Asking("q", "", None).prompt(chat=True, prefilled=True).messages] == ["user"]


def test_other_forms_of_a_question() -> None:
    numeric = asked_as(CHOICES, "numeric")
    assert isinstance(numeric, Numeric)
    assert '"Much"' in numeric.text
    assert numeric.answer(1) == "Answer (a probability between 0 and 1): 1.0"
    assert isinstance(asked_as(numeric, "reasoned"), Reasoned)
    assert asked_as(CHOICES, "choices") is CHOICES
    with pytest.raises(InputError, match="give the options"):
        asked_as(numeric, "choices")


def test_splits_are_disjoint_and_fixed() -> None:
    task = make(100)
    parts = [task.rows(name).tolist() for name in ("train", "validation", "test")]
    assert [len(p) for p in parts] == [80, 10, 10]
    assert sorted(i for part in parts for i in part) == list(range(100))
    assert parts == [make(100).rows(name).tolist() for name in ("train", "validation", "test")]
    assert task.rows("test", 3).tolist() == parts[2][:3]
    assert make(100, seed=1).rows("test").tolist() != parts[2]


def test_unknown_codes_warn_with_column_and_code() -> None:
    table = {"age": [1, 2], "work": [1, 8], "town": ["a", "b"], "pay": [1, 9]}
    with pytest.warns(UserWarning, match=r"column work: the codebook has no text for code 8 \(1\)"):
        task = TabularRiskTask(table, "pay", Threshold(4), COLUMNS, CHOICES, "x")
    assert "N/A" in task.ask(task.df.row(1)).text()
    assert task.with_(name="y").remarks == task.remarks


def test_groups_in_words() -> None:
    assert make(group="work").groups([0, 1]) == ["Mill.", "Mill."]
    assert make(group=None).groups([0]) is None


def test_items_for_measuring() -> None:
    task = make()
    found = task.as_task("test")
    item = found.items[0]
    row = item.metadata["row"]
    assert item.references == ("B" if task.y[row] else "A",)
    assert item.prompt_text == task.ask(task.df.row(row)).text()
    grade = load_grader("choice", found)
    assert grade(item, f" {item.references[0]}").correct
    assert make(question=Numeric("Is it?")).as_task("all", 5).items[0].references[0] in ("A", "B")


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: make(group="nowhere"), "no column 'nowhere'"),
        (lambda: make(split=(0.5, 0.1, 0.1)), "sum to 1"),
        (lambda: make().rows("tests"), "did you mean test"),
        (lambda: make(split=(1.0, 0.0, 0.0)).rows("test"), "is empty"),
        (lambda: make().rows("test", 0), "at least 1"),
        (lambda: make().ask({"age": 1}), "lacks the column 'work'"),
        (lambda: TabularRiskTask({"a": [2, 1]}, "a", None, [], CHOICES, "x"), "at least one column"),
        (lambda: TabularRiskTask({"a": [2, 1], "b": [1, 1]}, "a", None, [ColumnText("b", "b")], CHOICES, "x"), "must be 0 or 1"),
        (lambda: TabularRiskTask({"a": [1]}, "a", None, [ColumnText("a", "a")], CHOICES, "x"), "leave it out"),
        (lambda: Choices("x", (("a", 0),)), "2 to 26"),
        (lambda: Choices("x", (("a", 0), ("b", 2))), r"in \[0, 1\]"),
        (lambda: Choices("x", (("a", 1), ("b", 1))), "not all equal"),
        (lambda: Choices("x", (("a", 0), ("b", 1)), labels=("A", "A")), "different labels"),
        (lambda: Choices("x", tuple((str(i), i / 9) for i in range(9))).orders(True), "too many orders"),
        (lambda: PromptStyle(form="poem"), "unknown"),  # type: ignore[arg-type]
        (lambda: PromptStyle(shots=-1), "0 or more"),
        (lambda: asked_as(CHOICES, "guess"), "unknown"),
    ],
)
def test_bad_input(make_it: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_it()
