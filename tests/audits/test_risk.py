"""The risk audit on planted models: what is wrong with each is found, the record is complete, the page and the table are written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueline.audits import RiskAudit, audit_risk
from trueline.errors import InputError
from trueline.knownworld.planted_table import PlantedRisk, planted_table
from trueline.reports.risk import render_risk
from trueline.stats.estimate import Estimate
from trueline.tabular import PromptStyle

PLANTED = planted_table(900, seed=6, split=(0.4, 0.0, 0.6))


def audit(model: PlantedRisk | None = None, **settings: Any) -> RiskAudit:
    return audit_risk(model or PlantedRisk(), PLANTED.task, **settings)


def test_an_honest_model() -> None:
    found = audit()
    report = found.report
    assert report["roc_auc"].value > 0.75
    assert report["signed_error"].low < 0 < report["signed_error"].high
    assert report["confidence_bias"].low < 0 < report["confidence_bias"].high
    assert found.document["asked"]["order_sensitivity"]["value"] < 1e-9
    assert found.document["report"]["n"] == 540


@pytest.mark.parametrize(
    ("model", "metric", "sign"),
    [
        (PlantedRisk(sharpness=4), "confidence_bias", 1),
        (PlantedRisk(sharpness=0.2), "confidence_bias", -1),
        (PlantedRisk(shift=1.5), "signed_error", 1),
        (PlantedRisk(shift=-1.5), "signed_error", -1),
    ],
)
def test_planted_faults_are_found(model: PlantedRisk, metric: str, sign: int) -> None:
    found = audit(model).report[metric]
    assert sign * found.value > 0.03
    assert (found.low > 0) if sign > 0 else (found.high < 0)


def test_a_model_that_reads_the_position_is_named() -> None:
    found = audit(PlantedRisk(position=3))
    assert found.document["asked"]["order_sensitivity"]["low"] > 0.2
    assert any("reads the position" in w for w in found.document["warnings"])
    assert "reads the position" in render_risk(found.document)


def test_a_fitted_threshold_uses_the_train_split_alone() -> None:
    found = audit(threshold="fit", fit_rows=80, costs=(3.0, 1.0))
    assert found.document["fitted"]["n"] == 80
    assert found.document["report"]["threshold"] == found.document["fitted"]["threshold"]
    with pytest.raises(InputError, match="cannot be judged on 'all'"):
        audit(threshold="fit", split="all")


def test_importance_finds_the_strong_column() -> None:
    found = audit(limit=150, importance=True).document["importance"]
    assert max(found, key=lambda name: found[name]["value"]) == "work"


def test_the_record_is_json_and_the_page_harmless(tmp_path: Path) -> None:
    hostile = '<img src=x onerror=alert(1)>"\u202e'
    task = PLANTED.task.with_(name=hostile, population=hostile, style=PromptStyle("lines"))
    found = audit_risk(PlantedRisk(uri=hostile), task, limit=120, importance=True)
    json.dumps(found.document, allow_nan=False)
    page = found.write(tmp_path / "risk.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "\u202e" not in page
    for label in ("ROC curve", "Calibration by group", "Histogram of scores", "Confidence bias by group", "Feature importance"):
        assert f'aria-label="{label}"' in page
    assert found.write(tmp_path).name == "risk.html"


def test_scores_as_a_table(tmp_path: Path) -> None:
    found = audit(limit=50)
    with found.write_scores(tmp_path / "deep" / "s.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(r["row"]) for r in rows] == found.positions.tolist()
    np.testing.assert_array_equal([float(r["score"]) for r in rows], found.scores.scores)
    assert {r["group"] for r in rows} <= {"north", "east", "south", "west"}


def test_every_kind_of_question_has_a_page() -> None:
    for kind in ("numeric", "reasoned"):
        found = audit(question=kind, limit=60)
        assert found.document["asked"]["order_sensitivity"] is None
        assert kind in render_risk(found.document)
        Estimate.from_json(found.document["report"]["metrics"]["ece"])


def test_equal_scores_have_a_page_too() -> None:
    task = PLANTED.task.with_(columns=[c for c in PLANTED.task.features if c.name != "work"])
    found = audit_risk(PlantedRisk(), task, limit=60)  # the model finds no whole row, and knows nothing
    assert found.report["roc_auc"].value == 0.5
    assert any("order nothing" in w for w in found.document["warnings"])
    assert "no option has any probability" in render_risk(found.document)
