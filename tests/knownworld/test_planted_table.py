"""The planted table's truth, and the planted model's faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.knownworld.planted_table import PlantedRisk, bayes_auc, planted_table
from trueline.metrics import auroc, ece
from trueline.models import Prompt, load_model
from trueline.tabular import load_codebook


def test_the_truth_of_the_table() -> None:
    table = planted_table(20_000, seed=9)
    assert table.bayes_auc == pytest.approx(0.817, abs=0.001)
    assert table.risk.mean() == pytest.approx(0.35, abs=0.01)
    found = auroc(table.risk, table.task.y)
    assert found.low < bayes_auc() < found.high
    assert ece(table.risk, table.task.y).low == 0
    again = planted_table(20_000, seed=9)
    assert again.task.y.tolist() == table.task.y.tolist()


def test_its_files(tmp_path: Path) -> None:
    table = planted_table(50, seed=2)
    task = load_codebook(table.write(tmp_path))
    assert task.y.tolist() == table.task.y.tolist()
    assert task.group == "ward"
    assert json.loads((tmp_path / "people.json").read_text())["target"] == "boat"


def test_the_model_by_uri() -> None:
    assert load_model("world:planted-risk", shift=1.0) == PlantedRisk(shift=1.0)
    with pytest.raises(InputError, match="did you mean sharpness"):
        load_model("world:planted-risk", sharpnes=1.0)


def test_a_prompt_without_a_row_gets_no_option() -> None:
    assert PlantedRisk().law("Who are you?") == {" what": 1.0}
    (found,) = PlantedRisk().score([Prompt(text="Who are you?")], [["A", " A"]])
    np.testing.assert_array_equal(found.logprobs, [-np.inf, -np.inf])
