"""Foreign against own inputs: both directions by hand, planted shift, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_curve

from trueline.errors import InputError
from trueline.metrics import CI, auroc, ood_report

QUICK = CI(n_boot=200)


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    own, foreign = rng.normal(size=200), rng.normal(1, 1, 120)
    found = ood_report(own, foreign, ci=QUICK)
    s, out = np.r_[own, foreign], np.r_[np.zeros(200), np.ones(120)]
    assert found.auprc_out.value == pytest.approx(average_precision_score(out, s), abs=1e-12)
    assert found.auprc_in.value == pytest.approx(average_precision_score(1 - out, -s), abs=1e-12)
    for value, truth, score in ((found.fpr_at_95_in, 1 - out, -s), (found.fpr_at_95_out, out, s)):
        fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
        assert value.value == pytest.approx(fpr[tpr >= 0.95 - 1e-12][0], abs=1e-12)
    assert found.share_out == 120 / 320
    assert all(e.low < e.value < e.high for e in (found.auroc, found.auprc_out, found.auprc_in))


def test_planted_shift_and_none() -> None:
    rng = np.random.default_rng(1)
    own, same, far = rng.normal(size=500), rng.normal(size=500), rng.normal(3, 1, 500)
    assert ood_report(own, far, ci=QUICK).auroc.low > 0.95
    nothing = ood_report(own, same, ci=QUICK)
    assert nothing.auroc.low < 0.5 < nothing.auroc.high
    assert nothing.fpr_at_95_in.value > 0.9
    right = rng.random(500) < np.where(own < 0, 0.95, 0.4)
    found = ood_report(own, far, correct_in=right, ci=QUICK)
    assert found.failure_auroc.value == pytest.approx(auroc(own, ~right, ci=None).value)
    assert found.aurc.value < np.mean(np.r_[~right, np.ones(500)])
    assert nothing.aurc.reason == "correct_in was not given"
    assert "auprc_out" in str(found)


@pytest.mark.parametrize(
    ("own", "foreign", "right", "message"),
    [
        ([], [1.0], None, "scores_in is empty"),
        ([1.0], [], None, "scores_out is empty"),
        ([1.0, np.nan], [1.0], None, r"scores_in\[1\] is NaN"),
        ([1.0, 2.0], [1.0], [1], "1 values for 2"),
        ([1.0, 2.0], [1.0], [1, 0.5], "0 or 1"),
    ],
)
def test_bad_input(own: Any, foreign: Any, right: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ood_report(own, foreign, correct_in=right, ci=None)
