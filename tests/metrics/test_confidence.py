"""Cross-fitted confidence: calibrated, falling, leak-free, robust to tails, honest about useless scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import auroc, brier, calibrated_confidence, null_ece
from trueline.metrics.recalibration import folds
from trueline.stats.logistic import sigmoid


def world(n: int, seed: int = 0, strength: float = 1.5) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    u = rng.normal(size=n)
    return np.exp(3 * u), (rng.random(n) < sigmoid(-strength * u)).astype(int)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_is_calibrated_and_keeps_the_order(method: Any) -> None:
    u, c = world(3000)
    conf = calibrated_confidence(u, c, method=method)
    assert null_ece(conf, c).p_value > 0.01
    assert auroc(conf, c, ci=None).value == pytest.approx(auroc(-u, c, ci=None).value, abs=0.01)
    assert brier(conf, c, ci=None).value < c.mean() * (1 - c.mean()) - 0.03


def test_falls_with_the_score_inside_a_fold() -> None:
    u, c = world(400)
    conf, fold = calibrated_confidence(u, c, seed=3), folds(400, None, 5, 3)
    for k in range(5):
        order = np.argsort(u[fold == k])
        assert (np.diff(conf[fold == k][order]) <= 1e-12).all()


def test_no_row_sees_its_own_answer_or_its_cluster() -> None:
    u, c = world(300)
    cluster = np.arange(300) // 6
    fold = folds(300, cluster, 5, 0)
    changed = np.where(fold == 1, 1 - c, c)
    one, two = calibrated_confidence(u, c, cluster), calibrated_confidence(u, changed, cluster)
    assert np.array_equal(one[fold == 1], two[fold == 1])


def test_heavy_tails_and_infinities_do_no_harm() -> None:
    u, c = world(300)
    worst = u.argmax()
    wild = u.copy()
    wild[worst] = np.inf
    others = np.arange(300) != worst
    assert calibrated_confidence(wild, c)[others] == pytest.approx(calibrated_confidence(u, c)[others], abs=5e-3)
    both = np.where(np.arange(300) % 2, np.inf, -np.inf)
    assert np.isfinite(calibrated_confidence(both, c)).all()
    assert np.isfinite(calibrated_confidence(both, c, method="isotonic")).all()


def test_a_score_that_points_the_wrong_way_or_nowhere_gets_the_base_rate() -> None:
    u, c = world(500)
    for useless in (-u, np.zeros(500)):
        for method in ("platt", "isotonic"):
            conf = calibrated_confidence(useless, c, method=method)  # type: ignore[arg-type]
            assert np.ptp(conf) < 0.1
            assert conf.mean() == pytest.approx(c.mean(), abs=0.05)


def test_one_class_only_is_a_smoothed_base_rate() -> None:
    conf = calibrated_confidence(np.arange(20), np.ones(20))
    assert conf == pytest.approx(np.full(20, 17 / 18))


def test_missing_rows_stay_missing() -> None:
    u, c = world(100)
    u[7] = np.nan
    with pytest.raises(InputError, match="index 7"):
        calibrated_confidence(u, c)
    conf = calibrated_confidence(u, c, nan_policy="drop")
    assert np.flatnonzero(np.isnan(conf)).tolist() == [7]


@pytest.mark.parametrize(
    "call",
    [
        lambda: calibrated_confidence([1, 2], [0, 2]),
        lambda: calibrated_confidence([1, 2], [0]),
        lambda: calibrated_confidence([], []),
        lambda: calibrated_confidence([1, 2], [0, 1], ["a", "a"]),
        lambda: calibrated_confidence([1, 2], [0, 1], method="beta"),  # type: ignore[arg-type]
        lambda: calibrated_confidence([1, 2], [0, 1], n_folds=1),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()
