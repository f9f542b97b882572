"""What `validate` reports of a score: the calibration errors without bins and without the part of chance, beside the binned one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueline.cli.terminal import calibration_line
from trueline.grading import SCHEMA
from trueline.metrics import CI, debiased_ece, smooth_ece
from trueline.run import Run
from trueline.traces.rundir import RunDirectory
from trueline.validation import CALIBRATION, Truth, calibration_errors, read_truth, validate_scores


def truth_of(correct: Any) -> Truth:
    n = len(correct)
    nothing = np.full(n, np.nan)
    return Truth(tuple(map(str, range(n))), np.asarray(correct, float), np.zeros(n), nothing, {}, nothing, None, "greedy")


def test_the_debiased_error_of_a_perfect_confidence_is_near_zero_where_the_binned_one_is_not() -> None:
    rng = np.random.default_rng(0)
    binned, debiased = [], []
    for _ in range(60):
        p = rng.random(100)
        found = calibration_errors(p, (rng.random(100) < p).astype(float), clusters=None, ci=CI("none"))
        binned.append(found["ece"].value)
        debiased.append(found["debiased_ece"].value ** 2)
    assert np.mean(binned) > 0.09  # about .12 of chance alone with 100 items
    assert np.mean(debiased) < 0.01


def test_a_planted_error_is_found_with_its_interval() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(2000) * 0.5 + 0.5
    correct = (rng.random(2000) < p - 0.3).astype(float)
    found = validate_scores(1 - p, truth_of(correct), stated=p, n_boot=300)
    for name in ("smooth_ece_stated", "debiased_ece_stated", "signed_ece_stated"):
        assert found[name].low < 0.3 < found[name].high or found[name].value == pytest.approx(0.3, abs=0.02)
        assert found[name].low > 0.2
    assert found["smooth_ece"].value < 0.05  # negative: the fitted confidence of the same score is calibrated
    assert found["smooth_ece_stated"].value == smooth_ece(p, correct, ci=None).value
    assert found["debiased_ece_stated"].value == debiased_ece(p, correct, ci=None).value
    assert "200 replicates" in found["smooth_ece"].method


def test_calibration_errors_are_undefined_with_a_reason_where_nothing_can_be_fitted() -> None:
    found = validate_scores(np.zeros(3), truth_of([np.nan, np.nan, 1.0]), n_boot=20)
    for name in CALIBRATION:
        assert not found[name].defined
        assert found[name].reason
    document = {"estimators": {"mean_nll": {"metrics": {k: v.to_json() for k, v in found.items()}}}}
    assert calibration_line(document) == ""
    assert calibration_line({"estimators": {}}) == ""


def test_the_terminal_names_the_same_numbers() -> None:
    rng = np.random.default_rng(2)
    u = rng.random(200)
    found = validate_scores(u, truth_of(rng.random(200) > u), n_boot=50)
    document = {"estimators": {n: {"metrics": {k: v.to_json() for k, v in found.items()}} for n in ("semantic_entropy", "sequence_nll")}}
    line = calibration_line(document)
    assert line.startswith("calibration error of sequence_nll: ")  # the one fixed beforehand, not the best
    assert f"{found['smooth_ece'].value:.2f}".lstrip("0") in line
    assert "debiased" in line
    assert "binned" in line


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (1, 3), (0, 1, 2, 3, 1)])
def test_truth_is_that_of_its_own_item_in_any_order(order: tuple[int, ...], tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.prepare()
    truths = ['{"aleatoric": %s}' % (i / 10) for i in range(4)]
    questions = {"item_id": list("abcd"), "question": ["?"] * 4, "cluster": ["x", "x", None, "y"], "truth": truths}
    directory.write_table("items.parquet", pa.table(questions))
    verdicts = [{"item_id": "abcd"[i], "kind": "greedy", "draw": 0, "correct": i % 2 == 0, "probability": i / 4} for i in order]
    directory.write_table("grades.parquet", pa.Table.from_pylist(verdicts, schema=SCHEMA))
    directory.write_manifest({"status": "complete"})
    truth = read_truth(Run(directory))
    kept = list(dict.fromkeys(order))
    assert truth.item_ids == tuple("abcd"[i] for i in kept)
    assert truth.correct.tolist() == [float(i % 2 == 0) for i in kept]
    assert truth.expected_error.tolist() == [1 - i / 4 for i in kept]
    assert truth.known["aleatoric"].tolist() == [i / 10 for i in kept]
    assert np.isnan(truth.length).all()
    if len(kept) == 4:
        assert truth.clusters is not None
        assert [truth.clusters[kept.index(i)] for i in (0, 1, 3)] == ["x", "x", "y"]
