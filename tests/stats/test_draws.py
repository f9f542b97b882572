"""Stratified replicates: counts stay within strata, chunks and order do not matter, variance between strata is left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import accuracy, evaluate
from trueline.metrics.proper import BRIER
from trueline.metrics.ranking import AUROC
from trueline.stats import CI, draws, engine, sorted_sample
from trueline.stats.draws import draw
from trueline.stats.engine import replicate
from trueline.stats.jackknife import influence_skew
from trueline.stats.studentised import standard_errors

STRATA = np.repeat(["a", "b", "c"], [30, 60, 10])


def world(seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 1, 100)
    return p, (rng.random(100) < p).astype(float)


@pytest.mark.parametrize("bayesian", [False, True])
@pytest.mark.parametrize("clusters", [None, np.arange(100) // 5])
def test_every_stratum_keeps_its_number_of_units(bayesian: bool, clusters: Any) -> None:
    p, y = world()
    sample = sorted_sample(p, y, strata=STRATA, clusters=clusters)
    weights = draw(sample, bayesian, np.random.default_rng(0), 50, 100)
    for s in range(3):
        rows = sample.stratum == s
        assert weights[:, rows].sum(axis=1) == pytest.approx(np.full(50, rows.sum()))
        assert np.ptp(weights[:, rows]) > 0
    assert np.array_equal(weights, np.rint(weights)) != bayesian


@pytest.mark.parametrize("clusters", [None, np.arange(100) // 5])
def test_replicates_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch, clusters: Any) -> None:
    p, y = world()
    sample = sorted_sample(p, y, strata=STRATA, clusters=clusters)
    whole = replicate(sample, [AUROC, BRIER], CI("bca", n_boot=97))
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 3 * sample.n_rows)
    parts = replicate(sample, [AUROC, BRIER], CI("bca", n_boot=97))
    for name, values in whole.items():
        assert values == pytest.approx(parts[name], abs=1e-13)


@pytest.mark.parametrize("kind", ["bca", "percentile", "studentised", "bayesian"])
def test_one_stratum_is_no_stratum(kind: Any) -> None:
    p, y = world()
    plain, one = (evaluate(p, y, ["brier"], strata=s, ci=CI(kind, n_boot=4000))["brier"] for s in (None, ["all"] * 100))
    assert one.se == pytest.approx(plain.se, rel=0.05)
    assert (one.low, one.high) == pytest.approx((plain.low, plain.high), abs=0.1 * plain.se)
    assert "stratified replicates" in one.method


@pytest.mark.parametrize("kind", ["auto", "percentile", "studentised"])
def test_differences_between_strata_do_not_widen(kind: Any) -> None:
    rng = np.random.default_rng(1)
    strata = np.repeat(np.arange(3), 40)
    loss = np.array([0.1, 0.5, 0.9])[strata] + rng.normal(0, 0.05, 120)
    plain, within = (accuracy(loss.clip(0, 1), strata=s, ci=kind) for s in (None, strata))
    assert within.se < 0.25 * plain.se
    assert within.value == plain.value
    assert within.low < within.value < within.high
    expected = math.sqrt(sum(loss.clip(0, 1)[strata == s].var(ddof=1) / 40 for s in range(3)) / 9)
    assert within.se == pytest.approx(expected, rel=0.06)


def test_standard_error_and_acceleration_are_taken_within_strata() -> None:
    rng = np.random.default_rng(2)
    strata = np.repeat(np.arange(3), 40)
    x = strata + rng.exponential(size=120)
    sample = sorted_sample(np.zeros(120), x, strata=strata)
    metric = engine.Metric("mean", BRIER.value, truth="real")
    from trueline.metrics.accuracy import ACCURACY

    se = standard_errors(sample, sample.weights[None], metric=ACCURACY)[0]
    assert se == pytest.approx(math.sqrt(sum(x[strata == s].var(ddof=1) / 40 for s in range(3)) / 9))
    d = x - np.array([x[strata == s].mean() for s in range(3)])[strata]
    assert influence_skew(ACCURACY, sample) == pytest.approx((d**3).sum() / (6 * (d**2).sum() ** 1.5), rel=0.02)
    assert metric.influence is None


def test_proportions_are_not_given_wilson_which_knows_no_strata() -> None:
    found = accuracy([1, 0, 1, 1, 0, 1] * 5, strata=["a", "b"] * 15)
    assert "stratified" in found.method


def test_lone_units_are_called_out() -> None:
    p, y = world()
    found = evaluate(p, y, ["brier"], strata=np.r_[np.arange(5), np.full(95, 9)])["brier"]
    assert "5 strata have one unit" in str(found.reason)


def test_order_of_rows_does_not_matter() -> None:
    p, y = world()
    order = np.random.default_rng(3).permutation(100)
    one = evaluate(p, y, ["brier", "auroc"], strata=STRATA, ci="bca")
    two = evaluate(p[order], y[order], ["brier", "auroc"], strata=STRATA[order], ci="bca")
    for name in one:
        assert one[name].low == pytest.approx(two[name].low, abs=1e-12)


def test_missing_rows_leave_their_strata() -> None:
    p, y = world()
    p[3] = np.nan
    assert evaluate(p, y, ["brier"], strata=STRATA, nan_policy="drop")["brier"].n == 99


def test_bad_strata() -> None:
    p, y = world()
    with pytest.raises(InputError, match="one stratum"):
        evaluate(p, y, ["brier"], strata=STRATA, clusters=np.arange(100) % 10)
    with pytest.raises(InputError, match="strata has 3"):
        evaluate(p, y, ["brier"], strata=["a", "b", "c"])
    with pytest.raises(InputError, match=r"strata\[0\] is missing"):
        evaluate(p, y, ["brier"], strata=[None] * 100)
