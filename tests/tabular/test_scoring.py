"""Scores read from models that show log-probs, from a real one's whole law, from texts, and from a server; the cache; faults."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stub_server import serve

from trueline.errors import InputError, ModelError, PromptTooLong
from trueline.knownworld.planted_table import PlantedRisk, planted_table
from trueline.knownworld.table_model import TableRecipe, train_table_model
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.models.loading import load_model
from trueline.models.local import LocalModel
from trueline.tabular import AnswerCache, Choices, Numeric, PromptStyle, Reasoned, RiskScores, TabularRiskTask, asked_as, risk_scores

PLANTED = planted_table(300, seed=2)
TASK = PLANTED.task
ROWS = TASK.rows("test")


def as_kind(kind: str) -> TabularRiskTask:
    return TASK.with_(question=asked_as(TASK.question, kind))


def test_choices_recover_the_model_s_belief() -> None:
    found = risk_scores(PlantedRisk(), TASK, ROWS)
    np.testing.assert_allclose(found.scores, PLANTED.risk[ROWS])
    np.testing.assert_allclose(found.mass, 0.95)
    assert found.order_sensitivity < 1e-12
    assert found.warnings == ()


@pytest.mark.parametrize("kind", ["numeric", "reasoned"])
def test_numbers_recover_it_up_to_rounding(kind: str) -> None:
    found = risk_scores(PlantedRisk(), as_kind(kind), ROWS)
    np.testing.assert_allclose(found.scores, PLANTED.risk[ROWS], atol=0.0051)
    assert found.parse_failures == 0
    assert math.isnan(found.order_sensitivity)


def test_a_position_bias_shows_as_order_sensitivity_and_warns() -> None:
    with pytest.warns(UserWarning, match="reads the position, not the row"):
        found = risk_scores(PlantedRisk(position=3), TASK, ROWS)
    assert found.order_sensitivity > 0.7
    one = risk_scores(PlantedRisk(position=3), TASK, ROWS, order_average=False)
    assert one.by_order.shape == (len(ROWS), 1)
    np.testing.assert_allclose(one.scores, found.by_order[:, 0])
    mild = risk_scores(PlantedRisk(position=0.2), TASK, ROWS)
    assert 0.02 < mild.order_sensitivity < 0.2
    assert mild.warnings == ()


def test_styles_do_not_confuse_the_reader_of_the_last_row() -> None:
    for style in (PromptStyle(shots=4), PromptStyle("sentence"), PromptStyle("lines"), PromptStyle(order="shuffled", preamble=True)):
        np.testing.assert_allclose(risk_scores(PlantedRisk(), TASK, ROWS, style=style).scores, PLANTED.risk[ROWS], err_msg=str(style))


def test_little_mass_warns_and_none_is_undecided() -> None:
    with pytest.warns(UserWarning, match=r"together have less than 0\.1"):
        risk_scores(PlantedRisk(other=0.95), TASK, ROWS)
    foreign = TASK.with_(question=Choices("Is this a fish?", (("Nay", 0), ("Aye", 1))))
    with pytest.warns(UserWarning, match="no option has any probability"):
        found = risk_scores(PlantedRisk(), foreign, ROWS)
    assert (found.scores == 0.5).all()


@dataclass(frozen=True)
class Spoken(PlantedRisk):
    """Texts alone."""

    text: str = "no idea"

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({"greedy"})

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        return [RequestResult(Generation(text=self.text)) for _ in requests]


def test_parse_failures_are_counted_never_hidden() -> None:
    with pytest.warns(UserWarning, match=f"{len(ROWS)} of {len(ROWS)} answers hold no number"):
        found = risk_scores(Spoken(), as_kind("reasoned"), ROWS)
    assert found.parse_failures == len(ROWS)
    assert (found.scores == 0.5).all()


@pytest.mark.parametrize("kind", ["choices", "numeric"])
def test_a_model_without_logprobs_can_only_reason(kind: str) -> None:
    with pytest.raises(InputError, match="ask it as Reasoned"):
        risk_scores(Spoken(), as_kind(kind), ROWS)


@dataclass(frozen=True)
class ScoresOnly(PlantedRisk):
    """Scores of given texts, no alternatives; fails on rows of one ward."""

    broken: str = ""

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({"greedy", "score"})

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        found = super().score(prompts, options)
        return [
            OptionScores(np.full(len(o), np.nan), "out of order") if self.broken and self.broken in (p.text or "") else f
            for p, o, f in zip(prompts, options, found, strict=True)
        ]


def test_given_texts_are_scored_where_there_are_no_alternatives() -> None:
    np.testing.assert_allclose(risk_scores(ScoresOnly(), TASK, ROWS).scores, PLANTED.risk[ROWS])


def test_failed_rows_are_missing_with_their_reason() -> None:
    with pytest.warns(UserWarning, match="have no answer: out of order"):
        found = risk_scores(ScoresOnly(broken="ward = north"), TASK, ROWS)
    north = np.array([TASK.df["ward"][int(i)] == "north" for i in ROWS])
    assert north.any()
    np.testing.assert_array_equal(np.isnan(found.scores), north)
    assert found.failed == north.sum()


def test_the_cache_knows_everything_that_matters(tmp_path: Path) -> None:
    file = tmp_path / "answers.sqlite"
    with AnswerCache(file) as cache:
        first = risk_scores(PlantedRisk(), TASK, ROWS, cache=cache)
        assert first.calls > 0
    with AnswerCache(file) as cache:
        again = risk_scores(PlantedRisk(), TASK, ROWS, cache=cache)
        assert again.calls == 0
        np.testing.assert_array_equal(again.scores, first.scores)
        other = TASK.with_(question=replace(TASK.question, text="Does this person own a ship?"))
        for changed in (
            risk_scores(PlantedRisk(shift=0.1), TASK, ROWS, cache=cache),
            risk_scores(PlantedRisk(), TASK, ROWS, cache=cache, style=PromptStyle("lines")),
            risk_scores(PlantedRisk(), other, ROWS, cache=cache),
            risk_scores(PlantedRisk(), as_kind("numeric"), ROWS, cache=cache),
        ):
            assert changed.calls > 0
    file.write_bytes(b"no database, but long enough to look like one" * 40)
    with pytest.raises(InputError, match="cannot be used as a cache"):
        AnswerCache(file)


def test_equal_rows_are_asked_once() -> None:
    found = risk_scores(PlantedRisk(), TASK, np.array([int(ROWS[0])] * 5))
    assert found.calls == 2
    assert len(found.scores) == 5


def test_rows_of_another_table() -> None:
    frame = [TASK.df.row(int(i)) for i in ROWS]
    np.testing.assert_allclose(risk_scores(PlantedRisk(), TASK, frame).scores, PLANTED.risk[ROWS])
    with pytest.raises(InputError, match="no column 'house'"):
        risk_scores(PlantedRisk(), TASK, [{"work": "farming", "schooling": "none"}])
    with pytest.raises(InputError, match="row positions"):
        risk_scores(PlantedRisk(), TASK, np.array([999]))


@pytest.fixture(scope="module")
def trained() -> LocalModel:
    """A real model, hardly trained: what is read from it is compared with its own logits."""
    return train_table_model(TASK, TASK.rows("train"), TableRecipe(layers=1, width=16, heads=2, steps=3))


def quietly(*arguments: Any, **settings: Any) -> RiskScores:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return risk_scores(*arguments, **settings)


def law_of(model: LocalModel, text: str) -> Mapping[str, float]:
    import torch

    ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        p = torch.softmax(model.model(input_ids=ids).logits[0, -1].double(), -1)
    return {token: float(p[i]) for token, i in model.tokenizer.get_vocab().items()}


def test_a_local_model_s_whole_law_is_read(trained: LocalModel) -> None:
    with pytest.warns(UserWarning, match="together have less"):  # it is hardly trained
        found = risk_scores(trained, TASK, ROWS[:3])
    for k, i in enumerate(ROWS[:3]):
        law = law_of(trained, TASK.ask(TASK.df.row(int(i))).text())
        assert found.by_order[k, 0] == pytest.approx(law["B"] / (law["A"] + law["B"]), abs=1e-5)
        assert found.mass[k, 0] == pytest.approx(law["A"] + law["B"], abs=1e-5)


def test_a_local_model_s_digits_are_read_in_two_passes(trained: LocalModel) -> None:
    task = TASK.with_(question=Numeric("How probable is a boat?"))
    with pytest.raises(InputError, match="no token of digits"):
        risk_scores(LocalModel(trained.model, _without_digits(trained), uri="x"), task, ROWS[:1])
    found = quietly(trained, task, ROWS[:2])
    names = [name for name in trained.tokenizer.get_vocab() if name == "." or name.isdigit()]
    text = task.ask(task.df.row(int(ROWS[0]))).text()
    law = law_of(trained, text)
    best = max(names, key=lambda name: law[name])
    law = law_of(trained, text + " " + best)
    digits = (best + max(names, key=lambda name: law[name])).replace(".", "")
    assert found.scores[0] == (float(f"0.{digits}") if digits else 0.5)


def _without_digits(model: LocalModel) -> Any:
    class Bare:
        def __getattr__(self, name: str) -> Any:
            return getattr(model.tokenizer, name)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return model.tokenizer(*args, **kwargs)

        def __len__(self) -> int:
            return len(model.tokenizer)

        def get_vocab(self) -> dict[str, int]:
            return {"A": 3, "B": 4}

    return Bare()


def test_a_prompt_that_does_not_fit_raises_unless_it_may_be_cut(trained: LocalModel) -> None:
    style = PromptStyle("lines", preamble=False, shots=1)
    with pytest.raises(PromptTooLong, match="truncate=True"):
        risk_scores(trained, TASK, ROWS[:1], style=style)
    assert np.isfinite(quietly(trained, TASK, ROWS[:1], style=style, truncate=True).scores).all()


def test_nan_logits_are_an_error(trained: LocalModel) -> None:
    import torch

    broken = train_table_model(TASK, TASK.rows("train")[:20], TableRecipe(layers=1, width=16, heads=2, steps=1))
    with torch.no_grad():
        broken.model.model.norm.weight.fill_(math.nan)
    with pytest.warns(UserWarning, match="NaN logits"):
        assert np.isnan(risk_scores(broken, TASK, ROWS[:2]).scores).all()


def entry(*top: tuple[str, float]) -> dict[str, Any]:
    listed = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in top]
    return {**listed[0], "top_logprobs": listed}


def test_a_server_s_first_token() -> None:
    rows = [entry(("B", 0.6), ("A", 0.2), (" A", 0.1))]
    fixed = {"message": {"role": "assistant", "content": "B"}, "logprobs": {"content": rows}}
    with serve(choice=fixed) as stub, pytest.warns(UserWarning, match="reads the position"):
        found = risk_scores(load_model("openai:stub", base_url=stub.url), TASK, ROWS[:3])
    np.testing.assert_allclose(found.by_order, [[0.75, 0.25]] * 3)
    np.testing.assert_allclose(found.mass, 0.8)


@pytest.mark.parametrize(("text", "expected"), [("0.35", 0.35), ("0.9", 0.9), ("35%", 0.35)])
def test_a_server_s_number(text: str, expected: float) -> None:
    pieces = {"0.35": ["0", ".", "35"], "0.9": ["0", ".", "9"], "35%": ["35", "%"]}[text]
    rows = [entry((piece, 0.8), ("x", 0.1)) for piece in pieces]
    fixed = {"message": {"role": "assistant", "content": text}, "logprobs": {"content": rows}}
    with serve(choice=fixed) as stub:
        found = risk_scores(load_model("openai:stub", base_url=stub.url), as_kind("numeric"), ROWS[:1])
    assert found.scores[0] == pytest.approx(expected)
    assert found.parse_failures == 0


def test_a_server_without_logprobs_can_only_reason() -> None:
    with serve(logprobs=False, top_logprobs=0) as stub:
        model = load_model("openai:stub", base_url=stub.url)
        with pytest.raises(InputError, match="ask it as Reasoned"):
            risk_scores(model, TASK, ROWS[:1])
        found = risk_scores(model, TASK.with_(question=Reasoned("A boat?")), ROWS[:1])
    assert found.scores[0] == pytest.approx(0.8)


def test_every_call_failing_is_an_error_of_the_audit() -> None:
    from trueline.audits import audit_risk

    with pytest.raises(ModelError, match="answered for none"):
        audit_risk(ScoresOnly(broken="work"), TASK)
