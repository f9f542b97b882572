"""Overfitting seen from outside: do the scores of training items differ from those of held-out items of the same distribution?

The AUROC of a score that separates members from non-members (Yeom et al., arXiv 1709.01604), with the gaps of accuracy and of signed
calibration. Enough for a black box of which some training items are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import accuracy
from trueline.metrics.ece import signed_ece
from trueline.metrics.ranking import auroc
from trueline.stats.differences import independent_difference
from trueline.stats.engine import as_ci
from trueline.stats.estimate import Estimate
from trueline.stats.sample import as_vector


@dataclass(frozen=True)
class OverfitGap:
    """Training against held-out items.

    Attributes
    ----------
    auroc : Estimate
        P(a training item scores higher than a held-out one), ties one half: .5 = no trace of the training set.
    train_accuracy, heldout_accuracy, accuracy_gap : Estimate
        The gap is training minus held-out. Undefined without correctness.
    train_signed, heldout_signed, signed_gap : Estimate
        Mean confidence minus accuracy. Undefined without correctness and confidence.
    """

    auroc: Estimate
    train_accuracy: Estimate
    heldout_accuracy: Estimate
    accuracy_gap: Estimate
    train_signed: Estimate
    heldout_signed: Estimate
    signed_gap: Estimate

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in vars(self).items())


Sides = tuple[ArrayLike | None, ArrayLike | None]


def overfit_gap(
    train_scores: ArrayLike,
    heldout_scores: ArrayLike,
    *,
    correct: Sides = (None, None),
    confidence: Sides = (None, None),
    ci: CIArgument = "auto",
) -> OverfitGap:
    """Compare training items with held-out items of the same distribution, which goes for their labels too (noise, raters).

    Parameters
    ----------
    train_scores, heldout_scores : (n_train,), (n_heldout,) float64
        Higher = more at home with the item. The probability of the *given* label tells most; without labels the largest one will do.
    correct : pair of (n_train,) and (n_heldout,) in {0, 1}, optional
        Training first.
    confidence : pair of (n_train,) and (n_heldout,) float64 in [0, 1], optional
        Of the prediction (the largest probability), for the signed levels.
    ci
        As in `auroc`.

    Raises
    ------
    InputError
        On bad input: NaN, an empty side, one side of a pair only, confidence without correctness.

    Examples
    --------
    >>> overfit_gap([0.9, 0.95, 0.8], [0.4, 0.85], ci=None).auroc.value
    0.8333333333333334
    """
    sides = [as_vector(x, name) for x, name in ((train_scores, "train_scores"), (heldout_scores, "heldout_scores"))]
    _check_pair(correct, "correct", sides)
    _check_pair(confidence, "confidence", sides)
    if confidence[0] is not None and correct[0] is None:
        raise InputError("confidence needs correct beside it: a signed level is mean confidence minus accuracy")
    separated = auroc(np.concatenate(sides), np.r_[np.ones(len(sides[0])), np.zeros(len(sides[1]))], ci=ci)
    rates = _gap(lambda k: accuracy(_given(correct[k]), ci=ci), correct, "correct was not given", ci)
    signed = _gap(lambda k: signed_ece(_given(confidence[k]), _given(correct[k]), ci=ci), confidence, "confidence was not given", ci)
    return OverfitGap(separated, *rates, *signed)


def _gap(make: Callable[[int], Estimate], pair: Sides, missing: str, ci: CIArgument) -> tuple[Estimate, Estimate, Estimate]:
    level = as_ci(ci).level
    if pair[0] is None:
        nothing = Estimate.undefined(missing, level=level)
        return nothing, nothing, nothing
    train, heldout = make(0), make(1)
    if all(math.isfinite(end) for e in (train, heldout) for end in (e.low, e.high)):
        return train, heldout, independent_difference(train, heldout)
    reason = None if as_ci(ci).kind == "none" else "no interval: one of the two has none"
    return train, heldout, Estimate(train.value - heldout.value, level=level, n=train.n + heldout.n, reason=reason)


def _check_pair(pair: Sides, name: str, sides: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> None:
    if not isinstance(pair, tuple | list) or len(pair) != 2 or (pair[0] is None) != (pair[1] is None):
        raise InputError(f"{name} must be a pair (training, held out), both given or neither")
    for values, scores, side in zip(pair, sides, ("training", "held-out"), strict=True):
        if values is not None and np.shape(values) != np.shape(scores):
            raise InputError(f"{name} of the {side} side has shape {np.shape(values)} for {len(scores)} scores")


def _given(values: ArrayLike | None) -> ArrayLike:
    return np.empty(0) if values is None else values
