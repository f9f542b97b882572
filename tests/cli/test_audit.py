"""`trueline audit discretion`: its columns, its tables, its JSON and what it refuses."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from trueline.cli import app as program
from trueline.metrics.discretion import discretion_arbitrariness, principle_wins
from trueline.metrics.principle_priority import principle_priority

NAMES = ["be_helpful", "avoid_harm", "be_fair"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, ["audit", "discretion", *map(str, arguments)], env={"COLUMNS": "120"})


def planted(n: int = 300) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(0)
    P = rng.choice([1.0, -1.0, 0.0, math.nan], p=[0.3, 0.3, 0.05, 0.35], size=(n, 3))
    pull = np.nan_to_num(P) @ [2.0, 1.0, 0.5]
    human = np.sign(pull + rng.logistic(size=n))
    human[:3] = [0, math.nan, 1]
    return P, {"human": human, "score_0": pull + rng.normal(size=n), "score_1": np.zeros(n)}


@pytest.fixture(params=[".csv", ".jsonl", ".parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    P, others = planted()
    frame = pl.DataFrame({"item_id": [f"q{i}" for i in range(len(P))]} | {f"principle_{n}": P[:, c] for c, n in enumerate(NAMES)} | others)
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
    path = tmp_path / f"pairs{request.param}"
    {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[request.param](path)
    return path


def test_json_equals_the_functions(table: Path) -> None:
    result = run(table, "--annotator", "human", "--annotator", "reward=score_0,score_1", "--n-boot", 20, "--json")
    assert result.exit_code == 0, result.output
    found, (P, others) = json.loads(result.stdout), planted()
    assert found["principles"] == NAMES
    human = found["annotators"]["human"]
    assert human["n_usable"] == 298
    assert human["arbitrariness"]["1"]["value"] == pytest.approx(discretion_arbitrariness(P, others["human"]).value)
    assert human["arbitrariness"]["3"]["n"] < human["arbitrariness"]["1"]["n"]
    wins = principle_wins(P, others["human"])
    assert human["wins"] == wins.tolist()
    assert human["priority"]["w"] == pytest.approx(principle_priority(wins).w.tolist())
    assert found["annotators"]["reward"]["wins"] == principle_wins(P, np.sign(others["score_0"])).tolist()
    (pair,) = found["discrepancies"]
    assert (pair["a"], pair["b"], pair["n_principles"]) == ("human", "reward", 3)
    assert pair["low"] <= pair["value"] <= pair["high"]
    assert sum(found["cells"].values()) == P.size
    assert any("followed the position" in w for w in found["warnings"])


def test_tables_for_a_reader(table: Path) -> None:
    result = run(table, "--annotator", "human", "--annotator", "reward=score_0,score_1", "--oracle", "reward", "--n-boot", 20)
    assert result.exit_code == 0, result.output
    for text in ("consensus: .", "human", "be_helpful", "human and reward: ", "over 3 principles", "[95% interval]"):
        assert text in result.stdout
    assert "reward also judged the principles" in result.stdout


def write(path: Path, rows: list[list[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
    return path


def test_clusters_weights_and_what_has_no_priority(tmp_path: Path) -> None:
    rows = [["a", 1, -1, "", 1, i // 2, 1 + i % 2] for i in range(20)]
    path = write(tmp_path / "t.csv", [["item", "p", "q", "silent", "who", "cluster_id", "weight"], *rows])
    result = run(path, "--principles", "p,q,silent", "--annotator", "who", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    priority = found["annotators"]["who"]["priority"]
    assert priority["w"] == ["inf", "-inf", None]
    assert found["annotators"]["who"]["wins"][0][1] == 30
    assert found["annotators"]["who"]["arbitrariness"]["1"]["value"] is None
    assert "Never relevant: silent." in found["warnings"]
    shown = run(path, "--principles", "p,q,silent", "--annotator", "who", "--prior", 1).stdout
    assert "no conflict" in shown
    assert "wins all" not in shown


HEADER = ["item_id", "principle_a", "principle_b", "who", "cluster_id"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], ("--annotator", "who"), "has no rows"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "whom"), "no column 'whom'"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "who", "--annotator", "who"), "names 'who' twice"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "x=who"), "NAME=COLUMN_0,COLUMN_1"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "who", "--principles", "principle_c"), "did you mean"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "who", "--principles", "principle_a"), "at least two"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "who", "--principles", "principle_a,principle_a"), "twice"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "who", "--oracle", "gpt"), "oracle 'gpt'"),
        ([[1, 1, -1, 1, "c"]], ("--annotator", "who", "--weight", "w"), "no column 'w'"),
        ([[1, 2, -1, 1, "c"]], ("--annotator", "who"), "line 2: column 'principle_a' is '2'"),
        ([[1, 1, -1, 0.7, "c"]], ("--annotator", "who"), "column 'who' is '0.7'"),
        ([[1, "yes", -1, 1, "c"]], ("--annotator", "who"), "expected a number"),
        ([[1, 1, -1, 1, "c"], [1, 1, -1, 1, "c"]], ("--annotator", "who"), "line 3: the item_id '1' stands on line 2 too"),
        ([[1, 1, -1, 1, ""]], ("--annotator", "who"), "column 'cluster_id' is empty"),
    ],
)
def test_bad_tables_are_one_line(rows: list[list[Any]], options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = run(write(tmp_path / "t.csv", [HEADER, *rows]), *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_help_names_the_audit() -> None:
    shown = CliRunner().invoke(program.app, ["audit", "--help"])
    assert shown.exit_code == 0
    assert "discretion" in shown.stdout


def test_without_principles_the_columns_are_listed(tmp_path: Path) -> None:
    result = run(write(tmp_path / "t.csv", [["a", "who"], [1, 1]]), "--annotator", "who")
    assert result.exit_code == 2
    assert "columns found: 'a', 'who'" in " ".join(result.stderr.split())


def pairs(path: Path, n: int = 3) -> Path:
    rows = [[f"What of {i}?", f"It keeps kind {i}.", f"It breaks kind {i}.", 1 - 2 * (i % 2), i, 1] for i in range(n)]
    return write(path, [["prompt", "response_0", "response_1", "human", "s0", "s1"], *rows])


def test_a_judge_labels_the_pairs_and_the_answers_are_kept(tmp_path: Path) -> None:
    listing = tmp_path / "mine.txt"
    listing.write_text("kind: The rule of kind.\nshort: The rule of short.\n")
    path, report, save = pairs(tmp_path / "t.csv"), tmp_path / "out" / "r.html", tmp_path / "judged.csv"
    options = [
        "--annotator",
        "human",
        "--annotator",
        "s=s0,s1",
        "--annotator",
        "policy=likelihood:world:chat",
        "--judge",
        "world:planted-judge",
    ]
    options += ["--principles", listing, "--cache", tmp_path / "answers.sqlite", "--report", report, "--save", save, "--json"]
    result = run(path, *options)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["principles"] == ["kind", "short"]
    assert found["oracle"]["calls"] == 12
    assert found["cells"] == {"first": 3, "second": 0, "position": 0, "silent": 3}
    assert list(found["annotators"]) == ["human", "s", "policy"]
    assert found["annotators"]["policy"]["n_usable"] == 3
    assert "3 pairs: 18 model calls" in result.stderr
    assert "<h1>" in report.read_text(encoding="utf-8")
    again = run(save, "--annotator", "human", "--annotator", "policy", "--json")
    assert json.loads(again.stdout)["cells"] == found["cells"]


def test_calls_that_fail_end_in_their_own_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write(path, [["prompt", "response_0", "response_1", "human"], ["What? " * 200, "a", "b", 1]])
    result = run(path, "--annotator", "human", "--judge", "world:chat", "--principles", "core", "--one-order")
    assert result.exit_code == 3
    assert "The judge failed in 8 of 8 calls: the prompt has" in result.output


def test_the_plan_costs_nothing(tmp_path: Path) -> None:
    result = run(pairs(tmp_path / "t.csv"), "--annotator", "human", "--judge", "world:chat", "--plan", "--json")
    assert json.loads(result.stdout) == {"pairs": 3, "calls": 3 * 21 * 2}
    halved = run(
        pairs(tmp_path / "t.csv"), "--annotator", "human", "--judge", "world:chat", "--principles", "core", "--one-order", "--plan"
    )
    assert halved.stdout.strip() == "3 pairs: 24 model calls"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--judge", "nowhere:x"], "unknown model 'nowhere:x'"),
        (["--judge", "world:chat", "--principles", "no.txt"], "'no.txt' is no shipped list"),
        (["--annotator", "x=judge:nowhere:x"], "unknown model"),
        (["--annotator", "x=reward:nothing/here/at/all"], "cannot be loaded"),
        (["--annotator", "x=guess:s0"], "--annotator x=guess:s0: expected"),
        (["--layout", "hh"], "layout is 'hh'"),
        (["--layout", "hh-rlhf"], "holds no dialogue"),
        (["--limit", "0"], "limit must be at least 1"),
    ],
)
def test_bad_models_lists_and_layouts(tmp_path: Path, options: list[str], message: str) -> None:
    result = run(pairs(tmp_path / "t.csv"), "--annotator", "human", *options)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
