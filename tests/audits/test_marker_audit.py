"""The audit of markers: planted effects are found, prompts are what they should be, answers are kept."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stub_server import serve

from trueline.audits import MarkerAudit, MarkerReport, NumericMarkerAudit
from trueline.audits.marker_probes import build_probes
from trueline.errors import InputError, SettingsMismatch
from trueline.knownworld.planted_markers import PlantedMarkerModel, planted_markers
from trueline.models.base import GenerationRequest, GenerationSettings, RequestResult
from trueline.models.loading import load_model
from trueline.stats import CI
from trueline.tasks.item import Item, Task
from trueline.tasks.markers import Marker, load_markers

N = 40
CHEAP = CI(n_boot=100)
FEW = [
    Marker("It is"),
    Marker("I think it is", "weakener", plausibility_shield=True),
    Marker("I am sure it is", "strengthener"),
    Marker(""),
]


def run(model: Any = None, **settings: Any) -> MarkerReport:
    world = planted_markers(n=N)
    return MarkerAudit(world.task(), **{"ci": CHEAP, **settings}).run(model or PlantedMarkerModel(n=N))


@pytest.fixture(scope="module")
def planted() -> MarkerReport:
    return run(draws=5, legacy=True)


def planted_contrast(first: Any, second: Any) -> float:
    world = planted_markers(n=1)
    rates = world.rates()
    pick = [np.array([bool(rule(m)) for m in world.markers]) for rule in (first, second)]
    return float(rates[pick[0]].mean() - rates[pick[1]].mean())


def test_planted_contrasts_are_found(planted: MarkerReport) -> None:
    found = planted.document["contrasts"]
    truth = {
        "certainty": planted_contrast(lambda m: m.certainty == "weakener", lambda m: m.certainty == "strengthener"),
        "evidential": planted_contrast(lambda m: m.evidential, lambda m: not m.evidential and not m.is_control),
        "factive": planted_contrast(lambda m: m.factive, lambda m: not m.factive and not m.is_control),
    }
    for name, value in truth.items():
        assert found["prob_gold"][name]["value"] == pytest.approx(value)
        sampled = found["sampled_accuracy"][name]
        assert abs(sampled["value"] - value) < 4 * sampled["se"]
        assert found["accuracy"][name]["value"] == 0  # the truth stays on top
        assert found["accuracy"][name]["p_holm"] == 1
        assert "unpaired_p" in sampled["legacy"]
    assert found["sampled_accuracy"]["certainty"]["p_holm"] < 0.001
    entropy = found["entropy"]["certainty"]["value"]
    assert entropy < 0


def test_the_control_world_has_no_contrast() -> None:
    found = run(PlantedMarkerModel(n=N, coupled=False), draws=2).document["contrasts"]
    assert all(entry["value"] == pytest.approx(0) and entry["p_holm"] == 1 for metric in found.values() for entry in metric.values())


def test_the_regression_is_that_of_the_planted_rates(planted: MarkerReport) -> None:
    """Rates are not additive in the labels (a source has the last word), so the best additive account of them is what must come out."""
    world = planted_markers(n=1)
    names = ("weakener", "strengthener", "plausibility_shield", "evidential", "factive", "sourced", "first_person")
    x = np.array([[1.0, *(float(name in m.labels) for name in names)] for m in world.markers])
    beta = np.linalg.lstsq(x, world.rates(), rcond=None)[0][1:]
    found = planted.document["regression"]["prob_gold"]
    assert [found[name]["value"] for name in names] == pytest.approx(list(beta))
    assert found["strengthener"]["value"] < found["weakener"]["value"] < 0 < found["sourced"]["value"]


def test_the_record_is_json_and_whole(planted: MarkerReport) -> None:
    document = json.loads(json.dumps(planted.document, allow_nan=False))
    assert len(document["markers"]) == 54
    assert document["baseline"] == "It is"
    sure = next(m for m in document["markers"] if m["marker"] == "I am sure it is")
    assert sure["difference"]["prob_gold"]["value"] == pytest.approx(-0.4)
    assert sure["difference"]["accuracy"]["mcnemar_p"] == 1
    assert document["classes"]["strengthener"]["ece"]["value"] == pytest.approx(
        1 - document["classes"]["strengthener"]["prob_gold"]["value"]
    )
    assert document["items"] == {"offered": N, "usable": N, "share_usable": 1.0}
    assert document["covered_mass"] == pytest.approx(1)


def test_a_model_without_log_probs_has_accuracy_alone() -> None:
    document = run(PlantedMarkerModel(n=N, logprobs=False), markers=FEW, draws=1).document
    assert set(document["metrics"]) == {"accuracy", "sampled_accuracy"}
    assert document["reading"] == "a reference in the answer"
    assert any("accuracy alone" in w for w in document["warnings"])


def test_published_path_reads_the_samples() -> None:
    greedy, sampled = run(markers=FEW), run(markers=FEW, draws=3, path="sampled")
    assert "sampled_accuracy" not in greedy.document["metrics"]
    np.testing.assert_allclose(sampled.answers.values["prob_gold"], greedy.answers.values["prob_gold"])


def test_fewer_than_twenty_items_give_points_alone() -> None:
    world = planted_markers(n=12)
    document = MarkerAudit(world.task(), ci=CHEAP).run(PlantedMarkerModel(n=12)).document
    entry = document["contrasts"]["prob_gold"]["certainty"]
    assert entry["value"] > 0.1
    assert entry["low"] is None
    assert entry["p_holm"] is None
    assert any("Only 12 items" in w for w in document["warnings"])


def test_numbers_as_markers() -> None:
    found = NumericMarkerAudit(planted_markers(n=N).task(), ci=CHEAP).run(PlantedMarkerModel(n=N))
    assert [row["level"] for row in found["levels"]] == list(range(0, 101, 10))
    assert found["slope"]["prob_gold"]["value"] == pytest.approx(0)
    assert found["extremes"]["accuracy"]["value"] == 0
    with pytest.raises(InputError, match="levels are"):
        NumericMarkerAudit("x", levels=[0, 50])
    with pytest.raises(InputError, match="phrase is"):
        NumericMarkerAudit("x", phrase="sure")


# -- prompts ---------------------------------------------------------------------------------------------------------------


def probes(position: Any, markers: Sequence[Marker], item: Item, **task: Any) -> list[Item]:
    made = build_probes(
        Task("t", [item], **task), markers, PlantedMarkerModel(), position=position, n_items=9, multi_token=True, max_new_tokens=3
    )
    return list(made.task.items)


def test_where_the_marker_stands() -> None:
    item = Item("q", "Where is Oslo?", references=("Norway",))
    plain, marked = probes("answer_prefix", [Marker(""), Marker("I think it is", "weakener")], item, system="Be brief.")
    assert plain.prompt_text == "Question: Where is Oslo?\nAnswer:"
    assert plain.messages == (("system", "Be brief."), ("user", "Where is Oslo?"))
    assert marked.prompt_text == "Question: Where is Oslo?\nAnswer: I think it is"
    assert marked.messages[-1] == ("assistant", "I think it is")
    (opened,) = probes("question_prefix", [Marker("For certain,", "strengthener")], item)
    assert opened.prompt_text == "Question: For certain, where is Oslo?\nAnswer:"
    assert opened.messages == (("user", "For certain, where is Oslo?"),)
    (usa,) = probes("question_prefix", [Marker("Surely,", "strengthener")], dataclasses.replace(item, question="USA is where?"))
    assert usa.messages[-1][1] == "Surely, USA is where?"


def test_a_chat_model_goes_on_with_its_turn() -> None:
    from trueline.models.base import Message, Prompt

    model = load_model("world:chat")
    turns = (Message("user", "Where was Dotonal born?"), Message("assistant", "I think it is"))
    ((ids),) = model.codec.encode([Prompt(messages=turns)])  # type: ignore[attr-defined]
    text = model.tokenizer.decode(ids)  # type: ignore[attr-defined]
    assert text.endswith("I think it is")
    assert text.count("<|assistant|>") == 1


def test_one_token_references_are_kept_and_counted() -> None:
    items = [Item("a", "A?", references=("one",)), Item("b", "B?", references=("two words",)), Item("c", "C?")]
    audit = MarkerAudit(Task("t", items), FEW)
    made = audit.probes(PlantedMarkerModel())
    assert [item.id for item in made.items] == ["a"]
    assert (made.n_usable, made.n_offered) == (1, 3)
    with pytest.raises(InputError, match="--multi-token"):
        MarkerAudit(Task("t", items[1:]), FEW).probes(PlantedMarkerModel())
    longer = MarkerAudit(Task("t", [Item("p", "P?", references=("Paris", "Paris, France", "Parisian"))]), FEW, multi_token=True)
    assert longer.probes(PlantedMarkerModel()).aliases == (("Paris", "Parisian"),)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_items": 0}, "n_items is 0"),
        ({"draws": -1}, "draws is -1"),
        ({"path": "sampled"}, "path is 'sampled' with 0 draws"),
        ({"position": "middle"}, "position is 'middle'"),
        ({"markers": []}, "the markers are empty"),
        ({"markers": [FEW[0], FEW[0]]}, "given twice"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(**settings)


# -- answers are kept ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Counting:
    """Counts prompts; dies after so many, and fails on facts whose name is in `broken`."""

    inner: PlantedMarkerModel
    until: float = math.inf
    broken: str = "-"
    asked: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        if self.asked + len(requests) > self.until:
            raise KeyboardInterrupt
        self.asked += len(requests)
        results = self.inner.generate(requests, settings)
        return [RequestResult(error="broken") if self.broken in str(q.prompt.text) else r for q, r in zip(requests, results, strict=True)]


def test_a_stopped_audit_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    audit = MarkerAudit(planted_markers(n=N).task(), ci=CHEAP, draws=1)
    whole = audit.run(PlantedMarkerModel(n=N)).document
    first = Counting(PlantedMarkerModel(n=N), until=700)
    with pytest.raises(KeyboardInterrupt):
        audit.run(first, out=tmp_path / "run")  # type: ignore[arg-type]
    second = Counting(PlantedMarkerModel(n=N))
    resumed = audit.run(second, out=tmp_path / "run").document  # type: ignore[arg-type]
    assert first.asked + second.asked == N * 54
    assert {k: v for k, v in resumed.items() if k != "counts"} == {k: v for k, v in whole.items() if k != "counts"}
    again = Counting(PlantedMarkerModel(n=N))
    audit.run(again, out=tmp_path / "run")  # type: ignore[arg-type]
    assert again.asked == 0
    with pytest.raises(SettingsMismatch):
        dataclasses.replace(audit, seed=1).run(again, out=tmp_path / "run")  # type: ignore[arg-type]


def test_failures_are_counted_and_their_items_left_out() -> None:
    name = planted_markers(n=N).facts[0][0]
    document = run(Counting(PlantedMarkerModel(n=N), broken=name), markers=FEW).document
    assert document["failed_prompts"] == len(FEW)
    assert document["contrasts"]["prob_gold"]["certainty"]["n_missing"] == 1
    assert any("4 prompts failed" in w and "broken" in w for w in document["warnings"])
    with pytest.raises(InputError, match="answered none"):
        run(Counting(PlantedMarkerModel(n=N), broken="Where"), markers=FEW)


@pytest.mark.parametrize("logprobs", [True, False])
def test_models_behind_a_server(tmp_path: Path, logprobs: bool) -> None:
    items = [Item(f"q{k}", f"Where does the traveller number {k} live?", references=("Kelby",)) for k in range(24)]
    with serve(logprobs=logprobs, top_logprobs=5) as stub:
        model = load_model("openai:stub", base_url=stub.url)
        document = MarkerAudit(Task("t", items), FEW, ci=CHEAP).run(model, out=tmp_path / "run").document
    assert document["failed_prompts"] == 0
    assert ("prob_gold" in document["metrics"]) == logprobs
    assert any("completions route" in w for w in document["warnings"])
    assert document["counts"]["requests"] == 24 * 4


def test_the_shipped_model_in_the_time_of_a_test() -> None:
    """Answers of several tokens, scored as sequences, and the fluency of the markers."""
    report = MarkerAudit("world:facts", FEW, n_items=3, multi_token=True, max_new_tokens=4, ci=CHEAP).run(load_model("world:small"))
    assert report.answers.fluency is not None
    assert (report.answers.fluency[:, 0] < 0).all()
    gold = report.answers.values["prob_gold"]
    assert ((gold >= 0) & (gold <= 1)).all()
    assert report.document["reading"] == "grader oracle"
    assert len(load_markers()) == 54
