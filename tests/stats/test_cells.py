"""Cells: what they merge, what they keep, when they are used, and that intervals on them are those of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.metrics import METRICS, evaluate
from trueline.metrics.ece import Bins, ece_metric
from trueline.stats import CI, sorted_sample
from trueline.stats import replicates as module
from trueline.stats.cells import grid_cells, rank_cells
from trueline.stats.draws import draw
from trueline.stats.replicates import replicates

RANKED = ["auroc", "auprc", "aurc", "e_aurc", "augrc", "prr", "prr_unconditional"]
OF_PROBABILITY = ["ece", "mce", "signed_ece", "debiased_squared_ece", "brier", "brier_skill"]


def world(n: int = 6000, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    p = rng.beta(3, 2, n)
    return p, (rng.random(n) < p**1.3).astype(float)


@pytest.mark.parametrize("name", [*RANKED, *OF_PROBABILITY, "spearman"])
@pytest.mark.parametrize("bayesian", [False, True])
def test_value_on_cells_follows_the_value_on_rows(name: str, bayesian: bool) -> None:
    p, y = world()
    if name == "spearman":
        y = p + np.random.default_rng(1).normal(size=len(p))
    sample, metric = sorted_sample(p, y), METRICS[name]
    assert metric.cells is not None
    cells = metric.cells(sample)
    assert cells is not None
    assert cells.sample.n_rows < 0.15 * sample.n_rows
    weights = draw(sample, bayesian, np.random.default_rng(0), 60, sample.n)
    rows, few = metric.value(sample, weights), metric.value(cells.sample, cells.weights(weights))
    assert np.std(few - rows) < 0.08 * np.std(rows)


def test_cells_keep_ties_whole_order_and_totals() -> None:
    rng = np.random.default_rng(0)
    s = np.concatenate([np.round(rng.normal(size=3000), 2), rng.normal(size=3000), [np.inf] * 5, [-np.inf] * 5])
    y = (rng.random(len(s)) < 0.3).astype(float)
    sample = sorted_sample(s, y)
    cells = rank_cells(sample)
    assert cells is not None
    for part in (sample.multiplicity, sample.multiplicity * sample.truth):
        assert np.bincount(cells.code, part).sum() == part.sum()
    assert np.array_equal(np.bincount(cells.code, sample.multiplicity), cells.sample.multiplicity)
    assert np.all(cells.sample.scores[1:] >= cells.sample.scores[:-1])
    assert cells.sample.scores[0] == -np.inf
    assert cells.sample.scores[-1] == np.inf
    for start, end in zip(sample.starts, [*sample.starts[1:], sample.n_rows], strict=True):
        assert len(np.unique(cells.sample.scores[cells.code[start:end]])) == 1
    assert np.array_equal(cells.sample.truth[cells.code], sample.truth)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e308])
def test_cells_stand_scores_of_any_size(scale: float) -> None:
    rng = np.random.default_rng(0)
    s = rng.uniform(-1, 1, 5000) * scale
    cells = rank_cells(sorted_sample(s, (rng.random(5000) < 0.5).astype(float)))
    assert cells is not None
    assert np.all(np.isfinite(cells.sample.scores))
    assert np.all(np.diff(np.unique(cells.sample.scores)) > 0)


@pytest.mark.parametrize("bins", [Bins(), Bins(10, "mass"), Bins(12, closed="left")], ids=str)
def test_cells_keep_to_the_bins(bins: Bins) -> None:
    p, y = world()
    sample = sorted_sample(p, y)
    cells = bins.cells(sample)
    assert cells is not None
    metric = ece_metric(bins)
    value = metric.value(sample, sample.weights[None])
    assert metric.value(cells.sample, cells.sample.weights[None]) == pytest.approx(value, abs=1e-12)
    assert replicates(sample, [metric], CI("basic", n_boot=50))["ece"].cells is cells


def test_real_losses_and_short_samples_keep_to_the_rows() -> None:
    p, y = world()
    real = sorted_sample(p, y + 0.1 * p)
    assert rank_cells(real) is None
    assert replicates(real, [METRICS["aurc"]], CI("bca", n_boot=20))["aurc"].cells is None
    short = sorted_sample(p[:4000], y[:4000])
    assert replicates(short, [METRICS["aurc"]], CI("bca", n_boot=20))["aurc"].cells is None


def test_a_metric_that_lives_inside_a_block_keeps_to_the_rows() -> None:
    """Classes that touch in a narrow band: the order lost in one block is all there is."""
    rng = np.random.default_rng(0)
    n = 8000
    s = np.sort(rng.normal(size=n))
    y = (np.arange(n) > n // 2).astype(float)
    band = slice(n // 2 - 20, n // 2 + 20)
    y[band] = rng.permutation(y[band])
    found = replicates(sorted_sample(s, y), [METRICS["auroc"], METRICS["augrc"]], CI("bca", n_boot=200))
    assert found["auroc"].cells is None
    assert found["augrc"].cells is not None
    separated = replicates(sorted_sample(s, np.sort(y)), [METRICS["auroc"]], CI("bca", n_boot=200))["auroc"]
    assert separated.cells is None
    assert np.ptp(separated.values) == 0


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("names", [RANKED, OF_PROBABILITY], ids=["ranked", "probability"])
def test_intervals_on_cells_are_those_of_rows(monkeypatch: pytest.MonkeyPatch, grouped: bool, names: list[str]) -> None:
    p, y = world(5000)
    clusters = np.arange(5000) // 4 if grouped else None
    ci = CI("bca", n_boot=1500, level=0.9)
    quick = evaluate(p, y, names, clusters=clusters, ci=ci)
    monkeypatch.setattr(module, "_CELLS_FROM", 10**9)
    whole = evaluate(p, y, names, clusters=clusters, ci=ci)
    for name in names:
        a, b = quick[name], whole[name]
        assert a.value == b.value
        assert a.method == b.method
        assert a.se == pytest.approx(b.se, rel=0.12)
        if name != "mce":  # its replicates lie far above the value: BCa, not its default, then stands on few of them
            assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=0.4 * b.se)


def test_weighted_rows_are_drawn_as_rows_and_summed() -> None:
    p, y = world()
    w = np.random.default_rng(0).integers(1, 4, len(p)).astype(float)
    sample = sorted_sample(p, y, weights=w)
    found = replicates(sample, [METRICS["aurc"]], CI("bca", n_boot=300))["aurc"]
    assert found.cells is not None
    metric = METRICS["aurc"]
    rows = metric.value(sample, draw(sample, False, np.random.default_rng(1), 300, sample.n))
    assert found.values.std() == pytest.approx(rows.std(), rel=0.2)


def test_a_long_metric_has_the_same_interval_alone_and_in_company() -> None:
    p, y = world()
    names = ["aurc", "brier", "ece", "nll", "auroc"]
    together = evaluate(p, y, names, ci=CI("bca", n_boot=100))
    for name in names:
        assert repr(evaluate(p, y, [name], ci=CI("bca", n_boot=100))[name]) == repr(together[name])


def test_grid_of_few_levels_and_of_heavy_ties() -> None:
    rng = np.random.default_rng(0)
    cells = grid_cells(sorted_sample(rng.normal(size=5000), rng.integers(0, 2, 5000).astype(float)))
    assert cells.sample.n_rows == 40
    one = grid_cells(sorted_sample(rng.normal(size=5000), np.r_[np.zeros(4990), np.arange(1.0, 11)]))
    assert one.sample.multiplicity.sum() == 5000


def test_strata_and_studentised_intervals_draw_whole_rows() -> None:
    p, y = world(5000)
    strata = np.arange(5000) % 5
    e = evaluate(p, y, ["aurc"], strata=strata, ci=CI("bca", n_boot=300))["aurc"]
    plain = evaluate(p, y, ["aurc"], ci=CI("bca", n_boot=300))["aurc"]
    assert "stratified" in e.method
    assert e.se == pytest.approx(plain.se, rel=0.2)
    t = evaluate(p, y, ["brier"], ci=CI("studentised", n_boot=300))["brier"]
    assert t.low < t.value < t.high
    assert t.se == pytest.approx(evaluate(p, y, ["brier"], ci=CI("bca", n_boot=300))["brier"].se, rel=0.2)
