"""Logs of Inspect AI as runs."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from inspect_logs import write_capitals
from typer.testing import CliRunner

import trueline as tl
from trueline.cli.app import app
from trueline.errors import InputError, MissingExtra
from trueline.interop import inspect_log


def rows(run: tl.Run, item: str = "", kind: str = "sample") -> list[dict[str, Any]]:
    return [r for r in run.trace().table.to_pylist() if item in ("", r["item_id"]) and r["kind"] == kind]


@pytest.fixture
def capitals() -> Path:
    return Path(__file__).parent / "data" / "capitals.eval"


@pytest.fixture(scope="session")
def as_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from inspect_ai.log import read_eval_log, write_eval_log

    capitals = Path(__file__).parent / "data" / "capitals.eval"
    path = tmp_path_factory.mktemp("json") / "capitals.json"
    write_eval_log(read_eval_log(str(capitals)), str(path), format="json")
    return path


def edited(source: Path, folder: Path, change: Any) -> Path:
    """The JSON log with something changed."""
    document = json.loads(source.read_text())
    change(document)
    path = folder / "edited.json"
    path.write_text(json.dumps(document))
    return path


def first_sample(document: Any, ident: str) -> Any:
    return next(sample for sample in document["samples"] if sample["id"] == ident and sample["epoch"] == 1)


@pytest.mark.parametrize("form", ["eval", "json"])
def test_epochs_are_answers_and_scores_are_verdicts(form: str, capitals: Path, as_json: Path, tmp_path: Path) -> None:
    run = tl.import_generations(capitals if form == "eval" else as_json, tmp_path / "run")
    assert run.items["item_id"].to_list() == ["plain", "thought", "withheld", "failed", "long"]
    assert run.items["question"][0] == "Question plain?"
    assert [list(r) for r in run.items["references"]] == [["Paris"]] * 5
    manifest = run.manifest
    assert manifest["model"]["uri"] == "imported:mockllm/model"
    assert manifest["task"]["name"] == "inspect:capitals"
    assert manifest["task"]["grader"] == "given"
    assert "quality" in " ".join(manifest["notes"])
    assert manifest["counts"] | {"prompt_tokens": 0, "completion_tokens": 0} == {
        "items": 5, "generations": 15, "failed": 2, "truncated": 1, "prompt_tokens": 0, "completion_tokens": 0
    }  # fmt: skip
    assert [r["draw"] for r in rows(run, "plain")] == [0, 1, 2]
    plain, _, rome = rows(run, "plain")
    assert (plain["token_logprobs"], plain["token_texts"]) == ([-0.25, -0.5], ["Pa", "ris"])
    assert plain["topk_logprobs"] == [[-0.25, -2.0], [-0.5, -3.0]]
    assert (rome["token_logprobs"], rome["n_tokens"], rome["n_prompt_tokens"]) == (None, 3, 7)
    kept, split, endless = rows(run, "thought")
    assert (kept["text"], kept["reasoning"]) == ("Paris", "It is on the Seine.")
    assert (split["text"], split["reasoning"]) == ("Rome", "Rome?")
    assert (endless["text"], endless["reasoning"]) == (None, "<think>never ends")
    assert rows(run, "failed")[0]["error"] == "ValueError('the tool broke')"
    assert rows(run, "long")[0]["finish_reason"] == "length"
    verdicts = {(r["item_id"], r["draw"]): r for r in run.grades.to_dicts()}
    assert verdicts["plain", 0] | {"probability": None} == {
        "item_id": "plain", "kind": "sample", "draw": 0, "correct": True, "refused": False, "answer": "Paris", "probability": None,
        "score": None, "reason": "looked",
    }  # fmt: skip
    assert (verdicts["withheld", 1]["correct"], verdicts["withheld", 1]["refused"]) == (False, True)
    assert (verdicts["failed", 0]["correct"], verdicts["failed", 1]["correct"]) == (None, True)


@pytest.mark.slow
def test_intervals_calibration_and_comparison_run_nothing_again(capitals: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    asked = ["--map", "confidence=confidence", "--map", "cluster=person", "--estimators", "verbalized_2s,self_consistency"]
    done = CliRunner().invoke(app, ["import", str(capitals), "--out", out, *asked])
    assert done.exit_code == 3, done.output  # two items hold a failed generation
    assert "imported 16" not in done.output
    run = tl.open_run(out)
    assert (1 - run.scores["verbalized_2s"]).to_list()[0] == pytest.approx(0.8)
    assert run.items["cluster"].to_list() == ["0", "0", "1", "1", "2"]
    document = run.validate(n_boot=50)
    assert document["headline"]["accuracy"]["value"] == pytest.approx(3 / 4)
    assert document["headline"]["refusal_rate"]["value"] == pytest.approx(1 / 4)
    assert document["headline"]["accuracy"]["n_missing"] == 1
    stated = document["estimators"]["verbalized_2s"]["metrics"]["brier_stated"]
    assert stated["value"] == pytest.approx((3 * 0.2**2 + 0.8**2) / 4)
    other = tl.import_generations(capitals, tmp_path / "other", samples=2)
    assert len(rows(other, "plain")) == 2
    other.score("self_consistency")
    assert tl.compare_runs([run, other], n_boot=50)["n_common"] == 5
    assert tl.audit_errors(run, equivalence="normalised", n_boot=20)["n_items"] >= 3


def test_greedy_only_where_the_log_or_the_user_says_so(capitals: Path, as_json: Path, tmp_path: Path) -> None:
    told = tl.import_generations(capitals, tmp_path / "told", mapping={"kind": "greedy"})
    assert len(rows(told, kind="greedy")) == 5
    assert {r["draw"] for r in rows(told, "plain")} == {1, 2} or {r["draw"] for r in rows(told, "plain")} == {0, 1}
    told.score("sequence_nll")
    assert told.scores["sequence_nll"][0] == pytest.approx(0.75)

    def set_temperature(value: float) -> Any:
        return lambda d: d["eval"].__setitem__("model_generate_config", {"temperature": value, "top_p": 0.9})

    cold = tl.import_generations(edited(as_json, tmp_path, set_temperature(0.0)), tmp_path / "cold")
    assert len(rows(cold, kind="greedy")) == 5
    warm = tl.import_generations(edited(as_json, tmp_path, set_temperature(0.7)), tmp_path / "warm")
    assert warm.manifest["settings"]["law"] == {"temperature": 0.7, "top_p": 0.9, "top_k": None}
    with pytest.raises(InputError, match=r"temperature 0\.7"):
        tl.import_generations(edited(as_json, tmp_path, set_temperature(0.7)), tmp_path / "no", mapping={"kind": "greedy"})


@pytest.mark.slow
def test_which_score_and_which_answer(capitals: Path, tmp_path: Path) -> None:
    style = tl.import_generations(capitals, tmp_path / "style", mapping={"correct": "quality.style"})
    assert style.grades["correct"].null_count() == len(style.grades)
    assert style.grades["score"][0] == 0.75
    bound = tl.import_generations(capitals, tmp_path / "bound", mapping={"correct": "quality.style>=0.5"})
    assert bound.grades["correct"].sum() == 14  # all but the failed one
    with pytest.raises(InputError, match=r"has the values style, length"):
        tl.import_generations(capitals, tmp_path / "no", mapping={"correct": "quality"})
    with pytest.raises(InputError, match=r"no scorer 'verdct'.*did you mean verdict"):
        tl.import_generations(capitals, tmp_path / "no", mapping={"correct": "verdct"})
    taken = tl.import_generations(capitals, tmp_path / "taken", mapping={"text": "answer"})
    long = rows(taken, "long")[0]
    assert (long["text"], long["reasoning"]) == ("Paris", "I think that the capital is")
    regraded = tl.import_generations(capitals, tmp_path / "regraded", grader="contains")
    assert regraded.manifest["task"]["grader"] == "contains"
    assert regraded.grades["correct"].to_list() == [True, True, False, None, True]


@pytest.mark.slow
def test_tokens_before_the_answer_do_not_count_when_it_is_taken_out(as_json: Path, tmp_path: Path) -> None:
    def say(document: Any) -> None:
        sample = first_sample(document, "plain")
        choice = sample["output"]["choices"][0]
        sample["scores"]["verdict"]["answer"] = "Paris"
        choice["message"]["content"] = "ANSWER: Paris"
        said = (("ANS", -1.0), ("WER:", -2.0), (" Pa", -0.5), ("ris", -0.25))
        choice["logprobs"] = {"content": [{"token": t, "logprob": v, "top_logprobs": None, "bytes": None} for t, v in said]}

    path = edited(as_json, tmp_path, say)
    run = tl.import_generations(path, tmp_path / "run", mapping={"text": "answer", "kind": "greedy"})
    run.score("sequence_nll")
    assert run.scores["sequence_nll"][0] == pytest.approx(0.75)


@pytest.mark.parametrize("value", [0.5, float("nan")])
def test_impossible_log_probs_are_refused_with_their_sample(value: float, as_json: Path, tmp_path: Path) -> None:
    def spoil(document: Any) -> None:
        first_sample(document, "plain")["output"]["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": value}]}

    path = edited(as_json, tmp_path, spoil)
    with pytest.raises(InputError, match="log-prob") as caught:
        tl.import_generations(path, tmp_path / "run")
    assert "sample '" in str(caught.value)
    run = tl.import_generations(path, tmp_path / "skipped", skip_bad=True)
    assert run.manifest["counts"]["generations"] == 14


@pytest.mark.slow
def test_confidence_outside_its_range_is_refused(as_json: Path, tmp_path: Path) -> None:
    def spoil(document: Any) -> None:
        first_sample(document, "plain")["scores"]["verdict"]["metadata"]["confidence"] = 7

    with pytest.raises(InputError, match="expected a confidence in"):
        tl.import_generations(edited(as_json, tmp_path, spoil), tmp_path / "run", mapping={"confidence": "confidence"})
    stated = tl.import_generations(as_json, tmp_path / "stated", mapping={"confidence": "output"})
    assert rows(stated, "plain", "verbalized_1s")[0]["text"] == "Paris"


def test_a_log_without_verdicts_is_graded_by_trueline(as_json: Path, tmp_path: Path) -> None:
    def strip(document: Any) -> None:
        for sample in document["samples"]:
            sample["scores"] = None
        document["status"] = "error"

    run = tl.import_generations(edited(as_json, tmp_path, strip), tmp_path / "run")
    assert run.manifest["task"]["grader"] == "contains"
    assert run.manifest["notes"][0].startswith("the log's status is error")


def test_opening_a_log_executes_nothing(as_json: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "payload.py").write_text("open('executed', 'w').close()")

    def plant(document: Any) -> None:
        spec = document["eval"]
        spec |= {"task_file": "payload.py", "task": "__import__('payload')", "solver": "payload.py@x", "model": "payload/evil"}
        spec |= {
            "sandbox": {"type": "payload", "config": None},
            "task_registry_name": "payload/x",
            "model_args": {"model_path": "payload.py"},
        }
        document["samples"][0]["metadata"] = {"x": "!!python/object/apply:payload.x []", "__class__": "payload"}

    run = tl.import_generations(edited(as_json, tmp_path, plant), tmp_path / "run")
    assert run.manifest["model"]["uri"] == "imported:payload/evil"
    assert not (tmp_path / "executed").exists()
    assert "payload" not in sys.modules


def test_a_big_log_is_read_a_few_samples_at_a_time(capitals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import inspect_ai.log

    read: list[int] = []
    by_id = inspect_ai.log.read_eval_log_samples_by_id

    def counted(path: str, places: Any, **options: Any) -> Any:
        read.append(len(places))
        return by_id(path, places, **options)

    monkeypatch.setattr(inspect_ai.log, "read_eval_log_samples_by_id", counted)
    monkeypatch.setattr(inspect_log, "BATCH", 4)
    tl.import_generations(capitals, tmp_path / "run")
    assert max(read) == 4
    assert sum(read) == 15 + 4  # the names of the scorers are looked for first


@pytest.mark.parametrize("name", ["cut.eval", "text.eval", "other.json", "list.json", "deep.json", "results_x.json", "empty.eval"])
def test_what_is_no_log_gives_one_line(name: str, capitals: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    content = {
        "cut.eval": capitals.read_bytes()[:-300],
        "text.eval": b"hello",
        "other.json": b'{"a": 1}',
        "list.json": b"[1, 2]",
        "deep.json": b"[" * 100_000,
        "results_x.json": b'{"results": {}}',
        "empty.eval": b"",
    }
    path.write_bytes(content[name])
    done = CliRunner().invoke(app, ["import", str(path), "--out", str(tmp_path / "run")])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert done.output.startswith("error: ")
    assert ("samples_*.jsonl" in done.output) == (name == "results_x.json")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Inspect leaves its parser open
def test_a_damaged_or_oversized_member(capitals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "damaged.eval"
    with zipfile.ZipFile(capitals) as source, zipfile.ZipFile(path, "w") as target:
        for member in source.infolist():
            data = source.read(member)
            target.writestr(member.filename, data[: len(data) // 2] if "plain_epoch_2" in member.filename else data)
    with pytest.raises(InputError, match="is damaged"):
        tl.import_generations(path, tmp_path / "run")
    monkeypatch.setattr(inspect_log, "LARGEST_SAMPLE", 100)
    with pytest.raises(InputError, match="is larger than"):
        tl.import_generations(capitals, tmp_path / "run")


def test_without_inspect_one_line_says_what_to_install(capitals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    path = shutil.copy(capitals, tmp_path / "x.eval")
    with pytest.raises(MissingExtra, match=r"pip install 'trueline\[inspect\]'"):
        tl.import_generations(path, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)  # streams that Inspect leaves open
def test_a_fresh_log_reads_like_the_stored_one(capitals: Path, tmp_path: Path) -> None:
    """What the installed version of Inspect writes today."""
    stored = tl.import_generations(capitals, tmp_path / "stored")
    fresh = tl.import_generations(write_capitals(tmp_path / "logs"), tmp_path / "fresh")
    assert rows(fresh) == rows(stored)
    assert fresh.grades.equals(stored.grades)
