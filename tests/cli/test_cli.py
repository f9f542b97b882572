from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lawmodel import LawModel, make_task
from typer.testing import CliRunner, Result

import trueline as tl
from trueline import catalog
from trueline.cli import app as program
from trueline.cli.terminal import clean, interval, mapping_of, notes
from trueline.errors import InputError

LIKELIHOOD = "sequence_nll,mean_nll,predictive_entropy"


@pytest.fixture(autouse=True)
def law_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """``law:`` models and tasks beside the shipped schemes; ``law:broken`` has an item that fails."""
    module = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "law_scheme", module)
    monkeypatch.setitem(catalog.MODEL_SCHEMES, "law", "law_scheme:law_model")
    monkeypatch.setitem(catalog.TASK_SCHEMES, "law", "law_scheme:law_task")


def law_model(name: str, **options: Any) -> LawModel:
    return LawModel()


def law_task(name: str) -> Any:
    return make_task(12, broken=(3,) if name == "broken" else ())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, [str(a) for a in arguments])


def document(result: Result) -> Any:
    """The one JSON document on standard output."""
    return json.loads(result.stdout)


def measured(tmp_path: Path) -> Path:
    result = run("measure", "law:m", "law:t", "--estimators", LIKELIHOOD, "--samples", 4, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    return tmp_path / "run"


def test_help_lists_the_commands_and_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ("demo", "catalog", "measure", "import", "score", "validate", "report"):
        assert command in result.output
        assert f"trueline {command}" in run(command, "--help").output, f"{command} shows an example"
    assert "3 finished with failed items" in " ".join(result.output.split())


def test_measure_prints_the_plan_first_then_a_table(tmp_path: Path) -> None:
    result = run("measure", "law:m", "law:t", "--estimators", LIKELIHOOD, "--samples", 4, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Plan: test:law on test:places, 12 items")
    assert result.stdout.index("estimator  ") > result.stdout.index("48 sampled decodes")
    assert max(map(len, result.stdout.splitlines())) <= 80 or str(tmp_path) in result.stdout
    assert "report: trueline report" in result.stdout
    assert result.stderr == ""


def test_plan_stops_before_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LawModel, "generate", None)
    arguments = ("measure", "law:m", "law:t", "--estimators", "sequence_nll", "--out", tmp_path / "run", "--plan")
    assert run(*arguments).stdout.startswith("Plan: ")
    assert document(run(*arguments, "--json"))["estimators"] == ["sequence_nll"]
    assert not (tmp_path / "run").exists()


def test_json_is_one_document(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("measure", "law:m", "law:t", "--estimators", LIKELIHOOD, "--samples", 4, "--out", out, "--json")
    found = document(result)
    assert result.exit_code == 0
    assert found["run"] == str(out)
    assert found["counts"]["failed"] == 0
    assert set(found["metrics"]["estimators"]) == set(LIKELIHOOD.split(","))
    scored = document(run("score", out, "--estimators", "perplexity", "--json"))
    assert scored["estimators"]["perplexity"]["n_missing"] == 0
    validated = document(run("validate", out, "--n-boot", 20, "--json"))
    assert "perplexity" in validated["estimators"]
    reported = document(run("report", out, "--out", tmp_path / "r.html", "--json"))
    assert reported["bytes"] == (tmp_path / "r.html").stat().st_size


def test_a_file_of_questions_with_other_names_and_a_broken_line(tmp_path: Path) -> None:
    rows = [{"Frage": f"Where is place {k}?", "gold": "Kelby"} for k in range(6)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"Frage": "cut')
    arguments = [
        "measure",
        "law:m",
        tmp_path / "q.jsonl",
        "--map",
        "question=Frage",
        "--map",
        "answer=gold",
        "--estimators",
        "sequence_nll",
    ]
    arguments += ["--out", tmp_path / "run", "--grader", "contains", "--json"]
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "line 7: not valid JSON" in refused.stderr
    result = run(*arguments, "--skip-bad")
    assert result.exit_code == 0, result.output
    found = document(result)
    assert found["counts"]["items"] == 6
    assert found["task"]["grader"] == "contains"
    assert found["metrics"]["headline"]["accuracy"]["n"] == 6


def test_failed_items_exit_with_3(tmp_path: Path) -> None:
    arguments = ("measure", "law:m", "law:broken", "--estimators", "sequence_nll", "--out", tmp_path / "run")
    result = run(*arguments)
    assert result.exit_code == 3
    assert "1 of 12 items failed" in result.stderr
    assert document(run(*arguments, "--json"))["counts"]["failed"] == 1


def test_measure_goes_on_and_refuses_other_settings(tmp_path: Path) -> None:
    out = measured(tmp_path)
    assert run("measure", "law:m", "law:t", "--estimators", LIKELIHOOD, "--samples", 4, "--out", out).exit_code == 0
    result = run("measure", "law:m", "law:t", "--estimators", LIKELIHOOD, "--samples", 5, "--out", out)
    assert result.exit_code == 2
    assert "samples" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("measure", "law:m", "absent.csv"), "no file absent.csv"),
        (("measure", "law:m", "wrld:facts"), "did you mean world:"),
        (("measure", "nothing", "law:t"), "nothing"),
        (("measure", "law:m", "law:t", "--estimators", "semantic_entrpy"), "did you mean semantic_entropy"),
        (("measure", "law:m", "law:t", "--temperature", "0"), "temperature must be above 0"),
        (("measure", "law:m", "law:t", "--limit", "0"), "limit must be at least 1"),
        (("measure", "law:m", "law:t", "--map", "question"), "expected ROLE=COLUMN"),
        (("measure", "law:m", "law:t", "--map", "question=Q"), "no columns to map"),
        (("measure", "law:m", "law:t", "--grader", "exakt"), "did you mean exact"),
        (("score", "absent"), "no run directory"),
        (("validate", "absent"), "no run directory or table"),
        (("validate", "absent.csv"), "--score COL --correct COL"),
        (("validate", "absent.csv", "--score", "s", "--correct", "c"), "no file absent.csv"),
        (("measure", "law:m", "law:t", "--truncated", "drop"), "truncated is 'drop'"),
        (("report", "absent"), "no run directory"),
        (("import", "absent.jsonl", "--out", "x"), "no file absent.jsonl"),
        (("catalog", "semantic_entrop"), "did you mean semantic_entropy"),
        (("catalog", "--kind", "estimater"), "did you mean estimator"),
    ],
)
def test_input_errors_are_one_line_and_exit_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir()), "an input error leaves nothing behind"


@pytest.mark.parametrize("arguments", [("measure", "law:m"), ("measure", "law:m", "law:t", "--samples", "many"), ("mesure",), ("--nope",)])
def test_usage_errors_exit_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_file_that_may_not_be_read_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "x"}\n')

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "q.jsonl")

    monkeypatch.setattr(Path, "open", refuse)
    result = run("measure", "law:m", tmp_path / "q.jsonl")
    assert result.exit_code == 2
    assert result.stderr == "error: [Errno 13] Permission denied: 'q.jsonl'\n"


def test_debug_shows_the_traceback() -> None:
    result = run("--debug", "score", "absent")
    assert isinstance(result.exception, InputError)


def test_import_then_validate(tmp_path: Path) -> None:
    rows = [{"id": k, "reference": "x", "samples": ["x", "y", "xy"[k % 2]]} for k in range(8)]
    (tmp_path / "g.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "broken\n")
    result = run("import", tmp_path / "g.jsonl", "--out", tmp_path / "run", "--skip-bad")
    assert result.exit_code == 0, result.output
    assert "imported 24 generations of 8 items" in result.stdout
    result = run("validate", tmp_path / "run", "--n-boot", 20)
    assert result.exit_code == 0
    assert "All 8 graded answers are right" in result.stdout
    assert "AUROC undefined" in result.stdout


def test_import_with_failed_generations_exits_with_3(tmp_path: Path) -> None:
    (tmp_path / "g.jsonl").write_text('{"id": "a", "samples": ["x", null]}\n')
    result = run("import", tmp_path / "g.jsonl", "--out", tmp_path / "run", "--estimators", "none", "--json")
    assert result.exit_code == 3
    assert document(result)["counts"]["failed"] == 1


def test_hostile_text_cannot_steer_the_terminal(tmp_path: Path) -> None:
    name = "[bold red]x[/bold red] \x1b[2J\u202e"
    (tmp_path / "s.jsonl").write_text("".join(json.dumps({name: k / 10, "ok": k % 2}) + "\n" for k in range(10)))
    result = run("validate", tmp_path / "s.jsonl", "--score", name, "--correct", "ok", "--n-boot", 20)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert "[bold red]" in result.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\tb\nc", "a b c"), ("\x1b[31m", "\\x1b[31m"), ("\u202ex", "\\u202ex"), ("مرحبا", "مرحبا"), ("\r", "\\x0d"), ("\x85", "\\x85")],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_intervals_in_few_characters() -> None:
    assert interval({"value": 0.834, "low": 0.79, "high": 0.871}) == ".83 [.79, .87]"
    assert interval({"value": -0.5, "low": None, "high": None}) == "-.50"
    assert interval({"value": 1.0, "low": 1.0, "high": 1.0}) == "1.00 [1.00, 1.00]"
    assert interval({"value": None}) == interval(None) == "\u2013"


def test_notes_group_what_is_undefined() -> None:
    undefined = {"metrics": {"auroc": {"value": None, "reason": "one class only"}}, "n_missing": 0}
    missing = {"metrics": {}, "n_missing": 2, "reasons": {"empty": 2}}
    assert notes({"estimators": {"a": undefined, "b": undefined, "c": missing}}) == [
        "c: 2 missing (empty: 2)",
        "AUROC undefined: one class only (a, b)",
    ]


def test_notes_cut_long_lists_of_names() -> None:
    undefined = {"metrics": {"auroc": {"value": None, "reason": "one class only"}}, "n_missing": 0}
    entries = {f"e{k}": undefined for k in range(20)} | {"fine": {"metrics": {}, "n_missing": 0}}
    assert notes({"estimators": entries}) == ["AUROC undefined: one class only (e0, e1, e2 and 17 more)"]


def test_the_plan_names_each_reason_once_and_fits_80_columns() -> None:
    shown = run("measure", "law:m", "law:t", "--samples", 5, "--plan")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    reasons = " ".join(shown.stdout.split())
    assert reasons.count("it costs further prompts or answers an item") == 1
    assert "selfcheck_prompt, verbalized_topk" in reasons
    assert all(line.startswith(("Plan: ", "  ")) for line in lines)


def test_mapping_of() -> None:
    assert mapping_of(["question=a=b", "id=x"]) == {"question": "a=b", "id": "x"}
    assert mapping_of(None) == {}
    with pytest.raises(InputError, match="twice"):
        mapping_of(["id=a", "id=b"])


def test_catalog_lists_and_describes() -> None:
    listed = document(run("catalog", "--json"))
    assert {entry["name"] for entry in listed} >= {"sequence_nll", "semantic_entropy", "p_true"}
    one = document(run("catalog", "semantic_entropy", "--json"))
    assert one["needs"]["samples"] >= 2
    assert one["documentation"]
    assert "sequence_nll" in run("catalog", "--kind", "estimator").stdout
    shown = run("catalog", "sequence_nll").stdout
    assert "source" in shown
    assert "needs" in shown


def test_demo_measures_both_tasks_and_writes_one_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueline.cli.demo.MODEL", "law:m")
    monkeypatch.setattr("trueline.cli.demo.TASKS", (("law:one", 9), ("law:two", 12)))
    result = run("demo", "--out", tmp_path / "demo", "--samples", 3)
    assert result.exit_code == 0, result.output
    assert "test:places: 9 items, 3 samples each" in result.stdout
    assert "more" in result.stdout
    assert f"report: {tmp_path}/demo/report.html" in result.stdout
    assert (tmp_path / "demo" / "report.html").read_text().lower().startswith("<!doctype html>")
    found = document(run("demo", "--out", tmp_path / "demo", "--samples", 3, "--json"))
    assert [Path(part["run"]).name for part in found["runs"]] == ["one", "two"]
    assert found["failed"] == 0


@pytest.mark.slow
def test_demo_on_the_shipped_world(tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo", "--json")
    assert result.exit_code == 0, result.output
    facts, ambiguous = document(result)["runs"]
    assert facts["metrics"]["estimators"]["sequence_nll"]["metrics"]["auroc"]["low"] > 0.7
    assert ambiguous["metrics"]["n_items"] == 100


def test_quiet_when_not_a_terminal(tmp_path: Path) -> None:
    rows = [{"id": k, "reference": "x", "samples": ["x", "y"]} for k in range(4)]
    (tmp_path / "g.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "trueline", "import", "g.jsonl", "--out", "run", "--json", "--estimators", "eigv_jaccard"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["items"] == 4
    assert done.stderr == ""


def test_debug_is_understood_at_any_place(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trueline", "score", "absent", "--debug"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Traceback" in done.stderr
    done = subprocess.run([sys.executable, "-m", "trueline", "score", "absent"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("code", ["from trueline.cli import main; main(['--help'])", "import trueline; dir(trueline)"])
def test_start_loads_nothing_heavy(code: str) -> None:
    heavy = ("torch", "transformers", "polars", "pyarrow", "numpy", "scipy", "sklearn", "altair", "pandas", "nltk", "datasets", "pydantic")
    probe = f"import atexit, sys; atexit.register(lambda: print('LOADED', *sorted(set({heavy!r}) & sys.modules.keys())))\n{code}"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("LOADED")


def test_every_public_name_resolves() -> None:
    for name in tl.__all__:
        assert getattr(tl, name) is not None
    assert sorted(tl.__all__) == sorted(set(tl.__all__))
    for first in ("trueline.measuring", "trueline.run"):  # importing the submodule must not take the function away
        code = f"import {first}, trueline; print(callable(trueline.measure), trueline.measure.__name__)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split()[0] == "True"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tl.nothing
