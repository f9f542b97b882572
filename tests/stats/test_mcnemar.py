"""McNemar against scipy's binomial test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trueline.errors import InputError
from trueline.stats.mcnemar import mcnemar


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


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"correct_2\[1\]"):
        mcnemar([1, 0], [1, 2])
    with pytest.raises(InputError, match="no partner"):
        mcnemar([1, 0], [1])
