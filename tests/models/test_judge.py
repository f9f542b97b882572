from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest

from trueline import catalog
from trueline.models import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.models.judge import LlmJudge, judge_prompt, read_verdict
from trueline.tasks import Grade, Item, Task, grade_all, load_grader

ITEM = Item("i", "Is {answer} literal?", references=("Paris", "City of Light"))


class Scripted:
    """A model that replies from a list and remembers what it was asked."""

    uri = "scripted"
    capabilities = frozenset({"greedy"})

    def __init__(self, *replies: str | None) -> None:
        self.replies = list(replies)
        self.asked: list[Prompt] = []

    def fingerprint(self) -> Mapping[str, object]:
        return {}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        self.asked += [r.prompt for r in requests]
        replies = [self.replies.pop(0) for _ in requests]
        return [RequestResult(error="too long") if r is None else RequestResult(greedy=Generation(r)) for r in replies]

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("reply", "correct"),
    [
        ("Correct", True),
        (" incorrect.", False),
        ("It is not correct", False),
        ("wrong", False),
        ("correct or incorrect", None),
        ("Yes", None),
    ],
)
def test_reply_is_read_strictly(reply: str, correct: bool | None) -> None:
    grade = read_verdict(reply, "x")
    assert grade.correct is correct
    assert (grade.reason is None) == (correct is not None)


def test_only_answers_that_need_a_judge_cost_a_call() -> None:
    model = Scripted("correct", None, "hm")
    judge = LlmJudge(model)
    grades = judge.grade_many([ITEM, Item("j", "q"), ITEM, ITEM, ITEM], ["Paris", "Paris", " ", "Rome", "Lyon"])
    assert grades == [
        Grade(True, answer="Paris"),
        Grade(None, reason="no reference answer"),
        Grade(False, answer="", reason="empty answer"),
        Grade(None, answer="Rome", reason="the judge failed: too long"),
        Grade(None, answer="Lyon", reason="the judge's reply has no clear verdict: 'hm'"),
    ]
    assert len(model.asked) == 3


def test_the_prompt_shows_question_references_and_answer_unchanged() -> None:
    shown = judge_prompt(ITEM, "{question}")
    assert shown.text is not None
    assert "Question: Is {answer} literal?\nReference answers: Paris | City of Light\nProposed answer: {question}\n" in shown.text
    assert shown.messages[0].content in shown.text


def test_the_grader_llm_loads_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.MODEL_SCHEMES, "scripted", "scripted_scheme:load")
    monkeypatch.setitem(sys.modules, "scripted_scheme", SimpleNamespace(load=lambda rest: Scripted(rest)))  # type: ignore[arg-type]
    grader = load_grader("llm:scripted:incorrect", Task("t", [ITEM]))
    assert grade_all(grader, [ITEM], ["Rome"]) == [Grade(False, answer="Rome")]
