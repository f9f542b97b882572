"""Class-wise temperature: the search, its guards, normalising, and the planted proof."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import ClasswiseTemperature, fit_temperature, multiclass_nll, normalised_levels, scaled_logits, top_label_ece
from trueline.metrics.scaling import log_softmax


def planted(rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Six classes: the first three hard and too loud, the others easy."""
    y = rng.integers(0, 6, n)
    z = rng.normal(size=(n, 6))
    z[np.arange(n), y] += np.where(y < 3, 1.2, 3.2)
    return z * np.where(np.arange(6) < 3, 2.5, 1.2), y


def ece(z: Any, y: Any) -> float:
    return top_label_ece(np.exp(log_softmax(z)), y, ci=None).value


def test_the_coarse_search_finds_what_the_fine_one_finds() -> None:
    z, y = planted(np.random.default_rng(0), 1000)
    found = ClasswiseTemperature().fit(z, y)
    grid = np.arange(50, 200) / 100
    assert found.base == grid[np.argmin([ece(z / t, y) for t in grid])]
    assert ece(scaled_logits(z, found.temperatures), y) <= ece(z / found.base, y)
    # the fine grid around the best coarse point; a full one is a matter of seconds, tried on a thinner grid here
    thin = np.arange(-2, 2, 0.02)
    losses = [ece(scaled_logits(z, t), y) for g in thin if (t := found.base * (1 + g * found.normalised)).min() > 0.05]
    assert ece(scaled_logits(z, found.temperatures), y) <= min(losses) + 0.004


def test_few_items_are_searched_by_nll() -> None:
    z, y = planted(np.random.default_rng(1), 300)
    with pytest.warns(UserWarning, match="300 items are too few"):
        found = ClasswiseTemperature().fit(z, y)
    assert found.selected_by == "nll"
    assert found.base == pytest.approx(np.clip(fit_temperature(z, y).temperature, 0.5, 1.99), abs=0.01)
    nll = [multiclass_nll(p, y, ci=None).value for p in (found.predict(z), np.exp(log_softmax(z / found.base)))]
    assert nll[0] <= nll[1]


def test_no_temperature_is_near_zero_and_predictions_can_be_kept() -> None:
    z, y = planted(np.random.default_rng(2), 400)
    for normalise in ("max", "min_max", None):
        assert ClasswiseTemperature(normalise, "nll").fit(z, y).temperatures.min() > 0.05
    kept = ClasswiseTemperature("max", "nll", keep_argmax=True).fit(z, y)
    assert (kept.predict(z).argmax(axis=1) == z.argmax(axis=1)).all()
    free = ClasswiseTemperature("max", "nll").fit(z, y)
    assert (free.predict(z).argmax(axis=1) != z.argmax(axis=1)).any()


def test_rare_classes() -> None:
    z, y = planted(np.random.default_rng(3), 400)
    y = np.where((y == 5) & (np.arange(400) > 10), 4, y)
    y[y == 3] = 2
    found = ClasswiseTemperature("max", "nll").fit(z, y)
    assert np.isnan(found.levels[3])
    assert found.temperatures[3] == found.base
    p = np.exp(log_softmax(z / found.base))
    off, n = p.max(axis=1) - (p.argmax(axis=1) == y), int((y == 5).sum())
    assert 0 < n < 20
    assert found.levels[5] == pytest.approx(n / (n + 20) * off[y == 5].mean() + 20 / (n + 20) * off.mean(), abs=1e-12)


def test_normalised_levels() -> None:
    # quartiles .1 and 9, so the upper fence is 9 + 1.5 x 8.9
    assert normalised_levels([0.0, 0.1, 0.2, 9.0, 99.0], None).tolist() == pytest.approx([0, 0.1, 0.2, 9.0, 22.35])
    # by midpoints .15 and 2.65 of four: the upper fence is 2.65 + 1.5 x 2.5 = 6.4, the lower -3.6
    assert normalised_levels([0.1, 0.2, 5.1, 99.0], None).tolist() == pytest.approx([0.1, 0.2, 5.1, 99.0])
    assert normalised_levels([-0.4, -0.2], "max").tolist() == [-1.0, -0.5]
    assert normalised_levels([0.2, 0.2], "min_max").tolist() == [0.0, 0.0]
    assert normalised_levels([0.0, 0.0], "max").tolist() == [0.0, 0.0]
    with_gap = normalised_levels([0.2, np.nan, 0.4], "max")
    assert np.isnan(with_gap[1])
    assert with_gap[2] == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ClasswiseTemperature(normalise="mean"), "normalise"),  # type: ignore[arg-type]
        (lambda: ClasswiseTemperature(select="auc"), "select"),  # type: ignore[arg-type]
        (lambda: ClasswiseTemperature().fit([[1.0, np.inf]], [0]), "row 0"),
        (lambda: ClasswiseTemperature().fit([[1.0, 2.0]], [3]), r"labels\[0\]"),
        (lambda: scaled_logits([[1.0, 2.0]], [1.0]), "K temperatures"),
        (lambda: scaled_logits([[1.0, 2.0]], [1.0, 0.0]), "above 0"),
        (lambda: scaled_logits([[1.0, np.nan]], [1.0, 1.0]), "row 0"),
        (lambda: normalised_levels([np.nan]), "one at least known"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.slow
def test_proof_overall_error_falls_and_class_levels_grow(capsys: pytest.CaptureFixture[str]) -> None:
    ratios, gains, gaps = [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        validation, test = planted(rng, 4000), planted(rng, 4000)
        r = ClasswiseTemperature().fit(*validation).report(*test, ci=None)
        one, many = r["temperature"], r["classwise"]
        ratios.append(many.miscalibration.ece.value / one.miscalibration.ece.value)
        gains.append(many.accuracy.value - one.accuracy.value)
        gaps.append((one.miscalibration.gap.value, many.miscalibration.gap.value))
        with capsys.disabled():
            eces = ", ".join(f"{name} {x.miscalibration.ece.value:.4f}" for name, x in r.items())
            print(f"seed {seed}: ECE {eces}; ratio {ratios[-1]:.3f}; accuracy {gains[-1]:+.4f}; gap {gaps[-1][0]:.3f} -> {gaps[-1][1]:.3f}")
    assert np.mean(ratios) <= 0.92
    assert min(gains) >= 0
    assert all(after > before for before, after in gaps)
