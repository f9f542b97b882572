"""`trueline plan preferences`: its columns, its tables, its JSON, its gates and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from trueline.cli import app as program
from trueline.knownworld.planted_preferences import planted_preferences
from trueline.metrics.preferences import reward_representativeness
from trueline.stats import CI


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, ["plan", "preferences", *map(str, arguments)], env={"COLUMNS": "120"})


def votes() -> tuple[Any, list[dict[str, Any]]]:
    world = planted_preferences(40, (1.4,), 3)
    panel = world.panel(10, np.random.default_rng(0), share=0.5)
    assert panel.annotator is not None
    rows = [
        {
            "item_id": f"q{i:02}",
            "annotator_id": f"r{a:02}",
            "group_place": ("north", "south")[g],
            "choice": "a" if c else "b",
            "p": float(world.rates[i, 0]),
            "s0": float(np.log(world.rates[i, 0]) * 3),
            "s1": float(np.log1p(-world.rates[i, 0]) * 3),
        }
        for i, g, a, c in zip(panel.item, panel.group, panel.annotator, panel.choice, strict=True)
    ]
    return (world, panel), rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    frame = pl.DataFrame(rows)
    {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[path.suffix](path)
    return path


@pytest.fixture(params=[".csv", ".jsonl", ".parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(tmp_path / f"votes{request.param}", votes()[1])


@pytest.fixture
def csv_table(tmp_path: Path) -> Path:
    return write(tmp_path / "votes.csv", votes()[1])


def flips(path: Path, rate: float = 0.0) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        {"item_id": f"q{i}", "family": f, "flip": int(rng.random() < rate), "margin": float(rng.random())}
        for i in range(200)
        for f in ("swap", "typos", "typos")
    ]
    return write(path, rows)


def test_the_document_is_that_of_the_functions(table: Path) -> None:
    done = run(table, "--model", "p", "--json", "--n-boot", 50)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    (world, panel), _ = votes()
    gaps = reward_representativeness(world.rates[:, 0], panel, ci=CI(n_boot=50))
    assert document["reward"]["worst"]["value"] == pytest.approx(gaps.worst.value)
    assert document["reward"]["worst"]["high"] == pytest.approx(gaps.worst.high)
    assert document["n_annotators"] == 20
    assert [g["group"] for g in document["sample"]["groups"]] == ["north", "south"]
    assert document["corners"]["robust"]["verdict"] == "not judged"


def test_everything_is_shown_in_words(csv_table: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.csv"
    target.write_text("group_place,share\nnorth,50\nsouth,30\neast,20\n")
    frail = flips(tmp_path / "flips.csv", 0.3)
    done = run(
        *(csv_table, "--model", "s0,s1", "--target", target, "--flips", frail, "--budget", 1000, "--population", 1e6, "--label-cost", 0.5)
    )
    assert done.exit_code == 0, done.output
    for said in (
        "20 annotators",
        "east",
        "the best single reward would still have",
        "score differences were divided by",
        "typos",
        "hoeffding",
        "the budget buys 2,000 labels",
        "order of growth",
        "shown false representative: 20.0% of the target did not vote at all",
        "No statement is possible about east",
    ):
        assert said in done.stdout, said
    assert "inf" not in done.stdout.replace("KL inf", "")


def test_margins_are_raked(tmp_path: Path) -> None:
    _, rows = votes()
    for k, row in enumerate(rows):
        row["group_age"] = "old" if int(row["annotator_id"][1:]) % 3 else "young"
        row["task"] = ("home", "work")[k % 2]
    path = write(tmp_path / "votes.csv", rows)
    for name, text in (("place", "group_place,share\nnorth,.2\nsouth,.8\n"), ("age", "group_age,count\nold,70\nyoung,30\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    done = run(path, "--target", tmp_path / "place.csv", "--target", tmp_path / "age.csv", "--context", "task", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    shares = {row["group"]: row["target"] for row in document["sample"]["groups"]}
    assert set(shares) == {"north / old", "north / young", "south / old", "south / young"}
    assert shares["north / old"] + shares["north / young"] == pytest.approx(0.2)
    assert shares["north / old"] + shares["south / old"] == pytest.approx(0.7)
    assert document["rates"]["contexts"] == ["home", "work"]
    joint = tmp_path / "joint.csv"
    joint.write_text("group_place,group_age,share\nnorth,old,1\n")
    assert "not in the target" in run(path, "--target", joint).stdout.replace("\n", " ")
    assert run(path, "--target", joint, "--target", tmp_path / "age.csv").exit_code == 2
    assert "everyone" not in run(path, "--group", "group_age").stdout


def test_gates(csv_table: Path, tmp_path: Path) -> None:
    firm, frail = flips(tmp_path / "firm.csv"), flips(tmp_path / "frail.csv", 0.5)
    options = (csv_table, "--model", "p", "--n-boot", 50)
    assert run(*options, "--max-worst-epsilon", 0.9, "--flips", firm, "--max-delta", 0.02).exit_code == 0
    failed = run(*options, "--flips", frail, "--max-delta", 0.02, "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["gates"][0]["verdict"] == "fail"
    unsure = run(*options, "--flips", firm, "--max-delta", 0.001, "--json")
    assert unsure.exit_code == 1
    assert json.loads(unsure.stdout)["gates"][0]["verdict"] == "not shown"
    assert run(csv_table, "--max-delta", 0.1).exit_code == 2
    assert run(csv_table, "--max-worst-epsilon", 0.1).exit_code == 2


def test_ties_unknown_groups_and_hostile_names(tmp_path: Path) -> None:
    _, rows = votes()
    rows[0]["choice"] = rows[1]["choice"] = "tie"
    rows[2]["choice"] = None
    for row in rows:
        row["group_place"] = {"north": None, "south": "[red]south\x1b[31m"}[row["group_place"]]
    done = run(write(tmp_path / "votes.csv", rows))
    assert done.exit_code == 0, done.output
    assert "3 ties left out" in done.stdout
    assert "unknown" in done.stdout
    assert "\x1b" not in done.stdout
    assert "[red]south\\x1b[31m" in done.stdout
    alone = [{k: v for k, v in row.items() if k in ("item_id", "choice")} for row in rows]
    done = run(write(tmp_path / "alone.csv", alone))
    assert done.exit_code == 0, done.output
    assert "No annotator column" in done.stdout.replace("\n", " ")
    assert "everyone counts as one group" in done.stdout.replace("\n", " ")


BAD = {
    "choice 'maybe'": ("choice", 3, "maybe", "'maybe'"),
    "no item": ("item_id", 2, "", "'item_id' is empty"),
    "no annotator": ("annotator_id", 2, "", "'annotator_id' is empty"),
    "two groups": ("group_place", 0, "elsewhere", "before"),
    "model not a number": ("p", 1, "high", "'high'"),
    "model of two minds": ("p", 1, 0.123, "in another"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_cells_are_one_line(name: str, tmp_path: Path) -> None:
    column, at, value, said = BAD[name]
    _, rows = votes()
    rows = [{**row, column: str(row[column])} for row in rows]
    rows[at][column] = str(value)
    done = run(write(tmp_path / "votes.csv", rows), "--model", "p")
    assert done.exit_code == 2
    assert done.output.startswith("error: ")
    assert len(done.output.splitlines()) == 1
    assert said in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--epsilon", 0), "epsilon"),
        (("--delta", 2), "delta"),
        (("--group", "nowhere"), "nowhere"),
        (("--model", "p,s0,s1"), "expected one column"),
        (("--model", "s0"), "probability"),
        (("--map", "choice=nowhere"), "nowhere"),
        (("--map", "colour=p"), "colour"),
        (("--target", "none.csv"), "none.csv"),
        (("--d-context", -1), "d_context"),
        (("--icc", 3), "icc"),
        (("--level", 1), "level"),
    ],
)
def test_bad_options_are_one_line(options: tuple[Any, ...], said: str, csv_table: Path) -> None:
    done = run(csv_table, *options)
    assert done.exit_code == 2
    assert len(done.output.splitlines()) == 1
    assert said in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item_id,choice\nx,1\nx,0\n", "0 means a tie"),
        ("item_id,choice\nx,tie\n", "no row has a choice"),
        ("item_id,annotator_id,choice\nx,r,1\nx,r,-1\n", "already"),
        ("item_id\nx\n", "choice"),
        ("item_id,choice\n", "no rows"),
        ("", "empty"),
    ],
)
def test_bad_tables_are_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(text)
    done = run(path)
    assert done.exit_code == 2
    assert len(done.output.splitlines()) == 1
    assert said in done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("group_place,share\nnorth,-1\n", "at least 0"),
        ("group_place,share\nnorth,1\nnorth,2\n", "twice"),
        ("place,share\nnorth,1\n", "group_place"),
        ("group_place,share\nwest,1\n", "no one in the sample"),
    ],
)
def test_bad_targets_are_one_line(text: str, said: str, csv_table: Path, tmp_path: Path) -> None:
    (tmp_path / "target.csv").write_text(text)
    done = run(csv_table, "--target", tmp_path / "target.csv")
    assert done.exit_code == 2
    assert len(done.output.splitlines()) == 1
    assert said in done.output


def test_bad_flips_are_one_line(csv_table: Path, tmp_path: Path) -> None:
    path = tmp_path / "flips.csv"
    for text, said in (("item_id,family,flip\nx,swap,0.5\n", "0.5"), ("item_id,flip\nx,1\n", "family")):
        path.write_text(text)
        done = run(csv_table, "--flips", path)
        assert done.exit_code == 2
        assert said in done.output


def test_signs_and_numbers_mean_the_same_as_letters(csv_table: Path, tmp_path: Path) -> None:
    expected = json.loads(run(csv_table, "--json").stdout)
    with csv_table.open() as handle:
        rows = list(csv.DictReader(handle))
    for first, second in (("1", "-1"), ("1.0", "2"), ("First", "response_b")):
        changed = [{**row, "choice": first if row["choice"] == "a" else second} for row in rows]
        assert json.loads(run(write(tmp_path / "other.csv", changed), "--json").stdout) == expected
