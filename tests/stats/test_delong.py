"""DeLong against the definition over all pairs, and its behaviour at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import auroc
from trueline.stats import sorted_sample
from trueline.stats.delong import components, delong_test, delong_test_own_truths


def by_pairs(score: Any, y: Any) -> tuple[Any, Any]:
    pos, neg = score[y == 1], score[y == 0]
    wins = (pos[:, None] > neg).astype(float) + 0.5 * (pos[:, None] == neg)
    return wins.mean(axis=1), wins.mean(axis=0)


def test_components_and_covariance_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    a, b = (np.round(y + rng.normal(size=60), 1) for _ in range(2))
    test = delong_test(a, b, y)
    (pa, na), (pb, nb) = by_pairs(a, y), by_pairs(b, y)
    cov = np.cov(pa, pb) / len(pa) + np.cov(na, nb) / len(na)
    assert test.auc == pytest.approx([pa.mean(), pb.mean()], abs=1e-12)
    assert test.covariance == pytest.approx(cov, abs=1e-12)
    sample = sorted_sample(a, y, merge=False)
    _, v = components(sample)
    assert np.sort(v[sample.positive]) == pytest.approx(np.sort(pa), abs=1e-12)


def test_the_interval_sees_repeated_rows_once_merged() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    p = np.clip(np.round(0.3 * y + rng.random(300) * 0.7, 1), 0, 1)
    merged, single = auroc(p, y), auroc(p, y, weights=np.ones(300))
    assert (merged.low, merged.high) == pytest.approx((single.low, single.high), abs=1e-12)


def test_same_scores_have_no_difference() -> None:
    y = [0, 1, 0, 1, 1]
    test = delong_test([1, 2, 3, 4, 5], [10, 20, 30, 40, 50], y)
    assert (test.z, test.p) == (0.0, 1.0)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="two rows of each class"):
        delong_test([1, 2, 3], [1, 2, 3], [0, 1, 1])
    with pytest.raises(InputError, match="index 2"):
        delong_test([1, 2, 3], [1, 2, 3], [0, 1, 2])
    good = [1, 2, 3, 4], [0, 0, 1, 1]
    with pytest.raises(InputError, match="truth_2 has 1 ones of 4"):
        delong_test_own_truths(*good, [1, 2, 3, 4], [0, 0, 0, 1])
    with pytest.raises(InputError, match="truth_1 must be 0 or 1; it is not at index 3"):
        delong_test_own_truths([1, 2, 3, 4], [0, 0, 1, 2], *good)
    with pytest.raises(InputError, match="scores_2"):
        delong_test_own_truths(*good, [1, 2, 3, 4, 5], [0, 0, 1, 1, 1])


def two_answerers(rng: Any, n: int) -> tuple[Any, Any]:
    """Scores and truths of two equally good systems, alike through the difficulty of each row."""
    hard = rng.normal(size=n)
    return tuple(  # type: ignore[return-value]
        (hard + rng.normal(size=n), (rng.random(n) < 1 / (1 + np.exp(-(hard + 0.8 * rng.normal(size=n) - 0.5)))).astype(float))
        for _ in range(2)
    )


def test_own_truths_agree_with_one_truth() -> None:
    (a, y), (b, _) = two_answerers(np.random.default_rng(1), 400)
    one, own = delong_test(a, b, y), delong_test_own_truths(a, y, b, y)
    assert own.auc == pytest.approx(one.auc)
    assert own.covariance == pytest.approx(one.covariance, rel=0.02)
    assert own.p == pytest.approx(one.p, abs=0.01)
    assert delong_test_own_truths(a, y, a, y).p == 1.0


def test_own_truths_keep_their_level() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(800):
        (a, y), (b, z) = two_answerers(rng, 150)
        rejected += delong_test_own_truths(a, y, b, z).p < 0.05
    assert 0.03 < rejected / 800 < 0.075
