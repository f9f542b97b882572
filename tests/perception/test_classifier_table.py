"""The table of a classifier's outputs: layouts, labels by name, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from trueline.errors import InputError
from trueline.perception import load_classifier_table

HOSTILE = "<script>\u202e"


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_layouts_agree(tmp_path: Path) -> None:
    z = np.random.default_rng(0).normal(size=(5, 3)).round(3)
    rows = [{"label": k % 3, "logits": row.tolist(), "split": "val" if k else None} for k, row in enumerate(z)]
    wide = [{"label": "abc"[k % 3], **{f"logit_{c}": v for c, v in zip("abc", row, strict=True)}} for k, row in enumerate(z)]
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    pl.DataFrame(wide).write_csv(tmp_path / "t.csv")
    for path in (jsonl(tmp_path / "t.jsonl", rows), tmp_path / "t.parquet", tmp_path / "t.csv"):
        table = load_classifier_table(path)
        assert table.are_logits
        assert np.array_equal(table.outputs, z)
        assert table.labels.tolist() == [0, 1, 2, 0, 1]
    assert table.classes == ("a", "b", "c")
    assert load_classifier_table(tmp_path / "t.parquet").split.tolist() == ["test", *["validation"] * 4]


def test_foreign_rows_need_no_label_and_perturbations_are_read(tmp_path: Path) -> None:
    rows = [
        {"label": None, "probabilities": [0.5, 0.5], "split": "ood"},
        {"label": 1.0, "probabilities": [0.2, 0.8], "perturbation": HOSTILE, "severity": 2, "item_id": "x", "cluster_id": 7},
        {"label": "1", "probabilities": "[0.2, 0.8]", "perturbation": "clean"},
    ]
    table = load_classifier_table(jsonl(tmp_path / "t.jsonl", rows))
    assert table.labels.tolist() == [-1, 1, 1]
    assert table.perturbation.tolist() == ["", HOSTILE, ""]
    assert table.severity.tolist() == [0, 2, 0]
    assert table.item_id.tolist() == ["line 1", "x", "line 3"]
    assert table.cluster.tolist() == ["line 1", "7", "line 3"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"logits": [1, 2]}, "no column 'label'"),
        ({"label": 0}, "no outputs"),
        ({"label": 0, "logits": [1]}, "at least 2"),
        ({"label": 0, "logits": "what"}, "list of numbers"),
        ({"label": 0, "logits": [1, None]}, "line 1: logits must be 2 finite numbers"),
        ({"label": 0, "logits": [1, float("nan")]}, "2 finite numbers"),
        ({"label": 0, "logits": [1, "x"]}, "line 1"),
        ({"label": 2, "logits": [1, 2]}, "label '2' is none of the classes 0, 1"),
        ({"label": "", "logits": [1, 2]}, "label '' is none"),
        ({"label": 0, "logits": [1, 2], "split": "tests"}, "did you mean test"),
        ({"label": 0, "logits": [1, 2], "perturbation": "blur"}, "severity is 0"),
        ({"label": 0, "logits": [1, 2], "perturbation": "blur", "severity": "much"}, "line 1"),
        ({"label": 0, "probabilities": [1, 2]}, "row 0 is not a distribution"),
    ],
)
def test_bad_rows(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_classifier_table(jsonl(tmp_path / "t.jsonl", [row]))


def test_rows_of_different_lengths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: logits must be 2 finite numbers"):
        load_classifier_table(jsonl(tmp_path / "t.jsonl", [{"label": 0, "logits": [1, 2]}, {"label": 0, "logits": [1, 2, 3]}]))
