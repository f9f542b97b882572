"""Runs in an MLflow store in a local folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import trueline as tl
from trueline.cli.app import app
from trueline.errors import InputError, MissingExtra, TruelineError
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
    assert found.data.metrics["self_consistency/auroc.low"] <= found.data.metrics["self_consistency/auroc"]
    params = {"model": "imported:world-base", "task": "lm-eval:facts_sampled", "samples": "4", "temperature": "1.0", "grader": "normalised"}
    assert params.items() <= found.data.params.items()
    assert found.info.status == "FINISHED"
    kept = {p.name for p in Path(found.info.artifact_uri.removeprefix("file://").removeprefix("file:")).iterdir()}
    assert kept == {"report.html", "metrics.json", "run.json"}
    again = track_mlflow(run, store, name="second")
    assert MlflowClient(tracking_uri=store).get_run(again).info.experiment_id == found.info.experiment_id


def test_stores_and_runs_that_cannot_be_used(run: tl.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TruelineError, match="was not tracked"):
        track_mlflow(run, "nonsense://x")
    done = CliRunner().invoke(app, ["validate", str(run.path), "--n-boot", "10", "--mlflow", "nonsense://x"])
    assert (done.exit_code, "Traceback" in done.output) == (2, False)
    bare = tl.import_generations(next(DATA.glob("samples_facts_choice_*")), tmp_path / "bare")
    with pytest.raises(InputError, match="trueline validate"):
        track_mlflow(bare, f"file:{tmp_path}/store")
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    with pytest.raises(MissingExtra, match=r"trueline\[mlflow\]"):
        track_mlflow(run, f"file:{tmp_path}/store")
