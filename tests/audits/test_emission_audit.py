"""The emission audit: a model that means its markers is told from one that draws lots; questions are kept apart; answers are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from stub_server import serve

from trueline.audits import EmissionAudit, EmissionReport
from trueline.errors import InputError, SettingsMismatch
from trueline.knownworld.planted_emitter import PlantedEmitter
from trueline.models.base import GenerationRequest, GenerationSettings, RequestResult
from trueline.models.loading import load_model
from trueline.stats import CI
from trueline.tasks.item import Item, Task
from trueline.tasks.loading import load_task

N = 200
CHEAP = CI(n_boot=50)


def run(model: PlantedEmitter | None = None, **settings: Any) -> EmissionReport:
    emitter = model or PlantedEmitter(n=N)
    return EmissionAudit(emitter.task(), **{"ci": CHEAP, **settings}).run(emitter)


def test_a_model_that_means_its_markers() -> None:
    document = json.loads(json.dumps(run().document, allow_nan=False))
    gap = document["gaps"]["none_minus_weakener"]
    assert gap["accuracy"]["value"] >= 0.2
    assert gap["accuracy"]["low"] > 0.2
    weak, plain = (document["classes"][kind] for kind in ("weakener", "none"))
    assert weak["probability"]["value"] == pytest.approx(0.35)
    assert plain["probability"]["value"] == pytest.approx(0.95)
    assert weak["entropy"]["value"] > plain["entropy"]["value"]
    assert weak["probability_before"]["value"] == pytest.approx(0.35)  # it knew so before it said so
    assert document["before"]["ece"]["value"] < 0.1
    assert document["change"]["accuracy"]["value"] == 0
    assert document["before"]["share"]["none"] == 1
    assert document["warnings"] == []
    sure = [shot["sure"] for shot in document["shots"]]
    assert sum(sure) == 4
    assert all(shot["said"].startswith("I think it is ") != shot["sure"] for shot in document["shots"])


def test_a_model_that_draws_lots_is_let_off_nothing() -> None:
    found = [run(PlantedEmitter(n=N, follows=False, seed=seed)).document["gaps"]["none_minus_weakener"]["accuracy"] for seed in range(5)]
    assert all(gap["value"] < 0.25 for gap in found)
    assert sum(gap["low"] <= 0 <= gap["high"] for gap in found) >= 4


def test_schemes_and_correctness() -> None:
    both = run(scheme="both").document
    assert both["classes"]["none"]["share"]["value"] == 0
    assert both["gaps"]["strengthener_minus_weakener"]["accuracy"]["low"] > 0.2
    assert both["gaps"]["strengthener_minus_weakener"]["entropy"]["high"] < 0
    above = run(scheme="strengthener_above", strengthener="Surely it is").document
    assert above["classes"]["weakener"]["share"]["value"] == 0
    assert above["classes"]["strengthener"]["accuracy"]["value"] > above["classes"]["none"]["accuracy"]["value"]
    silent = run(PlantedEmitter(n=N, logprobs=False), by="correctness", shots=20)
    assert silent.document["classes"]["weakener"]["probability"]["value"] is None
    assert any("accuracy alone" in w for w in silent.document["warnings"])
    with pytest.raises(InputError, match="shows no log-probs"):
        run(PlantedEmitter(n=N, logprobs=False))


def test_examples_that_cannot_teach_are_said_to_be_so() -> None:
    document = run(PlantedEmitter(n=N, unsure=0.8, sure=0.95)).document
    assert any("sure of all 8 examples" in w for w in document["warnings"])
    assert any("All answers are of one class (none)" in w for w in document["warnings"])


def test_without_examples_and_against_another_model() -> None:
    alone = run(shots=0)
    assert alone.document["before"] is None
    assert alone.shots == ()
    with pytest.raises(InputError, match="no example"):
        alone.policy(PlantedEmitter())
    audit = EmissionAudit(PlantedEmitter(n=N).task(), shots=0, ci=CHEAP)
    compared = audit.run(PlantedEmitter(n=N), before=PlantedEmitter(n=N, unsure=0.1)).document
    assert compared["change"]["probability"]["value"] > 0.1
    assert compared["before_model"] == "world:planted-emitter"


def test_the_policy_says_what_the_audit_heard() -> None:
    model = PlantedEmitter(n=N)
    report = run(model)
    again = EmissionAudit(report.task, shots=0, n_items=N, ci=CHEAP).run(report.policy(model))
    assert again.document["gaps"]["none_minus_weakener"]["accuracy"]["low"] > 0.2


class _Watch(PlantedEmitter):
    """Keeps what it was asked."""

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        seen = self.__dict__.setdefault("seen", [])
        seen += [r.prompt.text or "" for r in requests]
        return super().generate(requests, settings)


def test_examples_are_not_asked_again_and_share_no_cluster_with_what_is_asked() -> None:
    model = _Watch(n=60)
    items = [Item(i.id, i.question, references=i.references, cluster=f"c{k // 3}") for k, i in enumerate(model.task().items)]
    task = Task("t", items, template="Question: {question} Answer:", grader="contains")
    report = EmissionAudit(task, shots=4, ci=CHEAP).run(model)
    where = {item.question: item.cluster for item in items}
    asked = [text.rsplit("Question: ", 1)[1].removesuffix(" Answer:") for text in model.__dict__["seen"] if text.count("Question:") == 5]
    assert not {where[shot.item.question] for shot in report.shots} & {where[question] for question in asked}
    assert len(asked) == 2 * report.document["n_items"]
    assert "cluster wilson" in report.document["classes"]["weakener"]["share"]["method"]


def test_answers_are_kept_and_other_settings_refused(tmp_path: Path) -> None:
    model = PlantedEmitter(n=60)
    audit = EmissionAudit(model.task(), shots=4, ci=CHEAP)
    first = audit.run(model, out=tmp_path).document

    class Silent(PlantedEmitter):
        def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
            raise AssertionError("asked again")

    assert audit.run(Silent(n=60), out=tmp_path).document == first
    with pytest.raises(SettingsMismatch):
        EmissionAudit(model.task(), shots=4, scheme="both", ci=CHEAP).run(model, out=tmp_path)
    assert audit.plan(model)["prompts"] == 16 + 2 * first["n_items"]


def test_failures_are_counted() -> None:
    model = PlantedEmitter(n=60)
    strange = [Item(f"s{k}", "Where is nothing at all ?", references=("x",)) for k in range(6)]
    task = Task("t", [*model.task().items, *strange], template="Question: {question} Answer:", grader="contains")
    document = EmissionAudit(task, shots=2, ci=CHEAP).run(model).document
    assert document["failed_prompts"] > 0
    assert any("failed (with markers)" in w for w in document["warnings"])
    with pytest.raises(InputError, match="answered none"):
        EmissionAudit(Task("t", strange, grader="contains"), shots=0).run(model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": -1}, "shots is -1"),
        ({"cut": 1.0}, "cut is 1.0"),
        ({"scheme": "loud"}, "scheme is 'loud'"),
        ({"by": "luck"}, "by is 'luck'"),
        ({"weakener": " "}, "weakener is empty"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EmissionAudit("x", **settings)


def test_too_few_questions() -> None:
    task = Task("t", [Item(f"i{k}", "Where?", references=("x",)) for k in range(10)])
    with pytest.raises(InputError, match="8 examples and new questions need 16"):
        EmissionAudit(task).run(PlantedEmitter())
    with pytest.raises(InputError, match="has a reference"):
        EmissionAudit(Task("t", [Item("a", "b")])).run(PlantedEmitter())


@pytest.mark.parametrize("logprobs", [True, False])
def test_models_behind_a_server(tmp_path: Path, logprobs: bool) -> None:
    items = [Item(f"q{k}", f"Where does the traveller number {k} live?", references=("Kelby",)) for k in range(24)]
    with serve(logprobs=logprobs, top_logprobs=5) as stub:
        audit = EmissionAudit(Task("t", items, grader="contains"), shots=2, by="correctness", ci=CHEAP)
        document = audit.run(load_model("openai:stub", base_url=stub.url), out=tmp_path / "run").document
    assert document["failed_prompts"] == 0
    assert (document["after"]["probability"]["value"] is not None) == logprobs
    assert document["n_items"] == 16


def test_a_shipped_model_is_read_token_by_token() -> None:
    """Its own tokens and log-probs; with so few questions nothing is claimed about what it means."""
    document = (
        EmissionAudit(load_task("world:facts"), shots=2, n_items=8, max_new_tokens=8, ci=CHEAP).run(load_model("world:chat")).document
    )
    after = document["after"]
    assert 0 < after["probability"]["value"] <= 1
    assert after["entropy"]["value"] >= 0
    assert any("Only 8 new questions" in w for w in document["warnings"])
