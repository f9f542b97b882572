"""`trueline audit risk`: from a codebook to numbers, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from trueline.cli import app as program
from trueline.knownworld.planted_table import planted_table


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, ["audit", "risk", *map(str, arguments)], env={"COLUMNS": "120"})


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return planted_table(600, 1).write(tmp_path)


def test_a_table_from_its_codebook(book: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("r.html", "s.csv", "answers.sqlite")]
    result = run(
        "world:planted-risk", book, "--split", "all", "--limit", 200, "--report", files[0], "--scores", files[1], "--cache", files[2]
    )
    assert result.exit_code == 0, result.output
    assert "AUC: " in result.stdout
    assert "order sensitivity: .000" in result.stdout
    assert "equalized odds difference" in result.stdout
    assert all(file.stat().st_size > 1000 for file in files)
    again = run("world:planted-risk", book, "--split", "all", "--limit", 200, "--cache", files[2], "--json")
    assert json.loads(again.stdout)["asked"]["calls"] == 0


def test_options_reach_prompt_and_model(book: Path) -> None:
    table = book.with_suffix(".csv")
    options = [
        "--codebook",
        book,
        "--question",
        "numeric",
        "--style",
        "lines",
        "--no-preamble",
        "--shots",
        2,
        "--threshold",
        "fit",
        "--json",
    ]
    result = run("world:planted-risk", table, *options, "-O", "shift=2", "--features", "reversed", "--group", "house")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["task"]["prompt"].count("Question:") == 3
    assert found["task"]["prompt"].startswith("ward = ")
    assert found["report"]["metrics"]["signed_error"]["value"] > 0.1
    assert set(found["report"]["groups"]) == {"clay", "timber", "brick", "stone"}
    assert found["fitted"]["n"] == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("world:planted-risk", "anes97"), "did you mean anes96"),
        (("world:planted-risk", "BOOK", "--question", "guess"), "expected choices, numeric, reasoned"),
        (("world:planted-risk", "BOOK", "--threshold", "high"), "a number, best or fit"),
        (("world:planted-risk", "BOOK", "--split", "tests"), "did you mean test"),
        (("world:planted-risk", "BOOK", "--style", "poem"), "bullets, lines, sentence"),
        (("world:planted-risk", "BOOK", "--group", "colour"), "no column 'colour'"),
        (("world:planted-risk", "BOOK", "-O", "sharp=1"), "sharpness"),
        (("world:planted-risk", "ACSIncome", "--data-dir", "/nowhere"), "no person files"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(book: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(*(str(book) if a == "BOOK" else a for a in arguments))
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
