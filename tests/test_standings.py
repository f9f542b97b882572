"""The shipped record of where each estimator wins and loses is of this catalog and these checkpoints, and hides nothing."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trueline.catalog import all_entries
from trueline.cli.app import app
from trueline.models.loading import load_model
from trueline.standings import COLUMNS, MODEL, load_standings, markdown, measure_standings, table

PAGE = Path(__file__).parent.parent / "docs" / "proofs" / "standings.md"
ESTIMATORS = [entry.name for entry in all_entries() if entry.kind == "estimator"]


def test_every_estimator_has_its_line() -> None:
    assert [row["name"] for row in load_standings()["rows"]] == ESTIMATORS


def test_the_record_is_of_the_shipped_checkpoint() -> None:
    fingerprint = load_model(MODEL).fingerprint()
    assert load_standings()["model"]["fingerprint"] == (fingerprint.get("weights") or fingerprint)


def test_the_page_shows_the_record() -> None:
    assert markdown(load_standings()) in PAGE.read_text(encoding="utf-8")


def test_a_value_has_an_interval_or_a_reason() -> None:
    for row in load_standings()["rows"]:
        assert set(row["values"]) == set(COLUMNS)
        for column, found in row["values"].items():
            if found["value"] is None:
                assert found["reason"], (row["name"], column)
            else:
                assert found["low"] <= found["value"] <= found["high"], (row["name"], column)


def test_what_ranks_facts_no_better_than_chance_is_explained() -> None:
    below = PAGE.read_text(encoding="utf-8").partition("## No better than chance")[2]
    for row in load_standings()["rows"]:
        found = row["values"]["auroc_facts"]
        if found["value"] is not None and found["low"] < 0.5:
            assert re.search(rf"`{row['name']}`", below), f"{row['name']}: AUROC {found['value']:.3f} is not explained on the page"


def test_knowing_meanings_wins_among_synonyms() -> None:
    values = {row["name"]: row["values"]["auroc_synonyms"]["value"] for row in load_standings()["rows"]}
    assert values["semantic_entropy"] > values["lexical_similarity"] > 0.5
    assert values["semantic_entropy"] > values["sequence_nll"] > 0.5


def test_the_command_prints_it() -> None:
    shown = CliRunner().invoke(app, ["catalog", "--proofs"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert all(name in shown.output for name in ESTIMATORS)
    one = CliRunner().invoke(app, ["catalog", "semantic_entropy", "--proofs", "--json"])
    assert one.exit_code == 0
    assert '"semantic_entropy"' in one.output
    assert '"p_true"' not in one.output
    assert CliRunner().invoke(app, ["catalog", "nothing", "--proofs"]).exit_code == 2


@pytest.mark.slow
def test_measured_again_on_fewer_items_it_agrees(tmp_path: Path) -> None:
    """A part of the measurement, anew: estimates lie near the record (the width of the smaller sample's interval)."""
    again = {row["name"]: row["values"] for row in measure_standings(tmp_path, scale=0.2, seed=1)["rows"]}
    record = {row["name"]: row["values"] for row in load_standings()["rows"]}
    checked = 0
    for name, values in again.items():
        for column, found in values.items():
            kept = record[name][column]
            if found["value"] is None or kept["value"] is None or not math.isfinite(found["value"]):
                continue
            width = max(found["high"] - found["low"], 0.05)
            assert abs(found["value"] - kept["value"]) <= width, (name, column, found, kept)
            checked += 1
    assert checked >= 100
    assert len(table(load_standings())) == len(ESTIMATORS)
