r"""How near any single reward can come to groups that disagree: exact for the weighted gap and for the worst group, from few votes.

For one probability q an item, :math:`\sum_g t_g (q - p_g)^2` is least at the mean rate and then equals the variance of the rates over the
groups. The least worst gap, :math:`\min_q \max_g \overline{(q_i - p_{ig})^2}`, is by duality the largest such variance over all mixtures
of the groups, :math:`\max_\lambda \sum_g \lambda_g \overline{p_{ig}^2} - \lambda^\top B \lambda` with
:math:`B_{gh} = \overline{p_{ig} p_{ih}}`.

Half the range of the rates is the least worst gap of one item alone. Its root mean square over items bounds the worst gap from below for
two groups only: with more, the extremes may be other groups on each item, and then no single group has to bear them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.metrics.preferences._checks import positive_count, vote_table
from trueline.stats.estimate import FloatArray

_STEPS, _FLAT = 2000, 1e-12


def between_groups(p: FloatArray, square: FloatArray, mixture: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the mean rate of a mixture of groups, the unbiased square of that mean, and the unbiased variance over the groups, by item.

    p, square : (n_items, n_groups) float64
        Rates and their unbiased squares (`rates`).
    """
    mean = p @ mixture
    mean_square = mean**2 + (square - p**2) @ mixture**2
    return mean, mean_square, square @ mixture - mean_square


def worst_case_mixture(p: FloatArray, square: FloatArray) -> FloatArray:
    """Return the mixture of groups on which a single reward does worst: the largest mean variance over groups, which is the floor.

    Starts from the best pair and climbs by the pair of groups whose exchange gains most, each step exact; any mixture gives a valid floor.
    """
    products = p.T @ p / len(p)
    own = square.mean(axis=0)
    np.fill_diagonal(products, own)
    pairs = (own[:, None] + own[None, :] - 2 * products) / 4
    best = np.unravel_index(np.argmax(pairs), pairs.shape)
    mixture = np.zeros(len(own))
    for g in best:
        mixture[g] += 0.5
    for _ in range(_STEPS):
        slope = own - 2 * products @ mixture
        up = int(np.argmax(slope))
        down = int(np.argmin(np.where(mixture > 0, slope, np.inf)))
        if slope[up] - slope[down] <= _FLAT:
            break
        bend = products[up, up] + products[down, down] - 2 * products[up, down]
        step = mixture[down] if bend <= 0 else min(mixture[down], (slope[up] - slope[down]) / (2 * bend))
        mixture[up] += step
        mixture[down] -= step
    mixture = np.maximum(mixture, 0.0)
    return np.asarray(mixture / mixture.sum())


@dataclass(frozen=True)
class RangeFloor:
    """Half the range of the group rates, over items on which every group voted.

    Attributes
    ----------
    mean, rms : float
        Mean and root mean square over items: biased upward by the noise of few votes.
    noise_mean, noise_rms : float
        The same with the votes of an item dealt to the groups at random (mean over deals): what disagreement of nobody would show.
    n : int
        Items used.
    """

    mean: float
    rms: float
    noise_mean: float
    noise_rms: float
    n: int


def range_floor(yes: ArrayLike, total: ArrayLike, *, n_deals: int = 50, seed: int = 0) -> RangeFloor:
    """Return half the range of the group rates beside what chance alone makes of it.

    Parameters
    ----------
    yes, total : (n_items, n_groups) whole numbers
    n_deals : int
        Random deals of an item's votes to its groups, sizes kept.
    seed : int

    Raises
    ------
    InputError
        For counts that are not such. All NaN where no item has a vote of every group.
    """
    k, n = vote_table(yes, total)
    positive_count(n_deals, "n_deals")
    every = (n > 0).all(axis=1)
    k, n = k[every], n[every]
    if not len(k):
        return RangeFloor(math.nan, math.nan, math.nan, math.nan, 0)
    half = np.ptp(k / n, axis=1) / 2
    rng = np.random.default_rng(seed)
    deals = np.stack([np.ptp(_deal(k, n, rng) / n, axis=1) / 2 for _ in range(n_deals)])
    return RangeFloor(
        float(half.mean()),
        float(np.sqrt((half**2).mean())),
        float(deals.mean()),
        float(np.sqrt((deals**2).mean())),
        len(k),
    )


def _deal(k: FloatArray, n: FloatArray, rng: np.random.Generator) -> FloatArray:
    sizes = n.astype(np.int64)
    yes, no = k.sum(axis=1).astype(np.int64), (n - k).sum(axis=1).astype(np.int64)
    dealt = []
    for g in range(k.shape[1]):
        dealt.append(rng.hypergeometric(yes, no, sizes[:, g]))
        yes, no = yes - dealt[-1], no - (sizes[:, g] - dealt[-1])
    return np.column_stack(dealt).astype(np.float64)
