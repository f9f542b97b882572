"""McNemar against scipy and statsmodels; Agresti and Min's interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from trueline.errors import InputError
from trueline.stats.mcnemar import agresti_min, mcnemar, mcnemar_counts


@pytest.mark.parametrize(("b", "c"), [(0, 1), (0, 7), (3, 3), (12, 5), (1, 40)])
def test_exact_equals_scipy_and_midp_is_less(b: int, c: int) -> None:
    one = np.r_[np.ones(b), np.zeros(c), np.ones(5), np.zeros(4)]
    two = np.r_[np.zeros(b), np.ones(c), np.ones(5), np.zeros(4)]
    test = mcnemar(one, two)
    assert (test.b, test.c) == (b, c)
    assert test.p == pytest.approx(stats.binomtest(b, b + c).pvalue, abs=1e-12)
    k = min(b, c)
    binomial = stats.binom(b + c, 0.5)
    assert test.midp == pytest.approx(min(1, 2 * binomial.cdf(k - 1) + binomial.pmf(k)), abs=1e-12)
    assert test.midp <= test.p


def test_no_disagreement() -> None:
    assert mcnemar([1, 0, 1], [1, 0, 1]).p == mcnemar([1, 0, 1], [1, 0, 1]).midp == 1


@pytest.mark.parametrize(("b", "c"), [(0, 0), (4, 4), (10, 2), (0, 9)])
def test_counts_equal_rows_and_statsmodels(b: int, c: int) -> None:
    one, two = np.r_[np.ones(b), np.zeros(c)], np.r_[np.zeros(b), np.ones(c)]
    test = mcnemar_counts(b, c)
    if b + c:
        assert test == mcnemar(one, two)
    # statsmodels also gives 1 where nothing is discordant
    assert test.p == pytest.approx(statsmodels_mcnemar([[5, b], [c, 4]], exact=True).pvalue)


def test_agresti_min_mirrors_covers_and_is_never_a_point() -> None:
    one, two = agresti_min(9, 3, 50), agresti_min(3, 9, 50)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))
    assert agresti_min(0, 0, 50).high > 0.03
    rng = np.random.default_rng(0)
    draws = rng.multinomial(60, [0.12, 0.04, 0.84], size=3000)
    hits = [(e := agresti_min(b, c, 60)).low <= 0.08 <= e.high for b, c, _ in draws.tolist()]
    assert np.mean(hits) > 0.94


def test_bad_input() -> None:
    for counts in ((-1, 2), (1.5, 2), (float("nan"), 2)):
        with pytest.raises(InputError, match="counts"):
            mcnemar_counts(*counts)  # type: ignore[arg-type]
    for b, c, n in ((1, 2, 2), (0, 0, 0)):
        with pytest.raises(InputError, match="pairs"):
            agresti_min(b, c, n)
    with pytest.raises(InputError, match=r"correct_2\[1\]"):
        mcnemar([1, 0], [1, 2])
    with pytest.raises(InputError, match="no partner"):
        mcnemar([1, 0], [1])
