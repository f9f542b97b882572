"""Errors of a run: planted bias and planted scatter, groups, lengths, ensembles, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repeated_answers import planted, row

import trueline as tl
from trueline.audits.incoherence import audit_errors, one_hot
from trueline.errors import InputError
from trueline.metrics.error_decomposition import bias_variance
from trueline.metrics.incoherence import incoherence

N = 8


def contrast(folder: Path, n: int = 40, **more: Any) -> tl.Run:
    """Items that are wrong in one and the same way nearly always, and items that are wrong in many ways."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        stuck = ["right" if rng.random() < 0.05 else "stuck" for _ in range(N)]
        loose = [str(rng.choice(["right", "u", "v", "w"])) for _ in range(N)]
        rows.append(row(f"s{i}", stuck, greedy="stuck", kind="stuck", steps=1, **more))
        rows.append(row(f"l{i}", loose, greedy="u", kind="loose", steps=3, **more))
    return planted(folder, rows)


def test_bias_and_scatter_are_told_apart(tmp_path: Path) -> None:
    document = audit_errors(contrast(tmp_path), by="kind", losses=("kl",))
    groups = {g["group"]: g for g in document["groups"]}
    stuck, loose = groups["stuck"]["brier"], groups["loose"]["brier"]
    assert stuck["incoherence"]["high"] < 0.2
    assert stuck["error"]["low"] > 1.6
    assert loose["incoherence"]["low"] > 0.4
    assert loose["incoherence"]["low"] - stuck["incoherence"]["high"] > 0.2
    assert groups["stuck"]["wrong_agreement"]["value"] == 1
    assert groups["loose"]["wrong_agreement"]["value"] == pytest.approx(1 / 3, abs=0.06)
    assert document["trend"] is None  # words have no order
    json.dumps(document, allow_nan=False)


def test_the_figures_are_those_of_the_metric(tmp_path: Path) -> None:
    run = planted(tmp_path, [row("a", ["right", "x", "y", "x"]), row("b", ["right", "right", "x", "right"])])
    document = audit_errors(run, losses=("brier", "kl"), n_boot=50)
    probs = [one_hot([-1, 1, 2, 1]), one_hot([-1, -1, 1, -1])]
    for loss in ("brier", "kl"):
        (expected,) = incoherence(probs, [0, 0], loss)  # type: ignore[arg-type]
        assert document["overall"][loss]["incoherence"]["value"] == pytest.approx(expected.incoherence.value)
    terms = bias_variance(probs[0], 0, "brier", unbiased=True)
    assert terms.error == pytest.approx(1.5)  # three of four wrong, 2 each
    assert document["changing"]["value"] == 1


def test_groups_by_a_column_of_numbers_have_a_trend(tmp_path: Path) -> None:
    document = audit_errors(contrast(tmp_path), by="steps")
    assert [g["group"] for g in document["groups"]] == ["1", "3"]
    assert document["trend"]["difference"]["low"] > 0.3
    assert document["trend"]["agreement"]["high"] < -0.5


def test_longer_samples_of_the_same_items(tmp_path: Path) -> None:
    """Short answers are all the same wrong one, long ones are scattered."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(60):
        short = ["so right" if rng.random() < 0.05 else "so stuck" for _ in range(6)]
        long = [f"well let me think it over {rng.choice(['right', 'u', 'v', 'w'])}" for _ in range(6)]
        rows.append({"id": f"q{i}", "question": "?", "reference": "right", "samples": short + long, "temperature": 1.0})
    run = planted(tmp_path, rows, grader="contains")
    document = audit_errors(run, by="words", n_groups=3)
    split = document["split"]
    assert split["n_items"] == 60
    assert split["shorter"]["incoherence"]["high"] < split["longer"]["incoherence"]["low"]
    assert split["difference"]["low"] > 0.1
    assert split["unit"] == document["length_unit"] == "words"
    assert [g["brier"]["n_items"] for g in document["groups"]] == [20, 20, 20]
    marked = [{**r, "samples": [f"<think>{s}</think> {s.split()[-1]}" for s in r["samples"]]} for r in rows]
    by_thought = audit_errors(planted(tmp_path / "marked", marked, grader="contains"), by="reasoning")
    assert by_thought["length_unit"] == "words of the reasoning"
    assert by_thought["split"]["difference"]["low"] > 0.1


def test_ensembles_cut_variance(tmp_path: Path) -> None:
    document = audit_errors(contrast(tmp_path), ensemble_sizes=(1, 2, 4))
    variance = [r["variance"]["value"] * r["size"] for r in document["ensembles"]]
    assert variance == pytest.approx([variance[0]] * 3, rel=0.25)
    with pytest.raises(InputError, match="some item has 8"):
        audit_errors(tmp_path / "run", ensemble_sizes=(16,))


def test_order_of_items_and_seed(tmp_path: Path) -> None:
    rows = [row(f"q{i}", ["right", "x", "y" if i % 2 else "x", "right"]) for i in range(12)]
    one = audit_errors(planted(tmp_path / "one", rows), n_groups=1)
    other = audit_errors(planted(tmp_path / "other", rows[::-1]), n_groups=1)
    assert one["overall"] == other["overall"]
    assert one["overall"] != audit_errors(tmp_path / "one" / "run", n_groups=1, seed=1)["overall"]


def test_never_wrong_is_undefined_with_its_reason(tmp_path: Path) -> None:
    document = audit_errors(planted(tmp_path, [row(f"q{i}", ["right"] * 3) for i in range(4)]))
    found = document["overall"]["brier"]["incoherence"]
    assert found["value"] is None
    assert "zero total error" in found["reason"]
    assert document["overall"]["wrong_agreement"]["reason"] == "no item has two wrong samples"
    assert any("Only 4 items" in w for w in document["warnings"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "stepz"}, "did you mean steps"),
        ({"by": "reasoning"}, "<think>"),
        ({"losses": ("zero_one",)}, "zero-one"),
        ({"n_groups": 0}, "n_groups"),
        ({"split": "letters"}, "unknown"),
        ({"ensemble_sizes": (0,)}, "at least 1"),
        ({"level": 2}, "level"),
        ({"grader": "nonsense"}, "unknown grader"),
    ],
)
def test_bad_input(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    run = contrast(tmp_path, 3)
    with pytest.raises(InputError, match=words):
        audit_errors(run, **options)
