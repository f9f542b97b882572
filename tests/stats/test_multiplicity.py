"""Adjusted p-values against scipy and statsmodels, equivalence, effect sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from trueline.errors import InputError
from trueline.stats.multiplicity import (
    benjamini_hochberg,
    cliffs_delta,
    cohens_h,
    equivalence_p,
    holm,
    minimum_detectable,
    odds_ratio,
    risk_ratio,
    superiority,
)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjustments(p: list[float]) -> None:
    bh, family = benjamini_hochberg(p), holm(p)
    assert bh == pytest.approx(stats.false_discovery_control(p), abs=1e-12)
    assert (family >= bh - 1e-12).all()
    assert (family >= np.array(p) - 1e-12).all()
    assert family[int(np.argmin(p))] == pytest.approx(min(1, len(p) * min(p)))


@pytest.mark.parametrize("p", [[0.5], [0.01, 0.04, 0.03, 0.005, 0.04], [0.0, 1.0, 0.2, 0.2, 0.02, 0.9, 0.001]])
def test_adjustments_equal_statsmodels(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_ratios_of_rates() -> None:
    assert odds_ratio(0.5, 0.2) == pytest.approx(4)
    assert risk_ratio(0.5, 0.2) == pytest.approx(2.5)
    for ratio in (odds_ratio, risk_ratio):
        assert math.isnan(ratio(0, 0))
        assert ratio(0.1, 0) == math.inf
        assert ratio(0, 0.1) == 0
        with pytest.raises(InputError, match="proportion"):
            ratio(1.1, 0.1)
    assert odds_ratio(1, 0.5) == math.inf
    assert math.isnan(odds_ratio(1, 1))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_equivalence_and_detectable_difference() -> None:
    assert equivalence_p(0.0, 1.0, 1.6448536269514722) == pytest.approx(0.05)
    assert equivalence_p(2.0, 1.0, 1.0) > 0.5
    assert minimum_detectable(1.0) == pytest.approx(2.8016, abs=1e-4)


def test_effect_sizes() -> None:
    assert cohens_h(0.5, 0.5) == 0
    assert cohens_h(1, 0) == pytest.approx(math.pi)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 40), rng.integers(0, 5, 30)
    u = stats.mannwhitneyu(x, y).statistic
    assert superiority(x, y) == pytest.approx(u / 1200)
    assert cliffs_delta(x, y) == pytest.approx(2 * u / 1200 - 1)


def test_bad_input() -> None:
    for call in (
        lambda: holm([0.1, 1.2]),
        lambda: benjamini_hochberg([]),
        lambda: equivalence_p(0, 0, 1),
        lambda: cohens_h(1.5, 0),
        lambda: superiority([1, float("nan")], [1]),
    ):
        with pytest.raises(InputError):
            call()
