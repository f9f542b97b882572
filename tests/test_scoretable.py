from __future__ import annotations

from pathlib import Path

import pytest

import trueline as tl
from trueline.errors import InputError

TABLE = "uncertainty,right,patient\n" + "".join(f"{k / 10},{'true' if k % 3 else 'false'},p{k // 2}\n" for k in range(20))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(TABLE)
    return path


def test_auroc_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("s,c\n0.9,0\n0.8,1\n0.7,0\n0.1,1\n,1\n0.5,\n")
    found = tl.validate_table(path, "s", "c", n_boot=50)
    # wrong answers 0.9, 0.7 against right ones 0.8, 0.1: three of four pairs are in order
    auroc = found["estimators"]["s"]["metrics"]["auroc"]
    assert auroc["value"] == 0.75
    assert (found["n_items"], found["n_graded"], found["estimators"]["s"]["n_missing"]) == (6, 5, 1)
    assert found["headline"]["accuracy"]["value"] == 0.6
    assert "1 of 6 scores are missing" in found["warnings"][0]


def test_clusters_and_several_scores(table: Path) -> None:
    found = tl.validate_table(table, ["uncertainty", "uncertainty"], "right", "patient", n_boot=50)
    assert found["n_clusters"] == 10
    assert "cluster" in found["estimators"]["uncertainty"]["metrics"]["auroc"]["method"]
    assert tl.validate_table(table, "uncertainty", "right", n_boot=50)["n_clusters"] is None


def test_one_class_is_undefined_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("s,c\n1,1\n2,1\n3,1\n")
    found = tl.validate_table(tmp_path / "s.csv", "s", "c", n_boot=50)
    assert found["estimators"]["s"]["metrics"]["auroc"]["value"] is None
    assert found["estimators"]["s"]["metrics"]["auroc"]["reason"]
    assert found["headline"]["accuracy"]["value"] == 1.0


@pytest.mark.parametrize(
    ("score", "correct", "cluster", "message"),
    [
        (
            "uncertanty",
            "right",
            None,
            r"no column 'uncertanty' .*columns found: 'uncertainty', 'right', 'patient'; did you mean uncertainty",
        ),
        ("uncertainty", "rihgt", None, "did you mean right"),
        ("uncertainty", "right", "patients", "did you mean patient"),
        ("patient", "right", None, r"line 2: 'patient' is 'p0'; expected a number"),
        ("uncertainty", "patient", None, r"line 2: 'patient' is 'p0'; expected 1 or 0"),
    ],
)
def test_bad_columns(table: Path, score: str, correct: str, cluster: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tl.validate_table(table, score, correct, cluster)


def test_infinite_scores_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("s,c\n1,1\ninf,0\n")
    with pytest.raises(InputError, match="line 3: 's' is infinite"):
        tl.validate_table(tmp_path / "s.csv", "s", "c")
