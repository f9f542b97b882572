"""An audit whose judge is asked by another tool finds what it finds when it asks itself."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import trueline as tl
from trueline.audits import MarkerAudit, MarkerReport, judge_pairs, load_markers
from trueline.errors import InputError
from trueline.interop.replay import Replay, audit_task, prompt_key
from trueline.models.base import GenerationRequest, GenerationSettings, Model, Prompt
from trueline.stats import CI
from trueline.tasks.preferences import PreferencePair

PAIRS = [PreferencePair((("user", f"Say {k}."),), "yes." * (k % 3 + 1), "no" * (k + 1) + "!") for k in range(6)]
PRINCIPLES = ["Prefer the shorter response.", "Prefer the longer response."]


def reply(question: str) -> str:
    """What a faithful judge says to a prompt of `judge_pairs`."""
    said = dict(re.findall(r"<(response_a|response_b)>\n(.*?)\n</", question))
    if not said:
        return "fine"
    return "A" if (len(said["response_a"]) < len(said["response_b"])) == ("shorter" in question) else "B"


def answered(task: tl.Task, folder: Path, samples: int) -> tl.Run:
    """The recorded prompts asked, as any tool would."""
    rows = [{"id": i.id, "question": i.question, "samples": [reply(i.question)] * samples, "greedy": reply(i.question)} for i in task.items]
    path = folder / "asked.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tl.import_generations(path, folder / "run")


def test_a_recorded_audit_replays(tmp_path: Path) -> None:
    def audit(judge: Model) -> object:
        return judge_pairs(judge, PAIRS, PRINCIPLES, draws=4)

    task = audit_task(audit, "judging")
    assert len(task.items) == len(PAIRS) * len(PRINCIPLES) * 2
    assert task.notes == ("4 sampled answers a prompt are asked for",)
    assert task.max_new_tokens == 8
    assert task.items[0].messages[0][1] == task.items[0].question
    model = Replay(answered(task, tmp_path, 4))
    judged = judge_pairs(model, PAIRS, PRINCIPLES, draws=4)
    assert judged.failed == 0
    shorter = [1.0 if len(p.response_0) < len(p.response_1) else -1.0 for p in PAIRS]
    assert judged.preferences.tolist() == [[sign, -sign] for sign in shorter]
    fewer = judge_pairs(model, [*PAIRS, PreferencePair((("user", "New."),), "a", "b")], PRINCIPLES, draws=4)
    assert fewer.failed == 4
    assert fewer.errors == ("the run holds no answer to this prompt",)
    assert (fewer.preferences[:-1] == judged.preferences).all()
    more = judge_pairs(model, PAIRS, PRINCIPLES, draws=9)
    assert more.errors == ("the run holds 4 sampled answers to this prompt",)


@pytest.mark.slow
def test_a_grey_area_audit_asked_elsewhere_finds_the_same_accuracy(tmp_path: Path) -> None:
    items = [item for item in tl.load_task("world:facts").items if item.references][:12]
    task = dataclasses.replace(tl.load_task("world:facts"), items=items)
    settings: dict[str, Any] = {"markers": load_markers()[:3], "position": "question_prefix", "ci": CI(n_boot=20)}

    def audit(model: Model) -> MarkerReport:
        return MarkerAudit(task, **settings).run(model)

    asked = tl.measure("world:chat", audit_task(audit, "grey", samples=False), ["sequence_nll"], out=tmp_path / "run", validate=False)
    reports = [audit(model) for model in (tl.load_model("world:chat"), Replay(asked))]
    found = [{row["marker"]: row["metrics"]["accuracy"] for row in report.document["markers"]} for report in reports]
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_what_a_replay_can_and_cannot(tmp_path: Path) -> None:
    task = audit_task(lambda m: m.generate([GenerationRequest(Prompt("Hi:"))], GenerationSettings(stop=("x",))), "one", samples=False)
    assert (task.stop, len(task.items), task.items[0].prompt_text) == (("x",), 1, "Hi:")
    model = Replay(answered(task, tmp_path, 2))
    assert model.capabilities == {"chat", "greedy", "samples"}
    (result,) = model.generate([GenerationRequest(Prompt("Hi:"), sample_seeds=(1, 2))], GenerationSettings())
    assert result.greedy is not None
    assert (result.greedy.text, len(result.samples), model.uri) == ("fine", 2, "imported:asked.jsonl")
    (score,) = model.score([Prompt("Hi:")], [["A", "B"]])
    assert score.error is not None
    assert prompt_key(Prompt("Hi:")) != prompt_key(Prompt("Hi: "))


def test_an_audit_that_asks_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="no text that could be recorded"):
        audit_task(lambda model: None, "nothing")

    def scored(model: Model) -> Sequence[object]:
        raise InputError("needs log-probs of given texts")

    with pytest.raises(InputError, match="needs log-probs"):
        audit_task(scored, "scored")
