"""Runs in an MLflow store in a local folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from server_runs import questions
from stub_server import serve
from typer.testing import CliRunner

import trueline as tl
from trueline.cli.app import app
from trueline.errors import MissingExtra, TruelineError
from trueline.interop.tracking import track_mlflow

DATA = Path(__file__).parent / "data"
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # MLflow's own


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tl.Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs more packages than the extra holds
    made = tl.import_generations(next(DATA.glob("samples_facts_sampled_*")), tmp_path / "facts", grader="normalised")
    made.score("self_consistency")
    made.validate(n_boot=20)
    return made


def test_a_store_holds_metrics_with_intervals_parameters_and_the_report(run: tl.Run, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    store = f"file:{tmp_path}/store"
    done = CliRunner().invoke(app, ["report", str(run.path), "--mlflow", store, "--json"])
    assert done.exit_code == 0, done.output
    found = MlflowClient(tracking_uri=store).get_run(json.loads(done.stdout)["mlflow_run"])
    metrics = json.loads((run.path / "metrics.json").read_text())
    for prefix, estimates in (("", metrics["headline"]), ("self_consistency/", metrics["estimators"]["self_consistency"]["metrics"])):
        for name, estimate in estimates.items():
            for end, key in (("", "value"), (".low", "low"), (".high", "high")):
                assert found.data.metrics.get(f"{prefix}{name}{end}") == (None if estimate[key] is None else pytest.approx(estimate[key]))
    assert found.data.metrics["count/generations"] == run.manifest["counts"]["generations"]
    assert found.data.metrics["self_consistency/auroc.low"] <= found.data.metrics["self_consistency/auroc"]
    params = {"model": "imported:world-base", "task": "lm-eval:facts_sampled", "samples": "4", "temperature": "1.0", "grader": "normalised"}
    assert params.items() <= found.data.params.items()
    assert found.info.status == "FINISHED"
    kept = {p.name for p in Path(found.info.artifact_uri.removeprefix("file://").removeprefix("file:")).iterdir()}
    assert kept == {"report.html", "metrics.json", "run.json"}
    again = track_mlflow(run, store, name="second")
    assert MlflowClient(tracking_uri=store).get_run(again).info.experiment_id == found.info.experiment_id


def test_measure_logs_what_it_asked_paid_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    prices = ["-O", "price_prompt=10", "-O", "price_completion=100"]
    with serve() as stub:
        command = ["measure", "openai:stub", questions(tmp_path, 6), "--base-url", stub.url, "--out", "run", "--samples", "2", *prices]
        done = CliRunner().invoke(app, [*command, "--estimators", "sequence_nll", "--mlflow", "file:store", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["run"] == "run"  # one document, and no links of MLflow beside it
    ident = done.stderr.partition("MLflow run: ")[2].split()[0]
    found = MlflowClient(tracking_uri="file:store").get_run(ident)
    made = tl.open_run("run")
    assert found.data.metrics["count/cost"] == made.manifest["counts"]["cost"] > 0
    assert found.data.metrics["count/requests"] == made.manifest["counts"]["requests"]
    assert found.data.metrics["accuracy"] == (made.metrics or {})["headline"]["accuracy"]["value"]
    assert {"model": "openai:stub", "samples": "0", "items": "6"}.items() <= found.data.params.items()
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_nothing_is_paid_when_the_store_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # the user's own setting counts
    with serve() as stub:
        command = ["measure", "openai:stub", questions(tmp_path, 2), "--base-url", stub.url, "--mlflow", "http://me:planted@127.0.0.1:9"]
        done = CliRunner().invoke(app, command)
        assert stub.stats()["answered"] == 0
    assert done.exit_code == 2
    assert done.stderr == "error: the MLflow store http://127.0.0.1:9 cannot be used: Connection refused\n"


def test_a_run_without_metrics_is_logged_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    bare = tl.import_generations(next(DATA.glob("samples_facts_choice_*")), tmp_path / "bare")
    found = MlflowClient(tracking_uri=f"file:{tmp_path}/store").get_run(track_mlflow(bare, f"file:{tmp_path}/store"))
    assert {name.partition("/")[0] for name in found.data.metrics} == {"count"}
    assert found.data.metrics["count/items"] == 12


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nonsense://x", "a store is a server"),
        ("sqlite:///x.db", "pip install mlflow"),
        ("file:mlruns", "MLFLOW_ALLOW_FILE_STORE=true"),
    ],
)
def test_stores_that_cannot_be_used(uri: str, said: str, run: tl.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    with pytest.raises(TruelineError, match=said):
        track_mlflow(run, uri)
    done = CliRunner().invoke(app, ["validate", str(run.path), "--n-boot", "10", "--mlflow", uri])
    assert (done.exit_code, done.stderr.count("\n"), said in done.stderr) == (2, 1, True)


def test_without_mlflow_one_line_says_what_to_install(run: tl.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(MissingExtra, match=r"trueline\[mlflow\]"):
        track_mlflow(run, f"file:{tmp_path}/store")
