"""`trueline audit errors` and `trueline audit distribution` from the outside: tables, JSON, page, and one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from repeated_answers import planted, row
from typer.testing import CliRunner

from trueline.cli.app import app

HOSTILE = "\x1b[31m<script>alert(1)</script>\u202e [bold]"


def run_cli(*arguments: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, [str(a) for a in arguments])
    return found.exit_code, found.stdout, found.stderr


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [
        row(f"q{i}{HOSTILE}", ["right", HOSTILE, "x", "right"], greedy="x" if i % 3 else "right", steps=i % 2, wording_group=f"g{i // 2}")
        for i in range(12)
    ]
    return planted(tmp_path, rows).path


def test_errors(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "errors.html"
    code, out, _ = run_cli(
        "audit", "errors", run, "--by", "steps", "--loss", "brier,kl", "--ensembles", "1,2", "--n-boot", 50, "--report", page
    )
    assert code == 0
    for words in ("incoherence", "two wrong samples of an item agree", "ensembles of 2", "Only 12 items"):
        assert words in out
    text = page.read_text(encoding="utf-8")
    assert "Systematic or incoherent?" in text
    assert "<svg" in text
    assert "<script" not in text


def test_distribution(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "distribution.html"
    options = ("--ks", "1,4", "--harm", "regex:script", "--options", 4, "--deployment", 100, "--n-boot", 50)
    code, out, _ = run_cli("audit", "distribution", run, *options, "--report", page)
    assert code == 0
    for words in ("pass@k", "a guesser passes", "6 questions in 2 wordings", "any-harm@k", "any-harm@100 predicted"):
        assert words in out
    assert "\x1b[31m" not in out
    assert "\u202e" not in out
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "Content-Security-Policy" in text
    for words in ("Capability", "Reasoning paths", "Wording", "Harm"):
        assert words in text


@pytest.mark.parametrize("command", ["errors", "distribution"])
def test_json_is_one_document(run: Path, command: str) -> None:
    code, out, _ = run_cli("audit", command, run, "--n-boot", 50, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["audit"] == command
    assert document["n_items"] == 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("errors", "--by", "stepz"), "steps"),
        (("errors", "--ensembles", "a,b"), "whole numbers"),
        (("errors", "--loss", "mse"), "unknown"),
        (("distribution", "--ks", "0"), "whole numbers"),
        (("distribution", "--ks", "9"), "expected 1 to 4"),
        (("distribution", "--harm", "none.csv"), "no file"),
    ],
)
def test_bad_input_is_one_line(run: Path, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run_cli("audit", arguments[0], run, *arguments[1:])
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert not out


def test_no_run_and_greedy_copies(tmp_path: Path) -> None:
    code, _, err = run_cli("audit", "errors", tmp_path / "nothing")
    assert code == 2
    copies = planted(tmp_path, [row(f"q{i}", ["right"] * 3, temperature=0.0) for i in range(3)])
    for command in ("errors", "distribution"):
        code, _, err = run_cli("audit", command, copies.path)
        assert code == 2
        assert "copies of the greedy answer" in err
