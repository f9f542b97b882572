"""Fit the threshold above which a risk score counts as positive, from a few labelled rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.sample import sorted_sample

Criterion = Literal["balanced", "accuracy"]


@dataclass(frozen=True)
class FittedThreshold:
    """A threshold in [0, 1]: scores at or above it are positive.

    cost: what the criterion is at the threshold, on the rows of the fit (so it flatters). n: those rows. note: what a reader should know.
    """

    threshold: float
    cost: float
    criterion: Criterion
    n: int
    note: str | None = None


def fit_threshold(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    false_pos_cost: float = 1.0,
    false_neg_cost: float = 1.0,
    criterion: Criterion = "balanced",
) -> FittedThreshold:
    r"""Return the threshold of least cost among the distinct scores and 1.

    Parameters
    ----------
    scores : (n,) float64 in [0, 1]
    truth : (n,) in {0, 1}
        Both must occur.
    false_pos_cost, false_neg_cost : float
        :math:`c_{fp}, c_{fn} \ge 0`, not both 0.
    criterion : {"balanced", "accuracy"}
        :math:`c_{fp} FPR + c_{fn} (1 - TPR)`, what published code minimises although it speaks of accuracy; or the mean cost a row,
        :math:`(c_{fp} FP + c_{fn} FN) / n`, which with equal costs is 1 - accuracy.

    Of equal costs the highest threshold is taken. All scores equal: that score.

    Raises
    ------
    InputError
        On bad input; one class only; a negative cost.

    Examples
    --------
    >>> fit_threshold([0.1, 0.3, 0.4, 0.8], [0, 0, 1, 1]).threshold
    0.4
    """
    if criterion not in get_args(Criterion):
        raise InputError(f"criterion {criterion!r} is unknown; expected 'balanced' or 'accuracy'")
    costs = (false_pos_cost, false_neg_cost)
    if not all(np.isfinite(c) and c >= 0 for c in costs) or sum(costs) <= 0:
        raise InputError(f"false_pos_cost and false_neg_cost are {costs}; expected numbers of at least 0, not both 0")
    sample = sorted_sample(scores, truth)
    if not sample.binary:
        raise InputError("a threshold is fitted on truths of 0 and 1")
    if sample.scores[0] < 0 or sample.scores[-1] > 1:
        raise InputError(f"scores lie between {sample.scores[0]:g} and {sample.scores[-1]:g}; expected probabilities in [0, 1]")
    pos = np.add.reduceat(sample.weights * sample.truth, sample.starts)[::-1]
    neg = np.add.reduceat(sample.weights * (1 - sample.truth), sample.starts)[::-1]
    values = sample.scores[sample.starts][::-1]
    if pos.sum() == 0 or neg.sum() == 0:
        raise InputError(f"all {sample.n} rows have the same label; a threshold needs rows of both")
    # the first entry is a threshold above every score: nothing is positive
    tp, fp = np.append(0.0, np.cumsum(pos)), np.append(0.0, np.cumsum(neg))
    fn = pos.sum() - tp
    if criterion == "balanced":
        cost = false_pos_cost * fp / neg.sum() + false_neg_cost * fn / pos.sum()
    else:
        cost = (false_pos_cost * fp + false_neg_cost * fn) / sample.n
    if len(values) == 1:
        return FittedThreshold(float(values[0]), float(cost[1]), criterion, sample.n, "all scores are equal: the threshold is that score")
    best = int(np.flatnonzero(cost <= cost.min() + 1e-12)[0])
    threshold = 1.0 if best == 0 else float(values[best - 1])
    note = "no score is worth a positive prediction: the threshold is 1" if best == 0 else None
    return FittedThreshold(threshold, float(cost[best]), criterion, sample.n, note)
