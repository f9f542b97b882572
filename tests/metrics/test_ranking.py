"""Ranking metrics against scikit-learn; undefined cases; thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from trueline.errors import InputError
from trueline.metrics import auprc, auroc, fpr_at_tpr


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("digits", [1, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_equal_scikit_learn(seed: int, digits: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random(150).round(digits)
    y = (rng.random(150) < p).astype(int)
    w = rng.random(150) * 3 if weighted else None
    assert auroc(p, y, weights=w, ci=None).value == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-12)
    assert auprc(p, y, weights=w, ci=None).value == pytest.approx(average_precision_score(y, p, sample_weight=w), abs=1e-12)
    fpr, tpr, _ = roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    for rate in (0.5, 0.8, 0.95):
        assert fpr_at_tpr(p, y, tpr=rate, weights=w, ci=None).value == pytest.approx(fpr[np.argmax(tpr >= rate)], abs=1e-12)


def test_one_class_is_undefined_and_says_so() -> None:
    for truth, text in (([0] * 3, "only one class: 0 with truth 1, 3 with truth 0"), ([1] * 3, "3 with truth 1, 0 with truth 0")):
        e = auroc([1, 2, 3], truth)
        assert math.isnan(e.value)
        assert e.reason is not None
        assert text in e.reason
        assert math.isnan(fpr_at_tpr([1, 2, 3], truth).value)
    assert math.isnan(auprc([1, 2, 3], [0, 0, 0]).value)
    assert auprc([1, 2, 3], [1, 1, 1]).value == 1
    assert math.isnan(auroc([1, 2, 3], [0, 1, 1], weights=[0, 1, 1]).value)


def test_constant_scores_are_chance() -> None:
    assert auroc([0.5] * 4, [0, 1, 1, 0]).value == 0.5
    assert auprc([0.5] * 4, [0, 1, 1, 0], ci=None).value == 0.5


def test_infinite_scores_are_ranked() -> None:
    assert auroc([-math.inf, 0, math.inf, math.inf], [0, 0, 1, 0], ci=None).value == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("function", [auroc, auprc, fpr_at_tpr])
def test_labels_must_be_binary_and_the_first_is_named(function: object) -> None:
    with pytest.raises(InputError, match="index 1"):
        function([0.9, 0.1, 0.5], [0, 2, 3])  # type: ignore[operator]


@pytest.mark.parametrize("tpr", [0, 1.1, float("nan")])
def test_bad_rate(tpr: float) -> None:
    with pytest.raises(InputError, match="tpr"):
        fpr_at_tpr([1, 2], [0, 1], tpr=tpr)
