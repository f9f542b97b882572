"""The engine: seeds, chunks, sharing, clusters, degenerate replicates, jackknives, long samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import METRICS, accuracy, auroc, evaluate
from trueline.metrics.accuracy import ACCURACY
from trueline.metrics.ece import ECE, Bins, ece_metric
from trueline.metrics.multiclass import multiclass_brier
from trueline.metrics.proper import BRIER, NLL
from trueline.metrics.ranking import AUROC
from trueline.stats import CI, draws, engine, estimates, sorted_sample
from trueline.stats.engine import replicate
from trueline.stats.intervals import acceleration
from trueline.stats.jackknife import leave_out


def world(n: int = 200, seed: int = 0, digits: int = 6) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 1, n).round(digits)
    return p, (rng.random(n) < p).astype(float)


def test_same_seed_same_numbers_and_another_seed_others() -> None:
    p, y = world()
    one, two, other = (auroc(p, y, ci=CI("bca", n_boot=300, seed=s)) for s in (1, 1, 2))
    assert (one.low, one.high, one.se) == (two.low, two.high, two.se)
    assert one.low != other.low


@pytest.mark.parametrize("kind", ["bca", "bayesian"])
@pytest.mark.parametrize("digits", [6, 1])
@pytest.mark.parametrize("clusters", [None, np.arange(200) // 4])
def test_replicates_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch, kind: Any, digits: int, clusters: Any) -> None:
    p, y = world(digits=digits)
    sample = sorted_sample(p, y, clusters=clusters)
    ci = CI(kind, n_boot=97)
    whole = replicate(sample, [AUROC, ECE], ci)
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 3 * sample.n_rows)
    parts = replicate(sample, [AUROC, ECE], ci)
    for name, values in whole.items():
        assert values == pytest.approx(parts[name], abs=1e-13)


def test_a_metric_has_the_same_interval_alone_and_in_company() -> None:
    p, y = world(60)
    names = ["auroc", "aurc", "brier", "spearman"]
    together = evaluate(p, y, names, ci=CI("bca", n_boot=200))
    for name in names:
        alone = evaluate(p, y, [name], ci=CI("bca", n_boot=200))[name]
        assert repr(alone) == repr(together[name])


def test_merged_rows_have_the_same_distribution_as_single_rows() -> None:
    p, y = world(400, digits=1)
    merged, single = sorted_sample(p, y), sorted_sample(p, y, merge=False)
    assert merged.n_rows < 50 < single.n_rows
    ci = CI("bca", n_boot=4000)
    for metric in (AUROC, ECE, BRIER):
        a, b = replicate(merged, [metric], ci)[metric.name], replicate(single, [metric], ci)[metric.name]
        assert a.mean() == pytest.approx(b.mean(), abs=4 * a.std() / math.sqrt(4000) * math.sqrt(2))
        assert a.std() == pytest.approx(b.std(), rel=0.08)


def test_replicate_weights_are_counts_of_rows_and_of_whole_clusters() -> None:
    p, y = world(50)
    rng = np.random.default_rng(0)
    weights = draws.draw(sorted_sample(p, y), False, rng, 20, 50)
    assert np.array_equal(weights, np.rint(weights))
    assert (weights.sum(axis=1) == 50).all()
    sample = sorted_sample(p, y, clusters=np.arange(50) // 5)
    weights = draws.draw(sample, False, rng, 20, 50)
    assert sample.cluster is not None
    for c in range(10):
        assert np.ptp(weights[:, sample.cluster == c], axis=1).max() == 0
    assert (weights.sum(axis=1) == 50).all()
    dirichlet = draws.draw(sorted_sample(p, y), True, rng, 20, 50)
    assert dirichlet.sum(axis=1) == pytest.approx(np.full(20, 50.0))


JACKKNIFED = [ACCURACY, AUROC, BRIER, NLL, ECE, METRICS["signed_ece"], ece_metric(Bins(8), 2), ece_metric(Bins(8), math.inf)]


@pytest.mark.parametrize("metric", JACKKNIFED, ids=lambda m: m.name)
@pytest.mark.parametrize("weighted", [False, True])
def test_closed_jackknife_is_leaving_a_row_out(metric: Any, weighted: bool) -> None:
    p, y = world(40, digits=2)
    w = np.random.default_rng(0).integers(1, 4, 40).astype(float) if weighted else None
    sample = sorted_sample(p, y, weights=w, merge=False)
    values, counts = leave_out(metric, sample)
    assert (counts == 1).all()
    for k in range(40):
        rest = sample.weights.copy()
        rest[k] = 0
        assert values[k] == pytest.approx(float(metric.value(sample, rest[None, :])[0]), abs=1e-12)


@pytest.mark.parametrize("metric", [*JACKKNIFED, METRICS["aurc"]], ids=lambda m: m.name)
def test_closed_jackknife_is_leaving_a_cluster_out(metric: Any) -> None:
    p, y = world(60, digits=1)
    sample = sorted_sample(p, y, clusters=np.random.default_rng(0).integers(0, 15, 60))
    values, _ = leave_out(metric, sample)
    assert sample.cluster is not None
    for k in range(sample.n_clusters):
        rest = np.where(sample.cluster == k, 0.0, sample.weights)
        assert values[k] == pytest.approx(float(metric.value(sample, rest[None, :])[0]), abs=1e-12)


def test_jackknife_of_merged_rows_counts_each_row_behind_them() -> None:
    p, y = world(200, digits=1)
    merged, single = sorted_sample(p, y), sorted_sample(p, y, merge=False)
    for metric in (AUROC, ECE, METRICS["aurc"]):
        (a, c), (b, _) = leave_out(metric, merged), leave_out(metric, single)
        assert np.sort(np.repeat(a, c.astype(int))) == pytest.approx(np.sort(b), abs=1e-12)


def test_random_blocks_give_the_acceleration_of_single_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    skewed = rng.exponential(size=3000)
    plain = engine.Metric("mean", ACCURACY.value, truth="real")
    sample = sorted_sample(np.zeros(3000), skewed)
    exact = acceleration(*leave_out(ACCURACY, sample))
    blocks = np.mean([acceleration(*leave_out(plain, sample, seed)) for seed in range(20)])
    assert len(leave_out(plain, sample)[0]) == 200
    assert blocks == pytest.approx(exact, rel=0.25)


def test_single_class_replicates_are_drawn_again() -> None:
    p = np.linspace(0, 1, 12)
    y = np.zeros(12)
    y[7] = 1
    e = auroc(p, y, ci=CI("percentile", n_boot=500, keep=True))
    assert e.samples is not None
    assert np.isfinite(e.samples).mean() > 0.99
    assert e.reason is None


def test_too_many_undefined_replicates_are_called_unstable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "_REDRAWS", 0)
    p, y = np.linspace(0, 1, 12), np.zeros(12)
    y[7] = 1
    e = auroc(p, y, ci=CI("percentile", n_boot=500))
    assert e.reason is not None
    assert e.reason.startswith("unstable")


def test_one_cluster_has_a_value_and_no_interval() -> None:
    p, y = world(20)
    e = auroc(p, y, clusters=["only"] * 20)
    assert e.defined
    assert math.isnan(e.low)
    assert e.reason is not None
    assert "one independent unit" in e.reason


def test_clusters_widen_the_interval_of_copied_rows() -> None:
    p, y = world(60)
    five = np.repeat(np.arange(60), 5)
    naive, honest = auroc(p[five], y[five]), auroc(p[five], y[five], clusters=five)
    single = auroc(p, y)
    assert honest.high - honest.low > 1.8 * (naive.high - naive.low)
    assert honest.high - honest.low == pytest.approx(single.high - single.low, rel=0.25)


def test_weights_do_not_make_evidence() -> None:
    p, y = world(80)
    plain, tripled = auroc(p, y, ci="bca"), auroc(p, y, weights=np.full(80, 3.0), ci="bca")
    assert tripled.value == pytest.approx(plain.value, abs=1e-12)
    assert tripled.low == pytest.approx(plain.low, abs=1e-12)
    assert tripled.n_effective == 80
    assert auroc(p, y, weights=np.full(80, 3.0)).low == pytest.approx(auroc(p, y).low, abs=1e-12)


def test_little_bootstraps_have_the_spread_of_the_full_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    p, y = world(4000)
    sample = sorted_sample(p, y)
    full = estimates(sample, [AUROC, BRIER], CI("bca", n_boot=400))
    for metric in (AUROC, BRIER):
        little = engine.replace(metric, little_from=1000)
        e = estimates(sample, [little], CI("bca", n_boot=400))[metric.name]
        assert "little-bootstrap" in e.method
        assert e.se == pytest.approx(full[metric.name].se, rel=0.25)
        assert e.low < e.value < e.high


def test_all_right_never_gets_a_point_interval() -> None:
    for kw in ({}, {"clusters": np.arange(40) // 4}, {"clusters": np.arange(40) // 4, "ci": "percentile"}):
        e = accuracy(np.ones(40), **kw)  # type: ignore[arg-type]
        assert e.value == 1
        assert 0.5 < e.low < 0.95
        assert e.high == 1


def test_perfect_separation_never_gets_a_point_interval() -> None:
    p, y = np.arange(20.0), (np.arange(20) >= 10).astype(float)
    for kw in ({}, {"clusters": np.arange(20) % 5}, {"ci": "bca"}):
        e = auroc(p, y, **kw)  # type: ignore[arg-type]
        assert e.value == 1
        assert 0.15 < e.low < 0.9


def test_kinds_and_none() -> None:
    p, y = world()
    for kind in ("bca", "percentile", "basic", "centred", "bayesian", "analytic", "auto"):
        e = auroc(p, y, ci=kind)  # type: ignore[arg-type]
        assert e.low < e.value < e.high
        assert e.level == 0.95
    bare = auroc(p, y, ci=None)
    assert math.isnan(bare.low)
    assert (bare.method, bare.reason) == ("none", None)
    without = evaluate(p, y, ["aurc"], ci="analytic")["aurc"]
    assert without.defined
    assert without.reason is not None


def test_wider_level_wider_interval() -> None:
    p, y = world()
    for kind in ("analytic", "bca", "percentile"):
        narrow, wide = (auroc(p, y, ci=CI(kind, level=level)) for level in (0.8, 0.99))  # type: ignore[arg-type]
        assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    "bad", [{"kind": "exact"}, {"level": 0}, {"level": 1.0}, {"level": float("nan")}, {"n_boot": 1}], ids=lambda b: next(iter(b))
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        CI(**bad)


def test_kept_replicates_share_weights_across_metrics() -> None:
    p, y = world()
    kept = evaluate(p, y, ["auroc", "prr_unconditional"], ci=CI("bca", n_boot=50, keep=True))
    a, b = kept["auroc"].samples, kept["prr_unconditional"].samples
    assert a is not None
    assert b is not None
    assert b == pytest.approx(2 * a - 1, abs=1e-12)


def test_multiclass_sample_reuses_the_engine() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 100)
    y = np.array([rng.choice(3, p=row) for row in p])
    e = multiclass_brier(p, y, clusters=np.arange(100) // 2)
    assert e.low < e.value < e.high
    assert "cluster" in e.method
