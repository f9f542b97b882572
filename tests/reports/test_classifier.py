"""The page of a classifier audit: every part, numbers that are those of the record, hostile names harmless, odd tables in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueline.metrics import CI
from trueline.perception import ClassifierTable, classifier_curves, safety_report
from trueline.reports.classifier import render_classifier, write_classifier_report

HOSTILE = "<script>alert(1)</script>\u202e"
QUICK = CI(n_boot=60)


def table(
    outputs: Any, labels: Any, *, names: Any = None, split: Any = None, shift: Any = None, severity: Any = None, item: Any = None
) -> ClassifierTable:
    z, n = np.asarray(outputs, dtype=np.float64), len(labels)

    def column(values: Any) -> Any:
        return np.array(values, dtype=object)

    ids = column(item if item is not None else [f"i{k}" for k in range(n)])
    classes = tuple(names or map(str, range(z.shape[1])))
    parts = (column(split or ["test"] * n), column(shift or [""] * n))
    steps = np.array(severity if severity is not None else np.zeros(n), dtype=np.int64)
    return ClassifierTable(z, not np.allclose(z.sum(axis=1), 1), np.asarray(labels, dtype=np.int64), classes, *parts, steps, ids, ids)


def full(shifts: int = 2) -> ClassifierTable:
    """Two loud classes of three; 240 test rows, 60 validation, train and foreign ones, and shifts at two severities."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 420)
    z = rng.normal(size=(420, 3)) + 1.5 * np.eye(3)[y]
    z[:, :2] *= 3
    split = ["test"] * 240 + ["validation"] * 60 + ["train"] * 60 + ["ood"] * 60
    item = [f"i{k}" for k in range(420)]
    rows: list[tuple[Any, int, str, str, int, str]] = [(z[k], y[k], split[k], "", 0, item[k]) for k in range(420)]
    for s in range(shifts):
        for step in (1, 2):
            moved = z + step * (s + 1) * rng.normal(size=z.shape)
            rows += [(moved[k], y[k], "test", f"{HOSTILE}{s}", step, item[k]) for k in range(240)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    names = (HOSTILE, "long " * 30 + "a", "long " * 30 + "b")
    return table(columns[0], columns[1], names=names, split=columns[2], shift=columns[3], severity=columns[4], item=columns[5])


def rendered(data: ClassifierTable) -> tuple[dict[str, Any], str]:
    found = safety_report(data, ci=QUICK)
    document = {"classes": list(data.classes), **found.document()}
    return document, render_classifier(document, classifier_curves(data, found, ci=QUICK))


def test_the_page_holds_every_part_and_runs_nothing(tmp_path: Path) -> None:
    data = full(shifts=7)
    found = safety_report(data, ci=QUICK)
    document = {"classes": list(data.classes), **found.document()}
    path = write_classifier_report(document, classifier_curves(data, found, ci=QUICK), tmp_path, title=HOSTILE, level=0.95)
    text = path.read_text(encoding="utf-8")
    assert path.name == "classifier.html"
    for part in ("calibration", "classes", "confusion", "errors", "recalibration", "foreign", "overfit", "perturbations", "reading"):
        assert f'id="{part}"' in text
    assert text.count("<svg") >= 12
    assert "<script" not in text
    assert "\u202e" not in text
    assert not re.search(r"(?:src|href)=\"https?:", text)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert "Drawn are the 6 of 7 that cost most accuracy." in text
    # two names that are alike where they are cut stay two classes
    assert "(class 2)" in text


def test_the_numbers_are_those_of_the_record() -> None:
    data = full()
    document, text = rendered(data)
    test = data.take((data.split == "test") & (data.perturbation == ""))
    wrong = test.outputs.argmax(axis=1) != test.labels
    for k in range(3):
        assert document["class_risk"][k]["value"] == pytest.approx(wrong[test.labels == k].mean())
        assert document["predicted_risk"][k]["value"] == pytest.approx(wrong[test.outputs.argmax(axis=1) == k].mean())
        assert f"{document['class_risk'][k]['value']:.3f}" in text
    assert sum(n for *_, n in document["confusion"]) == len(test)
    assert sum(n for a, b, n in document["confusion"] if a != b) == wrong.sum()
    assert f"{document['accuracy']['value']:.3f}" in text
    assert "240 test" in text


def test_curves_of_scores_with_one_order_are_drawn_once() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(2), 80)
    data = table(p, rng.integers(0, 2, 80))
    found = safety_report(data, ci=QUICK)
    curves = classifier_curves(data, found, ci=QUICK)
    assert set(found.failures) == {"max_softmax", "softmax_entropy", "softmax_margin"}
    assert list(curves["roc"]) == ["max_softmax"]
    assert sum(curves["confidence"]) == 80
    assert curves["reliability"].keys() == {"unscaled"}
    assert curves["roc"]["max_softmax"]["x"][0] == curves["roc"]["max_softmax"]["y"][0] == 0.0


def test_mixups_keep_clusters_together() -> None:
    rng = np.random.default_rng(2)
    y = np.repeat(rng.integers(0, 2, 40), 5)
    z = np.repeat(rng.normal(size=(40, 2)), 5, axis=0) + np.eye(2)[y]
    apart = table(z, y)
    together = ClassifierTable(**{**vars(apart), "cluster": np.array([str(k // 5) for k in range(200)], dtype=object)})
    widths = []
    for data in (apart, together):
        share = classifier_curves(data, safety_report(data, ci=QUICK), ci=QUICK)["mixups"][0]["share"]
        widths.append(share["high"] - share["low"])
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.parametrize(
    ("outputs", "labels", "said"),
    [
        ([[0.9, 0.1]] * 8, [0] * 8, "No test item is taken for another class."),
        ([[0.9, 0.1]] * 8, [1] * 8, "No curves:"),
        ([[0.9, 0.1]], [0], "Left out: no rows of split validation."),
        ([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]], [0, 2], "undefined"),
    ],
)
def test_odd_tables_are_said_in_words(outputs: Any, labels: Any, said: str) -> None:
    _, text = rendered(table(outputs, labels))
    assert said in text
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).lower().split()


def test_many_classes_are_counted_where_they_are_not_shown() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 70, 1400)
    z = rng.normal(size=(1400, 70)) + 2.5 * np.eye(70)[y]
    data = table(z, y)
    found = safety_report(data, ci=CI(n_boot=20))
    document = {"classes": list(data.classes), **found.document()}
    text = render_classifier(document, classifier_curves(data, found, ci=CI(n_boot=20)))
    assert "10 classes are left out." in text
    assert "The first 30 of 70 classes." in text
    assert "The 24 of 70 classes with most mix-ups." in text
    assert sum(line.startswith("on items predicted") for line in found.findings) == 10
    assert any("further classes: over-confident on 0" in line for line in found.findings)
