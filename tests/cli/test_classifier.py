"""`trueline audit classifier`: shown, as JSON, hostile names, and refused with one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from trueline.cli import app as program

HOSTILE = "[red]\x1b[31m\u202e"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, [str(a) for a in arguments], env={"COLUMNS": "120"})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = []
    for k in range(200):
        label, name = int(rng.integers(2)), HOSTILE
        z = rng.normal(size=2) + np.eye(2)[label]
        split = "validation" if k < 100 else "test"
        row = {"item_id": k, "split": split, "label": name if label else "b", f"logit_{name}": 3 * z[1], "logit_b": 3 * z[0]}
        lines += [row] if k < 100 else [row, {**row, "perturbation": HOSTILE, "severity": 1, "logit_b": 3 * z[0] + 1}]
    path = tmp_path / "outputs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_it_is_shown(table: Path) -> None:
    result = run("audit", "classifier", table, "--n-boot", 50)
    assert result.exit_code == 0, result.output
    for words in ("100 validation, 100 test; 2 classes", "errors found by", "classwise", "over-confident", "left out: foreign"):
        assert words in result.stdout
    assert not set("\x1b\u202e") & set(result.stdout)
    found = json.loads(run("audit", "classifier", table, "--n-boot", 50, "--normalise", "none", "--json").stdout)
    assert found["classes"] == [HOSTILE, "b"]
    assert found["recalibration"]["selected_by"] == "nll"


def test_the_page(table: Path, tmp_path: Path) -> None:
    result = run("audit", "classifier", table, "--n-boot", 50, "--report", tmp_path / "new" / "page.html", "--json")
    assert result.exit_code == 0, result.output
    assert f"report: {tmp_path}/new/page.html" in result.stderr
    assert "curves" not in json.loads(result.stdout)
    text = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert not set("\x1b\u202e") & set(text)
    (tmp_path / "file").touch()
    result = run("audit", "classifier", table, "--n-boot", 50, "--report", tmp_path / "file" / "page.html")
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_bad_input(table: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    for arguments in ((tmp_path / "none.csv",), (empty,), (table, "--normalise", "mean"), (table, "--level", 2)):
        result = run("audit", "classifier", *arguments)
        assert result.exit_code != 0
        assert "Traceback" not in result.output
