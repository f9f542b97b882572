"""`trueline compare` and `trueline check`: what they print, the files they write, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from planted import places, planted_run
from typer.testing import CliRunner, Result

from trueline.cli import app as program

HOSTILE = "m\x1b[31m[bold]|<b>\u202e"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directories: good, poor, hostile (its model has a name that tries to steer), perfect, elsewhere."""
    folder = tmp_path_factory.mktemp("runs")
    planted_run(folder / "good", places(0, 120), 0.85, 2.5, seed=1)
    planted_run(folder / "poor", places(0, 120), 0.5, 0.3, seed=2)
    planted_run(folder / "hostile", places(0, 40, name=HOSTILE), 0.6, seed=6, uri=HOSTILE)
    planted_run(folder / "perfect", places(0, 40), 1.1)
    planted_run(folder / "elsewhere", places(500, 520), 0.6)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, [str(a) for a in arguments])


def document(result: Result) -> Any:
    """The one JSON document on standard output."""
    return json.loads(result.stdout)


FAST = ("--n-boot", 100, "--n-permutations", 200)


def test_compare_prints_a_table_and_says_what_it_means(runs: Path) -> None:
    result = run("compare", runs / "good", runs / "poor", *FAST)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "120 items in common" in result.stdout
    assert "A-B accuracy: A is better than B by" in result.stdout
    table = result.stdout[result.stdout.index("metric ") : result.stdout.index("first minus second")]
    assert max(map(len, table.splitlines())) <= 80
    assert "p: Holm, 5 tests" in result.stdout


def test_compare_says_that_it_cannot_tell(runs: Path) -> None:
    result = run("compare", runs / "poor", runs / "hostile", "--metrics", "accuracy", "--correction", "none", *FAST)
    assert result.exit_code == 0, result.output
    assert "cannot tell these apart with this data; you would need about n = " in result.stdout
    assert "Only the 40 common items are compared: A has 120, B has 40." in result.stdout
    assert "p: no correction" in result.stdout
    for character in ("\x1b", "\u202e"):
        assert character not in result.stdout
    assert "[bold]|<b>" in result.stdout


def test_compare_json(runs: Path) -> None:
    options = ("--metrics", "accuracy,auroc", "--estimators", "sequence_nll,mean_nll", "--correction", "bh")
    result = run("compare", runs / "good", runs / "perfect", *options, *FAST, "--json")
    assert result.exit_code == 0, result.output
    found = document(result)
    assert found["n_common"] == 40
    assert [(d["metric"], d["estimator"]) for d in found["differences"]] == [
        ("accuracy", None),
        ("auroc", "sequence_nll"),
        ("auroc", "mean_nll"),
    ]
    assert found["differences"][1]["p"] is None
    assert found["differences"][1]["reason"]


def test_check_exit_codes_and_words(runs: Path) -> None:
    good = run("check", runs / "good", "--require", "auroc(sequence_nll) >= 0.7", "--require", "accuracy > 0.6")
    assert good.exit_code == 0, good.output
    assert good.stdout.count("meets the bar") == 2
    false = run("check", runs / "poor", "--require", "accuracy >= 0.9")
    assert false.exit_code == 1
    assert "shown false accuracy >= 0.9" in false.stdout
    unknown = run("check", runs / "poor", "--require", "accuracy >= 0.49")
    assert unknown.exit_code == 1
    assert "not shown   accuracy >= 0.49" in unknown.stdout
    assert "shown false" not in unknown.stdout
    undefined = run("check", runs / "perfect", "--require", "auroc >= 0.5", "--on", "point")
    assert undefined.exit_code == 1
    assert "undefined: " in undefined.stdout
    for result in (good, false, unknown, undefined):
        assert result.stderr == ""


def test_check_writes_its_files_also_when_it_fails(runs: Path, tmp_path: Path) -> None:
    xml, table = tmp_path / "gate.xml", tmp_path / "gate.md"
    options = ("--require", "accuracy >= 0.99", "--require", "ece <= 1", "--junit", xml, "--markdown", table)
    result = run("check", runs / "hostile", *options, "--json")
    assert result.exit_code == 1
    assert document(result)["verdict"] == "fail"
    assert [c.get("name") for c in ElementTree.parse(xml).iter("testcase")] == ["accuracy >= 0.99", "ece(sequence_nll) <= 1"]
    text = table.read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "\x1b" not in text
    assert "**shown false**" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "good"), "at least two runs"),
        (("compare", "good", "good"), "given twice"),
        (("compare", "good", "elsewhere"), "no item in common"),
        (("compare", "good", "poor", "--metrics", "acuracy"), "did you mean accuracy"),
        (("compare", "good", "poor", "--correction", "sidak"), "expected one of holm, bh, none"),
        (("check", "good", "--require", "auroc(sequence) >= 0.5"), "did you mean sequence_nll"),
        (("check", "good", "--require", "accuracy = 0.5"), "cannot read the requirement"),
        (("check", "good", "--require", "accuracy >= 0.5", "--on", "mean"), "expected 'bound' or 'point'"),
        (("check", "good", "--require", "accuracy >= 0.5", "--junit", "no/such/folder/x.xml"), "x.xml"),
        (("check", "none", "--require", "accuracy >= 0.5"), "no run directory"),
        (("check", "good"), "--require"),
    ],
)
def test_usage_errors_exit_with_2(runs: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(runs)
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_help_shows_examples() -> None:
    for command in ("compare", "check"):
        assert f"Example: trueline {command} runs/" in run(command, "--help").output
        assert command in run("--help").output


def test_compare_writes_its_page(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "comparison.html"
    result = run("compare", runs / "good", runs / "poor", "--metrics", "accuracy,debiased_ece", "--report", page, *FAST)
    assert result.exit_code == 0, result.output
    assert f"report: {page}" in result.stdout.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert "Forest plot of A against B" in text
    assert "debiased_ece" in text
    quiet = run("compare", runs / "good", runs / "poor", "--metrics", "accuracy", "--report", page, "--json", *FAST)
    assert document(quiet)["differences"][0]["less_is_better"] is False
