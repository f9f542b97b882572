"""Comparison of runs: planted differences are found, equal models are not told apart, and what cannot be compared is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import places, planted_run

import trueline as tl
from trueline.comparing import label
from trueline.errors import InputError
from trueline.stats.delong import delong_test_own_truths
from trueline.stats.mcnemar import mcnemar
from trueline.stats.multiplicity import benjamini_hochberg, holm
from trueline.validation import read_truth

FAST: dict[str, Any] = {"n_boot": 200, "n_permutations": 300}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def good(folder: Path) -> tl.Run:
    return planted_run(folder / "good", places(), 0.9, 5.0, seed=1)


@pytest.fixture(scope="module")
def poor(folder: Path) -> tl.Run:
    return planted_run(folder / "poor", places(), 0.55, 0.4, seed=2)


@pytest.fixture(scope="module")
def alike(folder: Path) -> tl.Run:
    """As good as ``poor``, with other luck."""
    return planted_run(folder / "alike", places(), 0.55, 0.4, seed=3)


def entry(document: dict[str, Any], metric: str, pair: str = "AB") -> dict[str, Any]:
    (found,) = [d for d in document["differences"] if d["metric"] == metric and d["first"] + d["second"] == pair]
    return found


def arrays(run: tl.Run, name: str = "sequence_nll") -> tuple[Any, Any]:
    """Scores and correctness in the order of the items."""
    return run.scores[name].to_numpy(), read_truth(run).correct


def test_the_better_model_is_found(good: tl.Run, poor: tl.Run) -> None:
    document = tl.compare_runs([good, poor.path], **FAST)
    assert document["n_common"] == 200
    assert [r["label"] for r in document["runs"]] == ["A", "B"]
    assert document["estimators"] == ["sequence_nll"]
    for metric in ("accuracy", "auroc", "aurc", "brier"):
        found = entry(document, metric)
        assert found["better"] == "A", metric
        assert found["conclusion"].startswith("A is better than B by ")
        assert found["n_needed"] is None
    assert entry(document, "aurc")["value"] < 0 < entry(document, "auroc")["value"]
    back = tl.compare_runs([poor, good], ["accuracy", "aurc"], **FAST)
    assert {entry(back, m)["better"] for m in ("accuracy", "aurc")} == {"B"}
    assert entry(back, "accuracy")["value"] == -entry(document, "accuracy")["value"]
    json.dumps(document, allow_nan=False)


def test_numbers_are_those_of_the_tests_on_each_runs_own_answers(good: tl.Run, poor: tl.Run) -> None:
    document = tl.compare_runs([good, poor], ["accuracy", "auroc"], "mean_nll", correction="none", **FAST)
    (a, right_a), (b, right_b) = arrays(good, "mean_nll"), arrays(poor, "mean_nll")
    assert entry(document, "accuracy")["p"] == mcnemar(right_a, right_b).midp
    assert "mcnemar mid-p" in entry(document, "accuracy")["method"]
    auroc = entry(document, "auroc")
    assert auroc["p"] == delong_test_own_truths(a, 1 - right_a, b, 1 - right_b).p
    for run, key in ((good, "first_value"), (poor, "second_value")):
        assert auroc[key] == pytest.approx((run.metrics or {})["estimators"]["mean_nll"]["metrics"]["auroc"]["value"])
    assert auroc["low"] < auroc["value"] < auroc["high"]


def test_equal_models_are_not_told_apart(poor: tl.Run, alike: tl.Run) -> None:
    document = tl.compare_runs([poor, alike], **FAST)
    for found in document["differences"]:
        assert found["better"] is None
        assert found["conclusion"].startswith("cannot tell these apart with this data; you would need about n = ")
        assert found["n_needed"] == max(201, math.ceil(200 * (found["detectable"] / found["value"]) ** 2))
    accuracy = entry(document, "accuracy")
    assert f"{accuracy['n_needed']:,}" in accuracy["conclusion"]
    assert accuracy["detectable"] > 2.8 * accuracy["se"], "five tests leave each a stricter level than one"


def test_multiplicity_is_controlled_over_the_whole_call(good: tl.Run, poor: tl.Run, alike: tl.Run) -> None:
    documents = {
        how: tl.compare_runs([good, poor, alike], ["accuracy", "auroc"], correction=how, n_boot=50) for how in ("none", "holm", "bh")
    }
    raw = [d["p"] for d in documents["none"]["differences"]]
    assert len(raw) == documents["holm"]["n_tests"] == 6
    for how, expected in (("none", raw), ("holm", holm(raw)), ("bh", benjamini_hochberg(raw))):
        assert [d["p_adjusted"] for d in documents[how]["differences"]] == pytest.approx(list(expected))
    assert {(d["first"], d["second"]) for d in documents["bh"]["differences"]} == {("A", "B"), ("A", "C"), ("B", "C")}


def test_only_common_items_count(folder: Path, good: tl.Run) -> None:
    other = planted_run(folder / "shifted", places(150, 230), 0.6)
    document = tl.compare_runs([good, other], ["accuracy"])
    assert document["n_common"] == entry(document, "accuracy")["n"] == 50
    assert any("Only the 50 common items are compared: A has 200, B has 80" in w for w in document["warnings"])
    correct = dict(zip(read_truth(good).item_ids, read_truth(good).correct, strict=True))
    assert entry(document, "accuracy")["first_value"] == pytest.approx(np.mean([correct[f"q{k}"] for k in range(150, 200)]))


def test_no_common_items_is_refused(folder: Path, good: tl.Run) -> None:
    elsewhere = planted_run(folder / "elsewhere", places(300, 310, name="towns"), 0.6)
    with pytest.raises(InputError, match=r"no item in common.*A: places, B: towns"):
        tl.compare_runs([good, elsewhere])
    reworded = planted_run(folder / "reworded", places(0, 10, question="Who owns place {k}?"), 0.6)
    with pytest.raises(InputError, match="10 ids occur in all of them, but with other questions"):
        tl.compare_runs([good, reworded])


def test_one_class_is_undefined_with_its_reason_and_outside_the_family(folder: Path, good: tl.Run) -> None:
    perfect = planted_run(folder / "perfect", places(), 1.1)
    document = tl.compare_runs([good, perfect], ["accuracy", "auroc"])
    auroc, accuracy = entry(document, "auroc"), entry(document, "accuracy")
    assert auroc["value"] is auroc["p"] is auroc["p_adjusted"] is auroc["n_needed"] is auroc["better"] is None
    assert auroc["conclusion"].startswith("undefined: ")
    assert "class" in auroc["reason"]
    assert document["n_tests"] == 1
    assert accuracy["better"] == "B"
    assert accuracy["p_adjusted"] == accuracy["p"]


def test_the_same_answers_do_not_differ(folder: Path, poor: tl.Run) -> None:
    twin = planted_run(folder / "twin", places(), 0.55, 0.4, seed=2)
    for found in tl.compare_runs([poor, twin], **FAST)["differences"]:
        assert (found["value"], found["p_adjusted"], found["better"], found["n_needed"]) == (pytest.approx(0, abs=1e-12), 1.0, None, None)
        assert found["conclusion"] == "cannot tell these apart with this data; no resample of the items shows a difference"


def test_a_handful_of_items_is_not_enough_to_plan_from(folder: Path) -> None:
    right, wrong = (planted_run(folder / f"tiny{share}", places(0, 4), share) for share in (1.1, 0.0))
    document = tl.compare_runs([right, wrong], **FAST)
    accuracy = entry(document, "accuracy")
    assert (accuracy["value"], accuracy["p"], accuracy["better"]) == (1.0, 0.0625, None)
    assert accuracy["conclusion"].endswith("too few items to say how many would be needed")
    assert any("Only 4 common items" in w for w in document["warnings"])


def test_clusters_and_failed_items(folder: Path) -> None:
    task = places(0, 60, clusters=True)
    first = planted_run(folder / "c1", task, 0.8, seed=4)
    broken = places(0, 60, clusters=True)
    broken.items[7] = replace(broken.items[7], question="Where is place 7? BROKEN")
    third, fourth = (planted_run(folder / f"b{k}", broken, 0.6, seed=k) for k in range(2))
    document = tl.compare_runs([third, fourth], **FAST)
    assert document["n_clusters"] == 30
    for found in document["differences"]:
        assert (found["n"], found["n_missing"]) == (59, 1)
        assert found["method"].startswith("permutation of clusters, 300 draws")
        assert "cluster replicates" in found["method"]
    mixed = tl.compare_runs([first, third], ["accuracy"], n_permutations=100)
    assert mixed["n_common"] == 59
    assert any("1 items have the same id but another question" in w for w in mixed["warnings"])


def test_same_seed_same_numbers(good: tl.Run, poor: tl.Run) -> None:
    again = [tl.compare_runs([good, poor], ["aurc", "ece"], seed=5, **FAST) for _ in range(2)]
    assert again[0] == again[1]


def test_another_grader_is_said(folder: Path, poor: tl.Run) -> None:
    other = planted_run(folder / "graded", places(), 0.6, grader="contains")
    (note,) = [w for w in tl.compare_runs([poor, other], ["accuracy"])["warnings"] if "grader" in w]
    assert "B: contains" in note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["aurok"]}, "cannot compare 'aurok'; did you mean auroc"),
        ({"metrics": []}, "no metric was asked for"),
        ({"estimators": ["mean_nl"]}, "no scores of 'mean_nl'; did you mean mean_nll"),
        ({"estimators": []}, "no estimator was asked for"),
        ({"correction": "tukey"}, "'tukey' is unknown; expected one of holm, bh, none"),
        ({"level": 1.0}, "level must lie between 0 and 1"),
        ({"n_boot": 0}, "n_boot must be at least 1"),
        ({"n_permutations": 0}, "n_permutations must be at least 1"),
    ],
)
def test_bad_settings_are_refused(good: tl.Run, poor: tl.Run, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tl.compare_runs([good, poor], **change)


def test_bad_runs_are_refused(good: tl.Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two runs; got 1"):
        tl.compare_runs([good])
    with pytest.raises(InputError, match="given twice"):
        tl.compare_runs([good, good.path])
    with pytest.raises(InputError, match="no run directory"):
        tl.compare_runs([good, tmp_path / "none"])


def test_labels_do_not_run_out() -> None:
    assert [label(k) for k in (0, 25, 26)] == ["A", "Z", "R27"]
