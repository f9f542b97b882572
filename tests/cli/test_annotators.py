"""Annotators from the command line: a table, a run, the files they write, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import browser
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from trueline.cli import app as program
from trueline.run import open_run

HOSTILE = "<script>\u202e\x1b[31m"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, [str(a) for a in arguments], env={"COLUMNS": "120"})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = ["yes", "no", HOSTILE]
    rows = []
    for i in range(60):
        votes = [labels[k] for k in rng.choice(3, 4, p=rng.dirichlet([1, 1, 0.3]))]
        rows.append(
            {"id": f"q{i}", "annotations": dict(zip(["ann", "bob", HOSTILE, "dia"], votes, strict=True)), "m": votes[0], "w": "other"}
        )
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_a_table_is_summarised_and_its_files_are_written(table: Path, tmp_path: Path) -> None:
    page, cases = tmp_path / "a.html", tmp_path / "c.jsonl"
    options = ("--prediction", "m", "--prediction", "w", "--report", page, "--cases", cases, "--n-boot", 50)
    result = run("audit", "annotators", table, *options)
    assert result.exit_code == 0, result.output
    assert "240 answers on 60 items" in result.stdout
    assert "m minus w, supported:" in result.stdout
    assert not set("\x1b\u202e") & set(result.stdout)
    html = page.read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "\u202e" not in html
    for words in ("Distribution of annotation certainty", "Plain and adjusted accuracy", "Reliability of annotators"):
        assert words in html
    lines = [json.loads(x) for x in cases.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 60
    assert sum(lines[0]["plausibility"].values()) == pytest.approx(1)
    found = json.loads(run("audit", "annotators", table, "--prediction", "w", "--n-boot", 50, "--json").stdout)
    assert found["predictions"]["w"]["adjusted"]["value"] == 0
    assert found["predictions"]["w"]["n_unnamed"] == 60


@pytest.mark.parametrize("method", ["irn", "plackett-luce"])
def test_other_aggregates(tmp_path: Path, method: str) -> None:
    path, cases = tmp_path / "r.csv", tmp_path / "c.jsonl"
    path.write_text('id,annotations\n1,"[[""A"",""B""],[""A""]]"\n2,B|B|A\n3,\n', encoding="utf-8")
    result = run("audit", "annotators", path, "--method", method, "--cases", cases, "--n-boot", 20)
    assert result.exit_code == 0, result.output
    first, second, third = (json.loads(x) for x in cases.read_text(encoding="utf-8").splitlines())
    assert max(first["plausibility"], key=first["plausibility"].get) == "A"
    assert max(second["plausibility"], key=second["plausibility"].get) == "B"
    assert third["plausibility"] == {}


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("id,x\n1,2\n", (), "has no annotations"),
        ("id,annotations\n1,a|b\n", ("--method", "best"), "--method 'best' is unknown"),
        ("id,annotations\n1,a|b\n", ("--prediction", "modle"), "no column 'modle'"),
        ('id,annotations\n1,"[[""a"",""a""]]"\n', (), "line 2: an annotator names 'a' twice"),
        ("id,annotations\n1,a|b\n", ("--reliability", "0"), "must be positive"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, content: str, options: tuple[str, ...], said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    result = run("audit", "annotators", path, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def imported(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    path = folder / "g.jsonl"
    rows = []
    for i in range(50):
        law = rng.dirichlet([1, 0.7])
        votes = [("yes", "no")[k] for k in rng.choice(2, 5, p=law)] if i else None
        texts = [("Yes.", "no")[k] for k in rng.choice(2, 4, p=law)]
        rows.append({"id": f"q{i}", "question": "?", "annotations": votes, "samples": texts, "answer": "yes" if law[0] > 0.5 else "no"})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert run("import", path, "--out", folder / "run").exit_code == 0
    assert run("score", folder / "run", "--estimators", "self_consistency,lexical_similarity").exit_code == 0
    return folder / "run"


def test_a_run_with_annotations_is_validated_against_them(tmp_path: Path) -> None:
    folder = imported(tmp_path)
    result = run("validate", folder, "--n-boot", 50)
    assert result.exit_code == 0, result.output
    assert "annotators: 245 answers on 49 items" in result.stdout
    assert "answer: against the most voted label" in result.stdout
    document = open_run(folder).metrics
    assert document is not None
    assert document["annotators"]["predictions"]["answer"]["adjusted"]["n"] == 49
    scores = document["estimators"]["self_consistency"]["metrics"]
    assert scores["ua_auroc"]["n_missing"] == 1
    assert scores["ua_auroc"]["value"] > 0.5
    assert run("report", folder).exit_code == 0
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "Annotators who disagree" in html
    assert "AUROC, adjusted" in html


@pytest.mark.skipif(browser.find() is None and not os.environ.get("CI"), reason="no Chromium is installed (on CI its absence is an error)")
def test_the_page_fits_a_phone_and_asks_for_nothing(table: Path, tmp_path: Path) -> None:
    binary = browser.find()
    assert binary is not None, "CI needs a Chromium for this test"
    page = tmp_path / "a.html"
    assert run("audit", "annotators", table, "--prediction", "m", "--report", page, "--n-boot", 20).exit_code == 0
    with browser.Browser(binary, tmp_path / "profile") as tab:
        for width, dark in ((1280, False), (390, True)):
            tab.open(page, width=width, dark=dark)
            assert tab.requests == [page.resolve().as_uri()]
            assert tab.messages == []
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.evaluate("document.querySelectorAll('figure svg[role=img]').length") == 3
