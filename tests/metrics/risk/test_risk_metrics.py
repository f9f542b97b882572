"""Risk metrics: hand-checkable cases, edges, intervals that cover, planted unfairness found and none invented."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, precision_score, roc_auc_score

from trueline.errors import InputError
from trueline.metrics import ece
from trueline.metrics.risk import confidence_bias, evaluate_risk, fit_threshold, group_fairness, quantile_ece, score_bias


def planted(n: int = 600, seed: int = 0, sharpness: float = 1.0, shift: float = 0.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=1.4, size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return 1 / (1 + np.exp(-sharpness * z - shift)), y


def test_against_scikit_learn() -> None:
    s, y = planted()
    report = evaluate_risk(y, s, ci=None)
    p = s >= 0.5
    expected = {
        "balanced_accuracy": balanced_accuracy_score(y, p),
        "precision": precision_score(y, p),
        "roc_auc": roc_auc_score(y, s),
        "brier_score_loss": brier_score_loss(y, s),
    }
    for name, value in expected.items():
        assert report[name].value == pytest.approx(value, abs=1e-12)
    assert report["signed_error"].value == pytest.approx(s.mean() - y.mean())
    with pytest.raises(KeyError, match="no metric 'f1'"):
        report["f1"]


def test_every_interval_holds_its_value() -> None:
    s, y = planted(200)
    for kind in ("auto", "percentile"):
        report = evaluate_risk(y, s, np.arange(200) % 2, ci=kind)  # type: ignore[arg-type]
        for name, e in report.metrics.items():
            assert math.isfinite(e.low), name
            if kind == "auto":
                assert e.low <= e.value <= e.high, name


@pytest.mark.parametrize(("sharpness", "sign"), [(3.0, 1), (0.3, -1)])
def test_over_and_under_confidence(sharpness: float, sign: int) -> None:
    s, y = planted(sharpness=sharpness)
    found = confidence_bias(s, y)
    assert sign * found.value > 0.05
    assert sign * (found.low if sign > 0 else found.high) > 0
    calm, y = planted()
    even = confidence_bias(calm, y)
    assert even.low < 0 < even.high


def test_confidence_bias_by_hand() -> None:
    # bins 0.2 (share 0.5) and 0.9 (share 1): (0.5 - 0.2) / 2 over-confident, (0.9 - 1) / 2 under-confident
    assert confidence_bias([0.2, 0.2, 0.9, 0.9], [0, 1, 1, 1], ci=None).value == pytest.approx(0.15 - 0.05)
    assert confidence_bias([0.5], [1], ci=None).value == pytest.approx(-0.5)
    narrow = confidence_bias([0.41, 0.49], [1, 0], bins="data_range", ci=None)
    assert narrow.value == pytest.approx((0.59 - 0.49) / 2)
    with pytest.raises(InputError, match="unknown"):
        confidence_bias([0.5], [1], bins="other")  # type: ignore[arg-type]


def test_quantile_ece_keeps_repeated_edges() -> None:
    s, y = [0.5] * 19 + [0.9], [1] * 10 + [0] * 9 + [1]
    own = quantile_ece(s, y, ci=None).value
    assert own == pytest.approx(abs(10 / 19 - 0.5) * 19 / 20 + 0.1 / 20)
    assert quantile_ece([0.5] * 4, [0, 1, 0, 1], ci=None).value == 0
    tied, outcomes = planted(300)
    tied = tied.round(2)
    assert ece(tied, outcomes, bins="mass", n_bins=10, ci=None).value != pytest.approx(quantile_ece(tied, outcomes, ci=None).value)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_errors_bound_each_other(rows: list[tuple[float, bool]]) -> None:
    s, y = [r[0] for r in rows], [int(r[1]) for r in rows]
    bias, own = confidence_bias(s, y, ci=None).value, ece(s, y, n_bins=10, closed="left", ci=None).value
    assert abs(bias) <= own + 1e-12
    assert -1e-12 <= quantile_ece(s, y, ci=None).value <= 1


# -- thresholds ---------------------------------------------------------------------------------------------------------


def test_criteria_differ_where_classes_are_unequal() -> None:
    s, y = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 0, 1, 0, 0]
    assert fit_threshold(s, y).threshold == 0.4
    found = fit_threshold(s, y, criterion="accuracy")
    assert (found.threshold, found.note) == (1.0, "no score is worth a positive prediction: the threshold is 1")


def test_costs_move_the_threshold() -> None:
    s, y = planted()
    cuts = [fit_threshold(s, y, false_pos_cost=c).threshold for c in (0.3, 1, 3)]
    assert cuts == sorted(cuts)
    assert cuts[0] < cuts[2]


def test_equal_scores_give_that_score() -> None:
    found = fit_threshold([0.3] * 4, [0, 1, 0, 1])
    assert found.threshold == 0.3
    assert "all scores are equal" in str(found.note)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (([0.1, 0.2], [1, 1]), {}, "same label"),
        (([0.1, 1.2], [0, 1]), {}, r"in \[0, 1\]"),
        (([0.1, 0.2], [0, 2]), {}, "0 and 1"),
        (([0.1, math.nan], [0, 1]), {}, "NaN"),
        (([0.1, 0.2], [0, 1]), {"false_pos_cost": -1}, "at least 0"),
        (([0.1, 0.2], [0, 1]), {"criterion": "f1"}, "unknown"),
    ],
)
def test_bad_thresholds(arguments: Any, settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_threshold(*arguments, **settings)


# -- groups -------------------------------------------------------------------------------------------------------------


def test_planted_unfairness_is_found_and_none_is_invented() -> None:
    s, y = planted(1600, seed=1)
    g = np.arange(1600) % 4
    fair = group_fairness(y, s >= 0.5, g)
    assert fair.p_values["equalized_odds_diff"] > 0.05
    assert fair.values["equalized_odds_diff"].low == 0
    assert fair.values["equalized_odds_diff"].value == pytest.approx(fair.chance["equalized_odds_diff"], abs=0.08)
    unfair = group_fairness(y, (s >= 0.5) & (g > 0), g)
    assert unfair.values["tpr_diff"].low > 0.5
    assert unfair.values["tpr_ratio"].value == 0
    assert unfair.p_values["tpr_diff"] < 0.02


def test_small_groups_are_left_out_and_named() -> None:
    y = np.tile([0, 1], 50)
    g = np.array(["a"] * 60 + ["b"] * 37 + ["c"] * 3)
    found = group_fairness(y, y, g)
    assert found.groups == {"a": 60, "b": 37}
    assert found.left_out == {"c": 3}
    with pytest.raises(InputError, match="1 of 3 groups"):
        group_fairness(y, y, g, min_group_fraction=0.5)


def test_a_group_of_one_class_leaves_the_other_rates() -> None:
    y, p, g = [0, 1, 0, 1, 1, 1], [0, 1, 1, 0, 1, 0], ["a"] * 4 + ["b"] * 2
    found = group_fairness(y, p, g)
    assert any("group b has no row of label 0" in note for note in found.notes)
    assert found.values["fpr_diff"].value == 0
    with pytest.raises(InputError, match="row 1 is 2"):
        group_fairness([0, 2], [0, 1], [0, 1])


def test_score_bias_between_groups() -> None:
    s, y = planted(2000, seed=3)
    g = np.where(np.arange(2000) % 2, "high", "low")
    moved = np.where(g == "high", np.minimum(1, s + 0.2), s)
    found = score_bias(moved, y, g, "high", "low")
    assert found.low > 0.05
    assert score_bias(s, y, g, "high", "low", ci=None).low != 0  # no interval
    with pytest.raises(InputError, match="no row has the group 'other'"):
        score_bias(s, y, g, "other", "low")


def test_groups_in_the_report() -> None:
    s, y = planted(300)
    g: list[Any] = [["a", 1.0, None, math.nan][i % 4] for i in range(300)]
    report = evaluate_risk(y, s, g)
    assert {name: found["accuracy"].n for name, found in report.groups.items()} == {"1": 75, "a": 75, "missing": 150}
    assert any("fewer than 100 rows" in w for w in report.warnings)
    record = report.to_json()
    assert record["groups"]["a"]["roc_auc"]["value"] == pytest.approx(report.groups["a"]["roc_auc"].value)
    lone = evaluate_risk(y, s, ["x"] * 300)
    assert lone.fairness is None
    assert any("Fewer than two groups" in w for w in lone.warnings)


# -- edges --------------------------------------------------------------------------------------------------------------


def test_one_class() -> None:
    with pytest.warns(UserWarning, match="All 3 outcomes are 1"):
        report = evaluate_risk([1, 1, 1], [0.2, 0.6, 0.9])
    assert math.isnan(report["roc_auc"].value)
    assert report["roc_auc"].reason
    assert report["tpr"].value == pytest.approx(2 / 3)
    assert report["log_loss"].value == pytest.approx(-np.log([0.2, 0.6, 0.9]).mean())


def test_equal_scores_and_certain_errors_are_said() -> None:
    report = evaluate_risk([0, 1, 0, 1], [0.4] * 4)
    assert report["roc_auc"].value == 0.5
    assert any("order nothing" in w for w in report.warnings)
    certain = evaluate_risk([0, 1], [1.0, 0.9])
    assert certain["log_loss"].value == math.inf
    assert any("log loss" in w for w in certain.warnings)


def test_perfect_scores_keep_an_interval() -> None:
    report = evaluate_risk([0, 1] * 10, [0.0, 1.0] * 10)
    for name in ("accuracy", "balanced_accuracy", "tpr", "roc_auc"):
        assert report[name].value == 1
        assert report[name].low < 0.95


def test_best_threshold_says_that_it_flatters() -> None:
    s, y = planted()
    report = evaluate_risk(y, s, threshold="best")
    assert report.threshold == fit_threshold(s, y).threshold
    assert any("flatters" in w for w in report.warnings)


@pytest.mark.parametrize(
    ("y", "s", "settings", "message"),
    [
        ([0, 1], [0.1, 1.1], {}, r"probabilities in \[0, 1\]"),
        ([0, 1], [0.1, math.nan], {}, "NaN"),
        ([0, 1, 1], [0.1, 0.2], {}, "length|long|truth"),
        ([], [], {}, "empty|no rows|least one"),
        ([0, 2], [0.1, 0.2], {}, "0 or 1|0 and 1"),
        ([0, 1], [0.1, 0.2], {"group": ["a"]}, "1 groups"),
        ([0, 1], [0.1, 0.2], {"threshold": math.nan}, "NaN"),
    ],
)
def test_bad_input(y: Any, s: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_risk(y, s, **settings)
