"""Rates corrected for the judge: identity for a perfect judge, recovery and coverage of a planted rate, warnings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.stats import corrected_rate


def test_a_perfect_judge_changes_nothing() -> None:
    found = corrected_rate(40, 200, 100, 100, 100, 100)
    assert found.estimate.value == pytest.approx(0.2)
    assert found.estimate.se == pytest.approx((0.2 * 0.8 / 200) ** 0.5)
    assert found.estimate.reason is None


def test_the_planted_rate_is_recovered_and_covered() -> None:
    rng = np.random.default_rng(0)
    truth, se, sp, hits, values, raw = 0.15, 0.85, 0.9, 0, [], []
    for _ in range(1000):
        k = rng.binomial(600, truth * se + (1 - truth) * (1 - sp))
        found = corrected_rate(k, 600, rng.binomial(150, se), 150, rng.binomial(300, sp), 300)
        hits += found.estimate.low <= truth <= found.estimate.high
        values.append(found.estimate.value)
        raw.append(k / 600)
    assert np.mean(values) == pytest.approx(truth, abs=0.005)
    assert np.mean(raw) > truth + 0.05
    assert 0.92 <= hits / 1000 <= 0.975


def test_a_rate_that_false_alarms_explain_is_called_out() -> None:
    found = corrected_rate(147, 21600, 95, 100, 990, 1000)
    assert found.estimate.value < 0 < found.estimate.high
    assert found.clipped == 0
    assert "false-alarm" in str(found.estimate.reason)


def test_clusters_widen() -> None:
    plain, wide, narrow = (corrected_rate(40, 200, 90, 100, 180, 200, deff=d).estimate for d in (1.0, 5.0, 0.5))
    assert wide.high > plain.high
    assert narrow == plain


@pytest.mark.parametrize(
    "counts",
    [(40, 200, 50, 100, 100, 200), (5, 4, 9, 10, 9, 10), (1, 0, 9, 10, 9, 10), (1, 4, 9, 0, 9, 10), (1.5, 4, 9, 10, 9, 10)],
)
def test_bad_counts(counts: Any) -> None:
    with pytest.raises(InputError):
        corrected_rate(*counts)
    with pytest.raises(InputError, match="deff"):
        corrected_rate(1, 4, 9, 10, 9, 10, deff=float("nan"))
