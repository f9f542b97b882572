"""The examples run, as a user would run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_example(name: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(EXAMPLES / f"{name}.py"), str(folder / "out")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_measure_local_model(tmp_path: Path) -> None:
    shown = run_example("measure_local_model", tmp_path)
    assert "accuracy " in shown
    assert "sequence_nll" in shown
    assert (tmp_path / "out" / "run" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_measure_images(tmp_path: Path) -> None:
    shown = run_example("measure_images", tmp_path)
    accuracy = float(shown.split("accuracy ")[1].split()[0])
    assert 0.6 < accuracy < 1  # some of the squares are hard to tell
    auroc = float(shown.split("sequence_nll")[1].split("AUROC ")[1].split()[0])
    assert auroc > 0.7
    assert (tmp_path / "out" / "run" / "report.html").stat().st_size > 10_000


def test_import_generations(tmp_path: Path) -> None:
    assert "accuracy " in run_example("import_generations", tmp_path)


def test_own_estimator(tmp_path: Path) -> None:
    assert "first_token_entropy" in run_example("own_estimator", tmp_path)


def test_plan_preferences(tmp_path: Path) -> None:
    shown = run_example("plan_preferences", tmp_path)
    assert "the best single reward would still have" in shown
    assert "shown false representative: the gap of the model to the worst group" in shown


def test_audit_discretion(tmp_path: Path) -> None:
    shown = run_example("audit_discretion", tmp_path)
    assert "orders of the two: discrepancy" in shown
    assert (tmp_path / "out" / "discretion.html").stat().st_size > 10_000


def test_audit_grey_area(tmp_path: Path) -> None:
    shown = run_example("audit_grey_area", tmp_path)
    assert "weakeners less strengtheners: " in shown
    assert (tmp_path / "out" / "grey-area.html").stat().st_size > 10_000


@pytest.mark.slow
def test_known_world(tmp_path: Path) -> None:
    shown = run_example("known_world", tmp_path)
    assert "more often" in shown
    assert "r = " in shown


@pytest.mark.slow
def test_uncertain_programs(tmp_path: Path) -> None:
    shown = run_example("uncertain_programs", tmp_path)
    assert "programs fail a test" in shown
    assert "sample_vro(distance=ast_edit): Spearman -" in shown
    assert (tmp_path / "out" / "quality.html").stat().st_size > 10_000


def test_every_example_is_run() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert not [path.name for path in EXAMPLES.glob("*.py") if path.stem not in tested]


@pytest.mark.slow
def test_repeated_answers(tmp_path: Path) -> None:
    shown = run_example("repeated_answers", tmp_path)
    assert "two wrong samples of one sum agree" in shown
    assert "prompt_part" in shown
    for page in ("errors.html", "distribution.html"):
        assert (tmp_path / "out" / page).stat().st_size > 10_000


def test_risk_scores(tmp_path: Path) -> None:
    shown = run_example("risk_scores", tmp_path)
    assert "reads the position" in shown
    assert "falls most without: work" in shown
    assert (tmp_path / "out" / "risk.html").stat().st_size > 10_000


@pytest.mark.slow
def test_classifier_audit(tmp_path: Path) -> None:
    shown = run_example("classifier_audit", tmp_path)
    assert "(under-confident)" in shown
    assert "training against held-out images: 0.6" in shown
    assert "gaussian_noise: mean accuracy 0." in shown
    assert "- training items are recognised" in shown
    assert len((tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()) == 13
