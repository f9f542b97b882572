"""The report of a discretion audit: all its parts, undefined numbers in words, hostile names harmless."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueline.metrics.discretion_summary import discretion_summary
from trueline.reports.discretion import discretion_sections, write_discretion_report

HOSTILE = "<script>alert(1)</script>\u202e"


def document(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    P = rng.choice([1.0, -1.0, 0.0, math.nan], p=[0.2, 0.2, 0.05, 0.55], size=(300, 4))
    pull = np.nan_to_num(P) @ [2, 1, 0.5, 0.2]
    annotators = {"human": np.sign(pull + rng.logistic(size=300)), HOSTILE: np.where(pull == 0, math.nan, np.sign(pull))}
    return discretion_summary(P, annotators, ["help", "harm", HOSTILE + "x", "fair"]) | changes


def judged() -> dict[str, Any]:
    first = {"value": 0.55, "low": 0.5, "high": 0.6, "n": 100}
    about = {
        "uri": HOSTILE,
        "reading": "log-probs",
        "both_orders": True,
        "calls": 2400,
        "failed": 3,
        "invalid": 7,
        "errors": [],
        "mean_mass": 0.9,
    }
    return about | {"first_shown": first}


def test_the_file_holds_every_part_and_runs_nothing(tmp_path: Path) -> None:
    path = write_discretion_report(document(oracle=judged()), tmp_path, title=HOSTILE)
    text = path.read_text(encoding="utf-8")
    assert path.name == "discretion.html"
    for part in ("regions", "oracle", "arbitrariness", "priorities", "discrepancies", "agreement"):
        assert f'id="discretion-{part}"' in text
    assert text.count("<svg") >= 8
    assert "<script" not in text
    assert "\u202e" not in text
    assert "default-src &#x27;none&#x27;" in text
    assert not re.search(r"(?:src|href)=\"https?:", text)
    assert "2,400; 3 failed, 7 without a valid answer" in text
    assert "55\u202f%" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_undefined_numbers_are_said_in_words() -> None:
    P = np.array([[1.0, -1.0, math.nan]] * 10)
    found = discretion_summary(P, {"a": np.ones(10)}, ["p", "q", "silent"], ci=None)
    text = "".join(discretion_sections(found))
    for part in (
        "wins every conflict",
        "loses every conflict",
        "never in conflict",
        "undefined",
        "no item has a consensus",
        "Never relevant: silent.",
    ):
        assert part in text
    assert "There is one annotator only" in text


def test_a_table_that_says_nothing_still_makes_a_report() -> None:
    found = discretion_summary(np.full((5, 2), math.nan), {"a": np.ones(5), "b": np.ones(5)}, ["p", "q"])
    text = "".join(discretion_sections(found))
    assert "No two principles ever speak about the same pair." in text
    assert "fewer than two principles have a priority on both sides" in text


@pytest.mark.parametrize("k", [2, 30])
def test_many_principles_stay_small(k: int) -> None:
    rng = np.random.default_rng(k)
    P = rng.choice([1.0, -1.0, math.nan], p=[0.1, 0.1, 0.8], size=(200, k))
    found = discretion_summary(P, {n: rng.choice([1.0, -1.0], size=200) for n in "ab"}, [f"p{c}" for c in range(k)], ci=None)
    assert len("".join(discretion_sections(found))) < 600_000
