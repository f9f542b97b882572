"""The safety report of a classifier: planted faults are found, a fair model has none, parts that lack rows are named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import CI
from trueline.perception import ClassifierTable, safety_report

QUICK = CI(n_boot=200)


def rows(
    rng: np.random.Generator, n: int, split: str, *, gain: float = 1.0, known: float = 1.0, noise: float = 0.0, perturbation: str = ""
) -> Any:
    """Three classes whose exact logits are known, times a gain (1: calibrated); noise moves the inputs after the labels were drawn."""
    x = rng.normal(size=(n, 3)) * 2 * known
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1) if known else np.full(n, -1)
    items = np.array([f"{split}-{k}" for k in range(n)], dtype=object)
    z = gain * (x + noise * rng.normal(size=x.shape))
    texts = (np.full(n, split, dtype=object), np.full(n, perturbation, dtype=object))
    return ClassifierTable(z, True, y, ("a", "b", "c"), *texts, np.full(n, int(bool(perturbation))), items, items)


def together(*parts: ClassifierTable) -> ClassifierTable:
    columns = ("labels", "split", "perturbation", "severity", "item_id", "cluster")
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in columns]
    labels, *rest = joined
    return ClassifierTable(np.concatenate([part.outputs for part in parts]), True, labels, ("a", "b", "c"), *rest)


def test_a_fair_model_has_no_findings_and_says_what_was_not_looked_at() -> None:
    found = safety_report(rows(np.random.default_rng(3), 600, "test"), ci=QUICK)
    assert found.findings == ()
    assert set(found.left_out) == {"recalibration", "foreign", "overfit", "perturbations"}
    assert found.failures["max_softmax"]["auroc"].low > 0.6
    assert found.counts == {"train": 0, "validation": 0, "test": 600, "ood": 0}


def test_planted_faults_are_found() -> None:
    rng = np.random.default_rng(1)
    test = rows(np.random.default_rng(2), 400, "test", gain=3.0)
    shaken = rows(np.random.default_rng(2), 400, "test", gain=3.0, noise=3.0, perturbation="noise")
    learnt = rows(rng, 400, "train", gain=3.0)
    learnt.outputs[np.arange(400), learnt.labels] += 6
    shuffled = shaken.take(rng.permutation(400))  # rows are matched by item, not by place
    table = together(test, shuffled, learnt, rows(rng, 400, "validation", gain=3.0), rows(rng, 300, "ood", known=0.0, noise=1.0))
    found = safety_report(table, ci=QUICK)
    text = "\n".join(found.findings)
    assert "the model is over-confident" in text
    assert "on items predicted b it is over-confident" in text
    assert "training items are recognised" in text
    assert "noise 1: accuracy falls and confidence does not follow" in text
    assert found.recalibration is not None
    assert found.recalibration.selected_by == "nll"
    assert found.recalibration.base == pytest.approx(1.99)  # the end of the paper's grid
    assert found.scaled["temperature"].miscalibration.ece.value < found.miscalibration.ece.value
    assert found.foreign["max_softmax"].auroc.low > 0.5
    assert not found.left_out
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["accuracy"]["value"] == found.accuracy.value
    assert len(document["perturbations"]["perturbed"]) == 1


def test_bad_tables() -> None:
    rng = np.random.default_rng(0)
    test = rows(rng, 20, "test")
    with pytest.raises(InputError, match="no test rows"):
        safety_report(rows(rng, 20, "train"), ci=None)
    shifted = rows(rng, 20, "test", perturbation="blur")
    with pytest.raises(InputError, match="'blur', severity 1 must hold every test item once, by item_id: it has 19 rows for 20"):
        safety_report(together(test, shifted.take(np.arange(19))), ci=None)
    shifted.item_id[3] = "other"
    with pytest.raises(InputError, match="'other' is not among them"):
        safety_report(together(test, shifted), ci=None)
    with pytest.raises(InputError, match="normalise"):
        safety_report(together(test, rows(rng, 20, "validation")), normalise="mean", ci=None)
