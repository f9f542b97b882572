"""Binned calibration errors: bins, norms, bias, intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import Bins, debiased_ece, ece, mce, null_ece, signed_ece
from trueline.stats import sorted_sample


def test_bin_edges_belong_to_the_lower_bin_unless_closed_left() -> None:
    sample = sorted_sample([0.0, 0.1, 0.1000001, 0.5, 1.0], [0, 1, 0, 1, 1])
    assert Bins(10).codes(sample).tolist() == [0, 0, 1, 4, 9]
    assert Bins(10, closed="left").codes(sample).tolist() == [0, 1, 1, 5, 9]


def test_by_hand() -> None:
    p, y = [0.05, 0.05, 0.95, 0.95], [0, 1, 1, 1]
    assert ece(p, y, ci=None).value == pytest.approx(0.25)
    assert mce(p, y, ci=None).value == pytest.approx(0.45)
    assert ece(p, y, norm=2, ci=None).value == pytest.approx(math.sqrt((0.45**2 + 0.05**2) / 2))
    assert signed_ece(p, y, ci=None).value == pytest.approx(-0.25)
    assert debiased_ece(p, y, squared=True, ci=None).value == pytest.approx((0.45**2 - 0.25 + 0.05**2) / 2)
    assert debiased_ece([0.5], [1], squared=True, ci=None).value == 0


def test_equal_mass_bins_merge_duplicate_edges() -> None:
    p = np.r_[np.zeros(90), np.linspace(0.1, 1, 10)]
    sample = sorted_sample(p, np.zeros(100))
    edges = Bins(10, "mass").edges(sample)
    assert len(edges) < 11
    assert (np.diff(edges) > 0).all()
    assert Bins(10, "mass").edges(sorted_sample(p, np.zeros(100), merge=False)) == pytest.approx(edges)
    assert ece(np.full(5, 0.3), [0, 0, 1, 0, 0], bins="mass", ci=None).value == pytest.approx(0.1)


def test_plug_in_error_of_a_calibrated_model_is_biased_and_the_debiased_one_is_not() -> None:
    rng = np.random.default_rng(0)
    plain, squared = [], []
    for _ in range(300):
        p = rng.random(300)
        y = rng.random(300) < p
        plain.append(ece(p, y, ci=None).value)
        squared.append(debiased_ece(p, y, squared=True, ci=None).value)
    assert np.mean(plain) == pytest.approx(0.072, abs=0.01)
    assert np.mean(squared) == pytest.approx(0, abs=5e-4)


def test_interval_of_a_calibrated_model_reaches_zero_and_of_a_bad_one_does_not() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(400)
    good, bad = (rng.random(400) < p).astype(int), (rng.random(400) < p**4).astype(int)
    for f in (ece, debiased_ece):
        assert f(p, good).low == 0
        assert f(p, bad).low > 0.1
        assert f(p, bad).low < f(p, bad).value < f(p, bad).high


def test_null_distribution() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(400)
    good = null_ece(p, rng.random(400) < p)
    bad = null_ece(p, rng.random(400) < p**3)
    assert good.p_value > 0.05
    assert bad.p_value == pytest.approx(1 / 201)
    assert good.mean < good.quantile95
    assert good.n_draws == 200
    assert null_ece(p, rng.random(400) < p, seed=3).mean == pytest.approx(good.mean, abs=0.01)


@pytest.mark.parametrize(
    ("p", "y", "text"),
    [
        ([-0.1, 0.5], [0, 1], "index 0"),
        ([0.5, 1.5], [0, 1], "index 1"),
        ([0.5, float("inf")], [0, 1], "index 1"),
        ([0.5, 0.5], [0, 2], "index 1"),
        ([0.5, float("nan")], [0, 1], "index 1"),
    ],
)
def test_bad_data(p: list[float], y: list[float], text: str) -> None:
    for f in (ece, mce, signed_ece, debiased_ece):
        with pytest.raises(InputError, match=text):
            f(p, y)
    with pytest.raises(InputError, match=text):
        null_ece(p, y)


def test_bad_settings() -> None:
    for kw in ({"n_bins": 0}, {"bins": "equal"}, {"norm": 0.5}, {"closed": "both"}):
        with pytest.raises(InputError):
            ece([0.5], [1], **kw)  # type: ignore[arg-type]
