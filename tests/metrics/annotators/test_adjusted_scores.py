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


SKILL, DATA_SETS, COVERED = np.array([0.9, 0.75, 0.65]), 200, ("auroc", "aurc", "prr")


def annotated(rng: np.random.Generator, n: int, knows: str) -> tuple[Any, Any, Any, Any]:
    """Scores, true errors, errors by majority, and P(error | votes) of three planted annotators of known skill.

    knows: the scores hang on the truth itself ("truth"), or on nothing that the votes do not tell ("votes").
    """
    truth = rng.random(n) < 0.4
    votes = np.where(rng.random((n, 3)) < SKILL, truth[:, None], ~truth[:, None])
    logit = math.log(0.4 / 0.6) + (2 * votes - 1) @ np.log(SKILL / (1 - SKILL))
    signal = 2.0 * truth - 1 if knows == "truth" else 0.7 * logit
    scores = 1 / (1 + np.exp(-(signal + rng.normal(size=n))))
    return scores, truth.astype(float), (votes.sum(axis=1) > 1.5).astype(float), 1 / (1 + np.exp(-logit))


@pytest.mark.slow
@pytest.mark.parametrize("knows", ["truth", "votes"])
def test_intervals_cover_what_the_annotations_support_and_the_truth_only_where_the_votes_tell_all(knows: str) -> None:
    """200 data sets of 150 cases, 20 draws each, level 0.95; the target is the metric on 200,000 cases. Run with -s for the figures."""
    rng = np.random.default_rng(0)
    s, truth, _, q = annotated(rng, 200_000, knows)
    true = {name: e.value for name, e in evaluate(s, truth, COVERED, ci=None).items()}
    drawn = [evaluate(s, (rng.random(len(q)) < q).astype(float), COVERED, ci=None) for _ in range(5)]
    supported = {name: np.mean([d[name].value for d in drawn]) for name in COVERED}
    hits: dict[str, list[list[float]]] = {name: [] for name in COVERED}
    for i in range(DATA_SETS):
        s, truth, voted, q = annotated(rng, 150, knows)
        found = ua_evaluate(s, (rng.random((150, 20)) < q[:, None]).astype(float), COVERED, n_boot=200, seed=i)
        plain = evaluate(s, voted, COVERED)
        for name in COVERED:
            e, v = found[name].estimate, plain[name]
            inside = [e.low <= supported[name] <= e.high, e.low <= true[name] <= e.high, v.low <= true[name] <= v.high]
            hits[name].append([*inside, e.value, e.high - e.low, v.high - v.low])
    for name in COVERED:
        own, of_truth, by_vote, value, width, plain_width = np.mean(hits[name], axis=0)
        print(f"\n{knows} {name}: true {true[name]:.3f}, supported {supported[name]:.3f}, mean {value:.3f};", end=" ")
        print(
            f"covers supported {own:.3f}, true {of_truth:.3f}; voted covers true {by_vote:.3f}; widths {width:.3f} {plain_width:.3f}",
            end="",
        )
        assert own >= 0.92
        assert abs(value - supported[name]) <= 0.015
        if knows == "votes":
            assert abs(true[name] - supported[name]) <= 0.01
            assert of_truth >= 0.92
        else:
            assert of_truth < 0.9
