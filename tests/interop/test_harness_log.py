"""Samples of lm-evaluation-harness as runs: real logs of the known world, hand-made bad ones."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import trueline as tl
from trueline.errors import InputError

DATA = Path(__file__).parent / "data"
DATE = "2026-11-24T12-50-13.000331"
RESULTS = json.loads((DATA / f"results_{DATE}.json").read_text())["results"]
OFFICIAL = {"resps": [[["-1.5", "False"]], [["-0.5", "True"]]], "filtered_resps": [["-1.5", "False"], ["-0.5", "True"]]}


def samples(task: str) -> Path:
    return DATA / f"samples_{task}_{DATE}.jsonl"


def rows(run: tl.Run) -> list[dict[str, Any]]:
    return run.trace().table.to_pylist()


def record(**other: Any) -> dict[str, Any]:
    asked = {f"gen_args_{k}": {"arg_0": "Q?", "arg_1": f" {c}"} for k, c in enumerate(["no", "yes"])}
    shared = {"doc_id": 0, "doc": {"query": "Q?"}, "target": "1", "arguments": asked, "filter": "none", "metrics": ["acc"], "acc": 1.0}
    return {**shared, **OFFICIAL, **other}


def written(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "samples_mine.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def test_choices_have_the_law_that_the_harness_scores_them_by(tmp_path: Path) -> None:
    run = tl.import_generations(samples("facts_choice"), tmp_path / "run")
    found = rows(run)
    assert run.manifest["model"]["uri"] == "imported:world-base"
    assert run.manifest["task"] | {"hash": ""} == {
        "name": "lm-eval:facts_choice",
        "items": 12,
        "limit": None,
        "hash": "",
        "grader": "given",
    }
    assert run.grades["correct"].mean() == pytest.approx(RESULTS["facts_choice"]["acc,none"])
    brier = []
    for row, references in zip(found, run.items["references"], strict=True):
        law = dict(zip(row["topk_texts"][0], np.exp(row["topk_logprobs"][0]), strict=True))
        assert sum(law.values()) == pytest.approx(1)
        assert row["text"] == max(law, key=lambda text: law[text])
        assert row["token_entropy"][0] == pytest.approx(-sum(p * math.log(p) for p in law.values()))
        brier.append(sum((p - (text == references[0])) ** 2 for text, p in law.items()))
    assert np.mean(brier) == pytest.approx(RESULTS["facts_choice"]["brier_score,none"])


def test_scores_and_stated_calibration_of_choices(tmp_path: Path) -> None:
    run = tl.import_generations(samples("facts_choice"), tmp_path / "run", mapping={"cluster": "topic"})
    run.score("all")
    best = np.array([math.exp(row["topk_logprobs"][0][0]) for row in rows(run)])
    second = np.array([math.exp(row["topk_logprobs"][0][1]) for row in rows(run)])
    assert np.exp(-run.scores["sequence_nll"].to_numpy()) == pytest.approx(best)
    assert run.scores["topk_margin"].to_numpy() == pytest.approx(1 - (best - second))
    document = run.validate(n_boot=50)
    correct = run.grades["correct"].cast(pl.Float64).to_numpy()
    stated = document["estimators"]["sequence_nll"]["metrics"]["brier_stated"]["value"]
    assert stated == pytest.approx(np.mean((best - correct) ** 2))
    assert "brier_stated" not in document["estimators"]["topk_margin"]["metrics"]
    assert run.items["cluster"].n_unique() > 1


@pytest.mark.parametrize("metric", ["acc", "acc_norm", "acc_mutual_info"])
def test_the_answer_follows_the_metric_that_judges_it(metric: str, tmp_path: Path) -> None:
    run = tl.import_generations(samples("facts_choice"), tmp_path / "run", mapping={"correct": metric})
    right = [text == refs[0] for text, refs in zip((r["text"] for r in rows(run)), run.items["references"], strict=True)]
    assert run.grades["correct"].to_list() == right
    assert np.mean(right) == pytest.approx(RESULTS["facts_choice"][f"{metric},none"])
    for row in rows(run):
        assert len(row["options"]) == len(row["option_logprobs"]) == 4  # without the log-probs of an empty prompt


def test_greedy_answers_and_their_filters(tmp_path: Path) -> None:
    plain = tl.import_generations(samples("facts_generate"), tmp_path / "plain")
    town = tl.import_generations(samples("facts_generate"), tmp_path / "town", mapping={"correct": "exact_match,town"})
    assert plain.grades["correct"].sum() == 0  # the leading blank of the output fails the exact match
    assert town.grades["correct"].mean() == pytest.approx(RESULTS["facts_generate"]["exact_match,town"])
    assert {row["kind"] for row in rows(town)} == {"greedy"}
    assert plain.manifest["notes"] == ["answers of the filter none; there are also town"]
    assert town.manifest["notes"] == []
    again = tl.import_generations(samples("facts_generate"), tmp_path / "again", grader="normalised")
    assert again.grades["correct"].to_list() == town.grades["correct"].to_list()


def test_samples_keep_their_law_and_a_vote_is_not_the_verdict_on_a_sample(tmp_path: Path) -> None:
    first = tl.import_generations(samples("facts_sampled"), tmp_path / "first")
    assert first.manifest["settings"]["samples"] == 4
    assert first.manifest["settings"]["law"]["temperature"] == 1.0
    assert first.grades["correct"].null_count() == 0
    vote = tl.import_generations(samples("facts_sampled"), tmp_path / "vote", mapping={"correct": "exact_match,vote"})
    lines = [json.loads(line) for line in samples("facts_sampled").read_text().splitlines()]
    other = sum(r["filtered_resps"][0] != r["resps"][0][0] for r in lines if r["filter"] == "vote")
    assert other > 0
    assert vote.grades["correct"].null_count() == other
    assert "another answer" in str(vote.grades.filter(pl.col("correct").is_null())["reason"][0])
    first.score("self_consistency")
    assert first.scores["self_consistency"].is_finite().all()


def test_a_run_of_another_model_can_be_compared(tmp_path: Path) -> None:
    a = tl.import_generations(samples("facts_choice"), tmp_path / "a")
    lines = [json.loads(line) for line in samples("facts_choice").read_text().splitlines()]
    for line in lines:  # a model that knows nothing
        for part in line["resps"]:
            part[0][0] = "-1.0"
        line |= {"filtered_resps": [part[0] for part in line["resps"]], "acc": float(line["target"] == "0")}
    b = tl.import_generations(written(tmp_path, *lines), tmp_path / "b")
    for run in (a, b):
        run.score("sequence_nll")
    found = tl.compare_runs([a, b], n_boot=50)
    assert found["n_common"] == 12
    assert rows(b)[0]["token_logprobs"][0] == pytest.approx(math.log(0.25))


def test_old_layout_two_contexts_and_texts_of_digits(tmp_path: Path) -> None:
    listed = [["The cup fell because the cup", " was wet."], ["The cup fell because the floor", " was wet."]]
    old = {k: v for k, v in record(arguments=listed, target="was wet.").items() if k not in ("filter", "metrics")}
    digits = {f"gen_args_{k}": {"arg_0": "1 + 1?", "arg_1": f" {c}"} for k, c in enumerate(["1", "2"])}
    run = tl.import_generations(written(tmp_path, old, record(doc_id=1, arguments=digits)), tmp_path / "run")
    assert [row["text"] for row in rows(run)] == ["floor", "2"]
    assert [list(r) for r in run.items["references"]] == [[], ["2"]]


def test_a_filter_that_takes_the_answer_out_leaves_the_rest_as_reasoning(tmp_path: Path) -> None:
    asked = {"gen_args_0": {"arg_0": "2 + 2?", "arg_1": {"until": ["\n"], "temperature": 0.0, "do_sample": False}}}
    made = record(
        arguments=asked, resps=[["Two and two make 4"]], filtered_resps=["4"], target="4", metrics=["exact_match"], exact_match=1.0
    )
    (row,) = rows(tl.import_generations(written(tmp_path, made), tmp_path / "run"))
    assert (row["text"], row["reasoning"], row["kind"]) == ("4", "Two and two make", "greedy")
    (whole,) = rows(tl.import_generations(written(tmp_path, made), tmp_path / "whole", mapping={"text": "output"}))
    assert whole["text"] == "Two and two make 4"


def test_confidence_in_the_output_and_a_score_that_is_no_verdict(tmp_path: Path) -> None:
    asked = {"gen_args_0": {"arg_0": "2 + 2?", "arg_1": {"until": []}}}
    texts = {"resps": [["4. Probability: 0.8"]], "filtered_resps": ["4. Probability: 0.8"], "metrics": ["f1"], "f1": 0.6}
    path = written(tmp_path, record(arguments=asked, **texts))
    run = tl.import_generations(path, tmp_path / "run", mapping={"confidence": "output"})
    run.score("verbalized_1s")
    assert run.scores["verbalized_1s"][0] == pytest.approx(0.2)
    assert (run.grades["correct"][0], run.grades["score"][0]) == (None, 0.6)
    assert "neither 0 nor 1" in run.grades["reason"][0]
    bound = tl.import_generations(path, tmp_path / "bound", mapping={"correct": "f1>=0.5"})
    assert bound.grades["correct"].to_list() == [True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resps": [[["nan", "False"]], [["-1", "True"]]]}, "'nan'; expected a number of at most 0"),
        ({"resps": [[["0.5", "False"]], [["-1", "True"]]]}, "'0.5'; expected a number of at most 0"),
        ({"resps": [[["-inf", "False"]], [["-inf", "True"]]]}, "no choice has a finite log-prob"),
        ({"resps": [[["-1", "False"]]]}, "as many resps as arguments"),
        ({"arguments": 7}, "arguments are not as"),
        ({"arguments": [["Q?", " yes"]], "resps": [[["-1", "True"]]]}, "single continuation holds no answer"),
        ({"resps": [["a"], ["b"]]}, "this kind of task is not read"),
        ({"arguments": {"gen_args_0": {"arg_0": "Q?"}}, "resps": [["-49.06"]], "filtered_resps": ["-49.06"]}, "log-likelihood of a text"),
    ],
)
def test_records_that_cannot_be_used_are_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, record(), record(doc_id=1, **change))
    with pytest.raises(InputError, match="line 2") as caught:
        tl.import_generations(path, tmp_path / "run")
    assert said in str(caught.value)
    skipped = tl.import_generations(path, tmp_path / "skipped", skip_bad=True)
    assert len(skipped.items) == 1
    assert "skipped 1 bad line" in skipped.manifest["notes"][-1]


def test_settings_that_do_not_fit_and_damaged_files(tmp_path: Path) -> None:
    path = samples("facts_choice")
    bad = [{"correct": "acc,strict"}, {"correct": "f1"}, {"kind": "greedy"}, {"text": "raw"}, {"samples": "x"}, {"correct": "acc>=x"}]
    said = ["no filter 'strict'", "no metric 'f1'", "kind plays no role", "text=answer", "roles are correct", "number behind >="]
    for mapping, message in zip(bad, said, strict=True):
        with pytest.raises(InputError, match=message):
            tl.import_generations(path, tmp_path / "run", mapping=mapping)
    with pytest.raises(InputError, match="doc_id 0 occurs on lines 1 and 2"):
        tl.import_generations(written(tmp_path, record(), record()), tmp_path / "run")
    cut = tmp_path / f"samples_cut_{DATE}.jsonl"
    cut.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match="line 12: not valid JSON"):
        tl.import_generations(cut, tmp_path / "run")
    shutil.copy(path, tmp_path / path.name)
    (tmp_path / f"results_{DATE}.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        tl.import_generations(tmp_path / path.name, tmp_path / "run")
    (tmp_path / f"results_{DATE}.json").unlink()
    alone = tl.import_generations(tmp_path / path.name, tmp_path / "alone")
    assert alone.manifest["notes"] == [f"no results file beside {path.name} names the model"]
