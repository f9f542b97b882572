"""Reasoning and answer stay apart from the capture to the report, and scores read the tokens that they are asked to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from thinker import Thinker, thinking_task

import trueline as tl
from trueline.errors import InputError
from trueline.estimators.engine import score_trace
from trueline.estimators.loading import load_estimators
from trueline.tasks.thinking import UNCLOSED

NAMES = ["sequence_nll", "sequence_nll(span=reasoning)", "sequence_nll(span=all)", "self_consistency", "verbalized_1s"]


@pytest.fixture(scope="module", params=["tags", "label", "apart"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tl.Run:
    reasoning = {"tags": "think", "label": "cot", "apart": "auto"}[request.param]
    out = tmp_path_factory.mktemp("r") / "run"
    return tl.measure(Thinker(request.param), thinking_task(), NAMES, samples=3, reasoning=reasoning, out=out)


def test_texts_are_answers_alone(run: tl.Run) -> None:
    rows = run.trace().greedy
    assert rows.texts[:4] == ["Kelby", "Morva", "Tisk", "Kelby"]
    assert rows.strings("reasoning")[0] == "P0 works at E0. E0 is in Kelby."
    assert set(run.trace().samples.texts) <= {"Kelby", "Morva", "Tisk"}


def test_an_output_whose_reasoning_never_ends_has_no_answer(run: tl.Run) -> None:
    rows = run.trace().greedy
    assert [i for i, text in zip(rows.item, rows.texts, strict=True) if text is None] == [4, 9]
    assert rows.strings("error")[4] == UNCLOSED
    assert run.manifest["unclosed"] == ["q4", "q9"]
    assert run.manifest["counts"]["unclosed"] == run.manifest["counts"]["failed"] == 2
    grades = run.grades.filter(run.grades["item_id"] == "q4")
    assert grades["reason"].to_list() == [UNCLOSED]
    assert grades["correct"].null_count() == 1
    assert math.isnan(run.scores["sequence_nll"][4])
    assert UNCLOSED in run.score_info["sequence_nll"]["reasons"]


def test_graders_see_the_answer(run: tl.Run) -> None:
    correct = run.grades["correct"].to_list()
    assert [correct[k] for k in (0, 1, 2, 3, 5)] == [True] * 5


def test_probes_are_asked_about_the_answer_and_their_replies_are_read_without_thoughts(run: tl.Run) -> None:
    found = run.scores["verbalized_1s"].to_list()
    assert found[0] == pytest.approx(0.2)
    assert math.isnan(found[4])


def test_spans_of_the_likelihood(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tl.measure(Thinker(), thinking_task(4), NAMES, samples=2, out=tmp_path_factory.mktemp("s") / "run", reasoning="think")
    # <think> + 8 words + </think> + answer + end: twelve tokens of 0.1, 0.2, ...
    tenths = np.arange(1, 13) / 10
    assert run.scores["sequence_nll"][0] == pytest.approx(tenths[10:].sum())
    assert run.scores["sequence_nll(span=reasoning)"][0] == pytest.approx(tenths[1:9].sum())
    assert run.scores["sequence_nll(span=all)"][0] == pytest.approx(tenths.sum())


def test_samples_know_their_spans_too(run: tl.Run) -> None:
    rows = run.trace().samples
    start = rows.numbers("answer_start")
    assert not np.isnan(start).any()
    lengths = rows.ragged("token_logprobs").lengths
    assert (lengths == 2).all(), "the answer and the end of the sequence"


def test_what_is_not_known_is_missing(tmp_path: pytest.TempPathFactory) -> None:
    """A server that sends its reasoning apart gives the log-probs of the answer alone."""
    run = tl.measure(Thinker("apart"), thinking_task(3), ["sequence_nll"], out=tmp_path / "run")
    found = score_trace(run.trace(), load_estimators(["sequence_nll(span=reasoning)"]), on_empty=None)
    assert np.isnan(next(iter(found.values()))).all()


def test_plain_answers_have_no_reasoning_to_score(tmp_path: pytest.TempPathFactory) -> None:
    run = tl.measure(Thinker("label"), thinking_task(3), ["sequence_nll"], out=tmp_path / "run")
    assert not run.trace().greedy.has("reasoning")
    with pytest.raises(InputError, match=r"unknown span 'thoughts'"):
        run.score("sequence_nll(span=thoughts)")
    assert run.score("sequence_nll(span=all)")["sequence_nll(span=all)"][0] == run.scores["sequence_nll"][0]
    assert run.score("sequence_nll(span=reasoning)")["sequence_nll(span=reasoning)"].is_nan().all()


def test_the_plan_and_the_resumed_run_hold_to_the_way_of_splitting(tmp_path: pytest.TempPathFactory) -> None:
    assert tl.plan(Thinker(), thinking_task(), "sequence_nll", reasoning="think").to_json()["reasoning"] == "think"
    with pytest.raises(InputError, match="unknown way"):
        tl.plan(Thinker(), thinking_task(), "sequence_nll", reasoning="thnik")
    tl.measure(Thinker(), thinking_task(), ["sequence_nll"], reasoning="think", out=tmp_path / "run")
    with pytest.raises(tl.errors.SettingsMismatch, match="reasoning"):
        tl.measure(Thinker(), thinking_task(), ["sequence_nll"], out=tmp_path / "run")


def test_the_report_shows_the_answer_and_folds_the_reasoning(tmp_path: pytest.TempPathFactory) -> None:
    run = tl.measure(Thinker(), thinking_task(), ["sequence_nll", "self_consistency"], samples=3, reasoning="think", out=tmp_path / "run")
    page = run.report().read_text(encoding="utf-8")
    assert "E0 is in Kelby." in page
    assert "&lt;think&gt;</span>" not in page, "tags are no part of the answer"
