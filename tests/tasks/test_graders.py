from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.tasks import Grade, Item, Task
from trueline.tasks.graders import chosen_letter, grade_all, last_number, load_grader

ITEM = Item("i", "Where?", references=("South Africa", "RSA"))
TASK = Task("t", [ITEM])


def verdict(spec: str, text: str, *references: str) -> bool | None:
    return load_grader(spec, TASK)(Item("i", "q", references=references), text).correct


@pytest.mark.parametrize(
    ("spec", "text", "references", "correct"),
    [
        ("exact", " RSA\n", ("South Africa", "RSA"), True),
        ("exact", "rsa", ("RSA",), False),
        ("normalised", "The  south-africa.", ("South Africa",), True),
        ("normalised", "1,000", ("01000",), True),
        ("normalised", "It is South Africa", ("South Africa",), False),
        ("contains", "It is South Africa!", ("x", "south africa"), True),
        ("contains", "southern Africans", ("south africa",), False),
        ("numeric", "so 3 + 4 = 7.", ("7",), True),
        ("numeric", "0.30000000000000004", ("0.3",), True),
        ("numeric:0.5", "about 7.4", ("7",), True),
        ("numeric:0.3", "about 7.4", ("7",), False),
        ("numeric:1%", "1,009", ("1000",), True),
        ("numeric:1%", "1,011", ("1000",), False),
        ("numeric", "no idea", ("7",), False),
        (r"regex:(?i)^rs", "RSA", (), True),
        (r"regex:#### (\S+)", "2+2 #### 04", ("4",), True),
        (r"regex:#### (\S+)", "2+2 #### 05", ("4",), False),
        (r"regex:#### (\S+)", "2+2", ("4",), False),
        ("choice", "(b) Paris", ("B",), True),
        ("choice", "The answer is C.", ("B",), False),
        ("choice", "I cannot choose", ("B",), False),
        ("rouge_l:0.6", "a cat sat down there", ("the cats sat down",), True),
        ("rouge_l:0.7", "a cat sat down there", ("the cats sat down",), False),
    ],
)
def test_verdicts(spec: str, text: str, references: tuple[str, ...], correct: bool) -> None:
    assert verdict(spec, text, *references) is correct


@pytest.mark.parametrize("spec", ["exact", "normalised", "contains", "numeric", "choice", "rouge_l", r"regex:(\w+)"])
def test_no_reference_is_ungraded_with_a_reason(spec: str) -> None:
    grade = load_grader(spec, TASK)(Item("i", "q"), "text")
    assert grade.correct is None
    assert grade.reason == "no reference answer"


@pytest.mark.parametrize("spec", ["exact", "normalised", "contains", "numeric", "choice", "rouge_l", "regex:x"])
@pytest.mark.parametrize("text", ["", "  \n", "\x00\x1b[31m", "مرحبا", "?!"])
def test_empty_and_strange_answers_are_wrong_not_missing(spec: str, text: str) -> None:
    assert verdict(spec, text, "B7") in ({False, None} if spec == "choice" else {False})


def test_references_that_cannot_be_read_are_ungraded() -> None:
    assert verdict("numeric", "7", "seven") is None
    assert verdict("choice", "B", "Paris") is None
    assert verdict("contains", "anything", "?!") is None


def test_a_megabyte_is_judged() -> None:
    text = "word " * 200_000 + "South Africa"
    assert verdict("contains", text, "south africa") is True
    assert verdict("numeric", "9" * 1_000_000, "7") is False
    assert verdict("rouge_l", text, "south africa") is False


def test_a_catastrophic_pattern_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueline.tasks.graders.REGEX_SECONDS", 0.05)
    grade = load_grader(r"regex:^(?:(?:a|aa)+)+$", TASK)(ITEM, "a" * 200 + "b")
    assert grade.correct is None
    assert "longer than" in str(grade.reason)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b)", "B"),
        ("(C) because", "C"),
        ("B. Paris", "B"),
        ("**D**", "D"),
        ("Answer: A", "A"),
        ("I think the answer is (C)", "C"),
        ("either (A) or (B)", None),
        ("A dog barked", None),
        ("Because", None),
        ("", None),
    ],
)
def test_chosen_letter(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1990-1995", 1995),
        ("-3", -3),
        ("x = \u22124.5e2", -450),
        ("1,234,567.5 km", 1234567.5),
        (".5", 0.5),
        ("7.", 7),
        ("none", None),
        ("1e999", None),
    ],
)
def test_last_number(text: str, number: float | None) -> None:
    assert last_number(text) == number


def test_oracle_is_the_tasks_own() -> None:
    task = Task("w", [ITEM], grade_oracle=lambda item, text: Grade(text == "x", probability=0.4))
    assert load_grader("oracle", task)(ITEM, "x") == Grade(True, probability=0.4)
    with pytest.raises(InputError, match="truth is known"):
        load_grader("oracle", TASK)


def test_own_function_from_module_file_and_object(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def shout(item, text):\n    return text.isupper()\n\n\ndef odd(item, text):\n    return 7\n")
    assert load_grader(f"{tmp_path}/mine.py:shout", TASK)(ITEM, " RSA ") == Grade(True, answer="RSA")
    assert load_grader("operator:ne", TASK)(ITEM, "x").correct is True
    assert load_grader(lambda item, text: None, TASK)(ITEM, "x").correct is None
    assert load_grader(lambda item, text: np.bool_(True), TASK)(ITEM, "x").correct is True
    with pytest.raises(InputError, match="returned 7 for item 'i'"):
        load_grader(f"{tmp_path}/mine.py:odd", TASK)(ITEM, "x")
    with pytest.raises(InputError, match="no function 'shot'; did you mean shout"):
        load_grader(f"{tmp_path}/mine.py:shot", TASK)
    with pytest.raises(InputError, match="no file"):
        load_grader("absent.py:f", TASK)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("normalized", "did you mean normalised"),
        ("no_such_module:f", "no module"),
        ("exact:1", "takes no setting"),
        ("numeric:much", "tolerance"),
        ("numeric:-1", "tolerance"),
        ("numeric:nan", "tolerance"),
        ("rouge_l:2", "threshold"),
        ("rouge_l:nan", "threshold"),
        ("regex:", "needs a pattern"),
        ("regex:(", "not a valid pattern"),
        ("llm:", "needs a model"),
    ],
)
def test_bad_specs(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_grader(spec, TASK)


def test_grade_all_prefers_the_batch() -> None:
    class Batched:
        def __call__(self, item: Item, text: str) -> Grade:
            raise NotImplementedError

        def grade_many(self, items: list[Item], texts: list[str]) -> list[Grade]:
            return [Grade(text == "y") for text in texts]

    grader = load_grader(Batched(), TASK)
    assert [g.correct for g in grade_all(grader, [ITEM, ITEM], ["y", "n"])] == [True, False]
    assert [g.correct for g in grade_all(load_grader("exact", TASK), [ITEM, ITEM], ["RSA", "n"])] == [True, False]
