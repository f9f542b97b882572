"""The perturbation report: planted harm, no harm, pairing, areas by hand, texts, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import CI, auroc
from trueline.perception import IMAGE_SHIFTS, TEXT_SHIFTS, Shift, energy, max_softmax, perturbation_report

QUICK = CI(n_boot=200)


def inputs(n: int = 400) -> tuple[Any, Any]:
    """Two classes that differ in one number; the logit is exact, so confidence is too."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    return rng.normal(np.where(y == 1, 1.0, -1.0)), y


def predict(x: Any) -> Any:
    return np.stack([-x, x], axis=1)


NOISE = Shift("noise", lambda x, level, rng: x + rng.normal(0, level, len(x)), (0.5, 1.0, 3.0))
NOTHING = Shift("nothing", lambda x, level, rng: x, (1.0, 2.0))


def test_planted_harm_and_none() -> None:
    x, y = inputs()
    found = perturbation_report(predict, x, y, [NOISE, NOTHING], seed=0, ci=QUICK)
    worst = found.perturbed[2]
    assert (worst.shift, worst.severity, worst.level) == ("noise", 3, 3.0)
    assert worst.changes["accuracy"].high < -0.1
    assert worst.changes["signed_level"].low > 0.1  # noise makes it too sure
    assert worst.changes["failure_auroc"].value == pytest.approx(
        worst.values["failure_auroc"].value - found.clean.values["failure_auroc"].value
    )
    for p in found.perturbed[3:]:
        assert all(e.value == 0 and np.isnan(e.low) and "none" in e.method for e in p.changes.values())
    assert found.clean.values["signed_level"].low < 0 < found.clean.values["signed_level"].high
    assert found.areas["nothing"]["accuracy"].value == pytest.approx(found.clean.values["accuracy"].value)
    heights = [found.clean, *found.perturbed[:3]]
    area = np.trapezoid([p.values["accuracy"].value for p in heights]) / 3
    assert found.areas["noise"]["accuracy"].value == pytest.approx(area)
    assert found.areas["noise"]["accuracy"].low < area < found.areas["noise"]["accuracy"].high


def test_changes_are_paired() -> None:
    """The same items lie on both sides, so a small loss is seen that two separate intervals would hide."""
    x, y = inputs()
    found = perturbation_report(predict, x, y, [replace(NOISE, levels=(0.4,))], seed=1, ci=QUICK).perturbed[0]
    assert found.changes["signed_level"].se < 0.8 * np.hypot(found.values["signed_level"].se, found.values["signed_level"].se)


def test_streams_do_not_depend_on_each_other() -> None:
    x, y = inputs(60)
    both = perturbation_report(predict, x, y, [NOTHING, NOISE], seed=3, ci=None)
    alone = perturbation_report(predict, x, y, [NOISE], seed=3, ci=None)
    assert [p.values["accuracy"].value for p in both.perturbed[2:]] == [p.values["accuracy"].value for p in alone.perturbed]


def test_rows_scores_and_clusters() -> None:
    x, y = inputs(60)
    found = perturbation_report(predict, x, y, [NOISE], seed=0, score=lambda z: energy(logits=z), clusters=np.arange(60) // 3, ci=QUICK)
    rows = found.rows()
    assert len(rows) == 4 * 3
    assert rows[0]["change"] is None
    assert rows[-1]["change_low"] <= rows[-1]["change"] <= rows[-1]["change_high"]
    wrong = predict(x).argmax(axis=1) != y
    assert found.clean.values["failure_auroc"].value == pytest.approx(auroc(energy(logits=predict(x)), wrong, ci=None).value)
    assert "cluster" in found.areas["noise"]["signed_level"].method
    assert "noise 3: accuracy" in str(found)


def test_images_and_texts() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 30)
    images = np.clip(np.where(y[:, None, None] == 1, 0.7, 0.3) + rng.normal(0, 0.1, (30, 8, 8)), 0, 1)
    found = perturbation_report(lambda im: predict(20 * (im.mean(axis=(1, 2)) - 0.5)), images, y, IMAGE_SHIFTS, seed=0, ci=None)
    assert len(found.perturbed) == 30
    assert found.areas["brightness"]["accuracy"].value < 0.9 < found.areas["gaussian_noise"]["accuracy"].value
    assert found.clean.values["failure_auroc"].reason is not None  # no error to find
    texts = ["good film indeed" if label else "awful film indeed" for label in y]
    said = perturbation_report(
        lambda ts: predict(np.array([t.count("good") - t.count("awful") for t in ts]) * 3.0), texts, y, TEXT_SHIFTS, seed=0, ci=None
    )
    assert said.perturbed[-1].values["accuracy"].value < said.clean.values["accuracy"].value == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shifts": []}, "distinct names; got none"),
        ({"shifts": [NOISE, NOISE]}, "distinct names"),
        ({"predict": lambda x: np.full((len(x), 2), np.nan)}, "row 0"),
        ({"predict": lambda x: np.zeros(len(x))}, r"\(n, K\)"),
        ({"labels": [5] * 20}, r"labels\[0\] is 5"),
        ({"shifts": [Shift("loses", lambda x, level, rng: x[1:], (1.0,))]}, "labels must have shape"),
        ({"score": lambda z: max_softmax(logits=z)[1:]}, "score must return"),
    ],
)
def test_bad_input(changed: Any, message: str) -> None:
    x, y = inputs(20)
    given = {"predict": predict, "inputs": x, "labels": y, "shifts": [NOISE], "seed": 0, "ci": None, **changed}
    with pytest.raises(InputError, match=message):
        perturbation_report(**given)


def test_many_items() -> None:
    x, y = inputs(21_000)
    found = perturbation_report(predict, x, y, [NOISE], seed=0, ci=CI(n_boot=20))
    assert all(e.low < e.value < e.high for e in found.areas["noise"].values())
