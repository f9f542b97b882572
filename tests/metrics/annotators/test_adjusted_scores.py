"""Adjusted metrics of scores: without doubt they are the plain ones, doubt pulls them to chance, and both uncertainties are counted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import evaluate
from trueline.metrics.annotators import drawn_errors, ua_evaluate

NAMES = ("auroc", "auprc", "aurc", "prr", "ece")


def world(n: int = 200, m: int = 20, doubt: float = 0.0, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(float)
    scores = np.clip(0.5 + 0.25 * (truth - 0.5) + 0.15 * rng.normal(size=n), 0.01, 0.99)
    flips = rng.random((n, m)) < doubt
    return scores, truth, np.where(flips, 1 - truth[:, None], truth[:, None])


def test_without_doubt_the_metrics_are_the_plain_ones() -> None:
    scores, truth, draws = world()
    plain = evaluate(scores, truth, NAMES, ci=None)
    for name, found in ua_evaluate(scores, draws, NAMES, n_boot=50).items():
        assert found.estimate.value == pytest.approx(plain[name].value, abs=1e-12)
        assert found.annotation_sd == pytest.approx(0, abs=1e-12)
        assert found.estimate.low <= found.estimate.value <= found.estimate.high
        assert found.estimate.high > found.estimate.low


def test_doubt_pulls_to_chance_by_its_law_and_widens() -> None:
    scores, truth, draws = world(n=800, m=100, doubt=0.2)
    plain, adjusted = evaluate(scores, truth, ["auroc"], ci=None)["auroc"].value, ua_evaluate(scores, draws, ["auroc"], n_boot=200)["auroc"]
    # of the drawn wrong cases a share is truly wrong; the AUROC mixes accordingly
    p = truth.mean()
    wrong, right = 0.8 * p / (0.8 * p + 0.2 * (1 - p)), 0.2 * p / (0.2 * p + 0.8 * (1 - p))
    expected = 0.5 + (plain - 0.5) * (wrong - right)
    assert adjusted.estimate.value == pytest.approx(expected, abs=0.01)
    assert adjusted.annotation_sd > 0.003
    assert adjusted.estimate.se > adjusted.annotation_sd


def test_cases_without_readers_are_counted_and_change_nothing() -> None:
    scores, _, draws = world(m=5)
    more = ua_evaluate(np.r_[scores, 0.5], np.vstack([draws, np.full((1, 5), math.nan)]), ["aurc"], n_boot=20)["aurc"]
    assert (more.estimate.n, more.estimate.n_missing) == (200, 1)
    assert more.estimate.value == ua_evaluate(scores, draws, ["aurc"], n_boot=20)["aurc"].estimate.value
    nobody = ua_evaluate([0.1, 0.2], np.full((2, 3), math.nan), ["aurc"])["aurc"].estimate
    assert nobody.reason == "no case has readers"


def test_one_class_only_is_undefined_with_a_reason() -> None:
    found = ua_evaluate([0.1, 0.2, 0.3], np.zeros((3, 4)), ["auroc"], n_boot=5)["auroc"].estimate
    assert math.isnan(found.value)
    assert "undefined under every draw" in str(found.reason)


def test_errors_are_drawn_from_plausibilities() -> None:
    samples = np.array([[[0.6, 0.4], [0.3, 0.7]], [[math.nan] * 2] * 2])
    np.testing.assert_array_equal(drawn_errors([0, 1], samples), [[0, 1], [math.nan, math.nan]])
    with pytest.raises(InputError, match="a class a case"):
        drawn_errors([0.0, 1.0], samples)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truths": np.zeros(4)}, r"truths must be \(4, m\)"),
        ({"truths": [[0, math.nan]] * 4}, "NaN in some draws only"),
        ({"n_boot": 1}, "n_boot is 1"),
        ({"metrics": ["aurok"]}, "aurok"),
        ({"clusters": [1]}, "clusters"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"scores": [0.1, 0.2, 0.3, 0.4], "truths": [[0, 1]] * 4, "metrics": ["aurc"]} | changes
    with pytest.raises(InputError, match=message):
        ua_evaluate(given.pop("scores"), given.pop("truths"), given.pop("metrics"), **given)
