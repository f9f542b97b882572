"""A curriculum by confidence: begin with the items that a model, or people, are sure about, and let the others in epoch by epoch.

Ao et al., arXiv 2301.12589.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError
from trueline.metrics.multiclass import check_probabilities
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import as_vector

_GRID = 1000
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class ConfidenceCurriculum:
    r"""Which items to train on in each epoch: those with score at least :math:`\mu_e = \max(0, \mu_0 (1 - e / E))`.

    scores: (n,) float64 in [0, 1], higher = sooner: a model's confidence in the true label, or `rater_scores`. init_ratio: share in (0, 1]
    of the items that the first epoch holds at least: :math:`\mu_0`, the threshold, is the largest value on a grid of .001 with that share
    above it. end_epoch: E, from which on all items are used.
    """

    scores: FloatArray
    init_ratio: float = 0.75
    end_epoch: int = 30
    threshold: float = field(init=False)

    def __post_init__(self) -> None:
        scores = as_vector(self.scores, "scores")
        bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
        if len(bad):
            raise InputError(f"scores[{bad[0]}] is {scores[bad[0]]}; a curriculum needs scores in [0, 1]")
        if not 0 < self.init_ratio <= 1:
            raise InputError(f"init_ratio is {self.init_ratio}; expected a share in (0, 1]")
        if self.end_epoch < 1:
            raise InputError(f"end_epoch is {self.end_epoch}; expected at least 1")
        object.__setattr__(self, "scores", scores)
        grid = np.arange(_GRID, -1, -1) / _GRID
        above = len(scores) - np.searchsorted(np.sort(scores), grid, side="right")
        # where even score > 0 is too rare, everything takes part from the start
        fits = np.flatnonzero(above / len(scores) >= self.init_ratio)
        object.__setattr__(self, "threshold", float(grid[fits[0]]) if len(fits) else 0.0)

    def mask(self, epoch: int) -> NDArray[np.bool_]:
        """Return which items take part in an epoch (from 0), (n,) bool.

        Raises
        ------
        InputError
            For an epoch below 0.
        """
        if epoch < 0:
            raise InputError(f"epoch is {epoch}; epochs are counted from 0")
        return np.asarray(self.scores >= max(0.0, self.threshold * (1 - epoch / self.end_epoch)))


def rater_scores(shares: ArrayLike) -> FloatArray:
    """Return how much raters agree on each item: the standard deviation of their distribution, mapped to [0, 1] over the set.

    shares: (n, K) float64, rows sum to 1. The result is (n,) float64, for `ConfidenceCurriculum`. Raises ``InputError`` for NaN, rows that
    are no distribution, or items that all have the same spread.
    """
    p = check_probabilities(shares)
    spread = p.std(axis=1)
    if np.isnan(spread).any():
        raise InputError(f"row {int(np.argmax(np.isnan(spread)))} holds NaN; leave such items out")
    width = float(np.ptp(spread))
    if width <= _ROUNDING:
        raise InputError(f"all {len(p)} items have the same spread over raters ({spread[0]:g}): no order follows from it")
    return np.asarray((spread - spread.min()) / width)
