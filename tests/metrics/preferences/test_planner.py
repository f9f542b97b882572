"""Labels, trials and cells: closed forms, what a bound promises, and what a budget reaches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.preferences import (
    context_cells,
    correlation_design_effect,
    epsilon_reached,
    failure_upper,
    frontier,
    kish,
    label_plan,
    labels_needed,
    paper_context,
    paper_order,
    trials_without_failure,
)

units = st.floats(0.005, 0.5)
counts = st.integers(1, 1000)


@settings(deadline=None)
@given(units, units, counts, counts)
def test_so_many_labels_reach_epsilon_and_one_fewer_does_not(epsilon: float, eta: float, groups: int, cells: int) -> None:
    per_cell, total = labels_needed(epsilon, eta, groups, cells)
    assert total == per_cell * groups * cells
    assert epsilon_reached(per_cell, eta, groups, cells) <= epsilon * (1 + 1e-12)
    assert per_cell == 1 or epsilon_reached(per_cell - 1, eta, groups, cells) > epsilon * (1 - 1e-12)


@settings(deadline=None)
@given(units, units, counts)
def test_more_groups_less_error_and_more_confidence_never_cost_less(epsilon: float, eta: float, groups: int) -> None:
    _, total = labels_needed(epsilon, eta, groups)
    assert labels_needed(epsilon, eta, groups + 1)[1] > total
    assert labels_needed(epsilon / 2, eta, groups)[1] >= 3 * total
    assert labels_needed(epsilon, eta / 2, groups)[1] >= total


def test_hoeffding_and_normal_labels_keep_their_promise_by_simulation() -> None:
    rng = np.random.default_rng(0)
    for bound, allowed in (("hoeffding", 0.05), ("normal", 0.065)):
        per_cell, _ = labels_needed(0.1, 0.05, 4, bound=bound)  # type: ignore[arg-type]
        rates = rng.binomial(per_cell, 0.5, size=(4000, 4)) / per_cell
        assert (np.abs(rates - 0.5) > 0.1).any(axis=1).mean() <= allowed


def test_bernstein_is_the_least_count_and_wins_for_small_rates() -> None:
    def width(m: int, p: float) -> float:
        log = math.log(4 / 0.05)
        return math.sqrt(2 * p * (1 - p) * log / m) + 7 * log / (3 * (m - 1))

    m, _ = labels_needed(0.01, 0.05, bound="bernstein", variance=0.02)
    assert width(m, 0.02) <= 0.01 < width(m - 1, 0.02)
    assert m < labels_needed(0.01, 0.05)[0]
    assert labels_needed(0.01, 0.05, bound="normal", variance=0.02)[0] < m


def test_huge_unions_stay_finite() -> None:
    per_cell, total = labels_needed(0.05, 0.05, 10, context_cells(4000))
    assert math.log10(total) > 1200
    assert 0 < per_cell < 10**7
    assert labels_needed(0.05, 0.05, 10, context_cells(4000), bound="normal")[0] <= per_cell


def test_trials_and_upper_bound_are_two_sides_of_one_thing() -> None:
    for delta, eta in ((0.001, 0.05), (0.1, 0.01), (0.3, 0.6)):
        n = trials_without_failure(delta, eta)
        assert failure_upper(0, n, eta) <= delta < failure_upper(0, n - 1, eta) if n > 1 else True
    assert trials_without_failure(0.001, 0.05, 5) == trials_without_failure(0.001, 0.01)
    assert failure_upper(7, 7) == 1.0
    assert failure_upper(1, 10, 0.5) == pytest.approx(failure_upper(1, 10, 0.5 - 1e-12), abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30))
def test_cells_of_bounded_order(d: int, k: int) -> None:
    cells = context_cells(d, k)
    assert cells == round(sum(math.comb(d, j) * 2.0**j for j in range(min(d, k) + 1)))
    assert context_cells(d, d) == 3**d
    assert context_cells(d) == 2**d


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20), st.floats(1e-200, 1e200))
def test_kish_does_not_know_the_scale(weights: list[float], scale: float) -> None:
    n_eff, design_effect = kish(weights)
    assert 1 - 1e-9 <= n_eff <= len(weights) + 1e-9
    assert n_eff * design_effect == pytest.approx(len(weights))
    assert kish([w * scale for w in weights])[0] == pytest.approx(n_eff)


def test_the_order_of_growth_of_the_paper() -> None:
    there = paper_order(50, 0.01, 0.001, 1e6)
    assert there == pytest.approx(16.0515, abs=5e-5)
    assert paper_order(60, 0.01, 0.001, 1e6) - paper_order(30, 0.01, 0.001, 1e6) == pytest.approx(9.0309, abs=5e-5)
    assert paper_order(50, 0.01, 0.001, 1e7) < there, "a larger population looks cheaper"
    assert paper_context(there, 0.01, 0.001, 1e6) == pytest.approx(50)


def test_a_plan_counts_correlation_families_and_prices() -> None:
    plain = label_plan(0.05, 0.01, groups=10, cells=50)
    assert plain.labels["hoeffding"]["total"] == 990_500
    assert plain.labels["hoeffding"]["cost"] is None
    dear = label_plan(0.05, 0.01, groups=10, cells=50, icc=0.1, items_per_annotator=11, label_cost=0.5, families=4)
    assert dear.design_effect == correlation_design_effect(0.1, 11) == 2.0
    assert dear.labels["hoeffding"]["total"] == 2 * 990_500
    assert dear.labels["hoeffding"]["cost"] == pytest.approx(990_500)
    assert dear.trials > plain.trials == 299
    assert all(row["saves"] > 1 for row in dear.relaxations)
    saved = {row["relaxation"]: row["saves"] for row in dear.relaxations}
    assert 3.9 < saved["twice the epsilon"] < 4.1
    assert saved["one family of perturbations"] > 4


def test_context_features_instead_of_cells() -> None:
    plan = label_plan(0.1, 0.01, d_context=20, max_interaction=3)
    assert plan.cells == 9921
    full = label_plan(0.1, 0.01, d_context=2000)
    assert full.labels["hoeffding"]["log10_total"] > 600
    assert full.labels["hoeffding"]["cost"] is None
    priced = label_plan(0.1, 0.01, d_context=2000, label_cost=2.0).labels["hoeffding"]
    assert priced["cost"] is None
    assert priced["log10_cost"] == pytest.approx(priced["log10_total"] + math.log10(2))


def test_the_frontier_is_just_affordable() -> None:
    reach = frontier(1e5, 0.05, groups=3, cells=5, label_cost=2.0, design_effect=1.5)

    def total(epsilon: float, groups: int, cells: int) -> int:
        return math.ceil(labels_needed(epsilon, 0.05, groups, cells)[0] * 1.5) * groups * cells

    assert reach["labels"] == 5e4
    assert total(reach["epsilon"] * 1.001, 3, 5) <= 5e4 + 15 < total(reach["epsilon"] * 0.99, 3, 5)
    g, d = int(reach["groups"]), int(reach["d_context"])
    assert total(0.05, g, 5) <= 5e4 < total(0.05, g + 1, 5)
    assert total(0.05, 3, 2**d) <= 5e4 < total(0.05, 3, 2 ** (d + 1))
    poor = frontier(1, 0.05)
    assert (poor["groups"], poor["d_context"]) == (0, -1)
    assert poor["epsilon"] > 1


@pytest.mark.parametrize(
    ("function", "arguments", "match"),
    [
        (labels_needed, {"epsilon": 0.0}, "epsilon"),
        (labels_needed, {"epsilon": math.nan}, "epsilon"),
        (labels_needed, {"epsilon": 0.1, "eta": 1.0}, "eta"),
        (labels_needed, {"epsilon": 0.1, "groups": 0}, "groups"),
        (labels_needed, {"epsilon": 0.1, "cells": 1.5}, "cells"),
        (labels_needed, {"epsilon": 0.1, "variance": 2.0}, "variance"),
        (labels_needed, {"epsilon": 0.1, "bound": "magic"}, "magic"),
        (trials_without_failure, {"delta": 1.0}, "delta"),
        (failure_upper, {"failures": 3, "trials": 2}, "3"),
        (failure_upper, {"failures": 3, "trials": 2, "eta": 0.7}, "3"),
        (failure_upper, {"failures": -1, "trials": 2}, "failures"),
        (context_cells, {"d_context": -1}, "d_context"),
        (context_cells, {"d_context": 10**9}, "4096"),
        (kish, {"weights": []}, "weights"),
        (kish, {"weights": [0.0, 0.0]}, "weights"),
        (kish, {"weights": [1.0, math.nan]}, "weights"),
        (paper_order, {"d_context": 10, "epsilon": 0.1, "delta": 0.1, "n": 0}, "n 0"),
        (correlation_design_effect, {"icc": -0.1, "items_per_annotator": 2}, "icc"),
        (label_plan, {"epsilon": 0.1, "delta": 0.1, "cells": 2, "d_context": 2}, "not both"),
        (label_plan, {"epsilon": 0.1, "delta": 0.1, "label_cost": 0.0}, "label_cost"),
        (frontier, {"budget": 0.0, "epsilon": 0.1}, "budget"),
        (epsilon_reached, {"labels_per_cell": math.nan}, "labels_per_cell"),
    ],
)
def test_refusals(function, arguments, match) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=match):
        function(**arguments)
