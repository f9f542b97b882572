from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from trueline.errors import ModelError
from trueline.estimators.engine import judge_trace
from trueline.estimators.equivalence import LLMJudge
from trueline.models import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.traces import make_trace


class Listener:
    """Thinks that answers mean the same when they start alike; scores or replies."""

    uri = "test:listener"

    def __init__(self, scores: bool, reply: str | None = None, error: str | None = None) -> None:
        self.capabilities = frozenset({"greedy", "score"} if scores else {"greedy"})
        self.reply, self.error = reply, error
        self.asked: list[Prompt] = []

    def fingerprint(self) -> Mapping[str, object]:
        return {"weights": "1"}

    def _same(self, prompt: Prompt) -> bool:
        self.asked.append(prompt)
        first, second = (line.split(": ")[1] for line in (prompt.text or "").splitlines()[1:3])
        return first[0] == second[0]

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        assert {tuple(o) for o in options} == {(" yes", " no")}
        laws = [np.log([0.72, 0.08] if self._same(p) else [0.1, 0.3]) for p in prompts]
        return [OptionScores(law, self.error) for law in laws]

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        if self.error is not None:
            return [RequestResult(error=self.error) for _ in requests]
        replies = [self.reply or ("Yes." if self._same(r.prompt) else "**No**") for r in requests]
        return [RequestResult(greedy=Generation(text)) for text in replies]


def render(judge: LLMJudge, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
    return [judge.render("Which {premise}?", a, b) for a, b in pairs]


def test_scored_and_asked_agree_in_direction() -> None:
    scored, asked = LLMJudge(Listener(True)), LLMJudge(Listener(False))
    pairs = render(scored, ("owl", "ox"), ("owl", "cat"))
    assert scored.judge(pairs).probs == pytest.approx(np.array([[0.9, 0, 0.1], [0.25, 0, 0.75]]))
    assert asked.judge(pairs).probs.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert scored.fingerprint() != asked.fingerprint()


def test_reply_that_is_no_verdict_is_neutral() -> None:
    judge = LLMJudge(Listener(False, reply="I cannot say"))
    assert judge.judge(render(judge, ("a", "b"))).probs.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("scores", [True, False])
def test_failing_model_makes_up_no_verdict(scores) -> None:
    judge = LLMJudge(Listener(scores, error="context too long"))
    with pytest.raises(ModelError, match="context too long"):
        judge.judge(render(judge, ("a", "b")))


def test_braces_in_an_answer_stay_what_they_are() -> None:
    text = LLMJudge(Listener(True)).render("Q", "{hypothesis}", "b")[0]
    assert "First answer: {hypothesis}\nSecond answer: b" in text


def test_whole_trace() -> None:
    model = Listener(True)
    trace = make_trace([{"item_id": "a", "kind": "sample", "text": t} for t in ("owl", "ox", "cat", "owl")], questions={"a": "Which?"})
    item = judge_trace(trace, LLMJudge(model)).items[0]
    assert item is not None
    assert len(model.asked) == 6
    assert item.samples().argmax(axis=-1).tolist() == [[0, 0, 2, 0], [0, 0, 2, 0], [2, 2, 0, 2], [0, 0, 2, 0]]
