r"""How the people who gave the labels differ from the people they should stand for: shares, distances, weights, what is not covered.

Post-stratification and raking (Deming and Stephan 1940), Kish's effective number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.preferences._checks import positive_count
from trueline.stats.estimate import FloatArray

Group = tuple[str, ...]
_ROUNDS, _TOLERANCE = 200, 1e-8
_CHANCE_DRAWS, _CHANCE_LEVEL = 1000, 0.95


@dataclass(frozen=True)
class SampleShares:
    r"""A sample against its target, over G groups.

    Attributes
    ----------
    sample, target, weights : (G,) float64
        Shares s and t; weights t/s, 0 where a group has no target and NaN where it has no sample.
    n : int
        People (or labels) in the sample.
    total_variation : float
        :math:`\frac12 \sum |s - t|`: the share of the sample that would have to be other people.
    tv_by_chance : float
        What a fair random sample of n people exceeds in 5 % of cases.
    kl : float
        :math:`\sum t \ln(t/s)`, nats; infinite where a group of the target has no sample.
    n_eff, design_effect : float
        :math:`n / \sum_g s_g w_g^2` after weighting, for a target without the uncovered groups; and n / n_eff.
    uncovered : tuple of int
        Groups of the target without any sample: nothing can be said about them.
    trimmed_bias : float
        Total variation between the shares that trimmed weights give and the target; 0 without trimming.
    """

    sample: FloatArray
    target: FloatArray
    weights: FloatArray
    n: int
    total_variation: float
    tv_by_chance: float
    kl: float
    n_eff: float
    design_effect: float
    uncovered: tuple[int, ...]
    trimmed_bias: float


def sample_representativeness(counts: ArrayLike, target: ArrayLike, *, max_weight: float | None = None, seed: int = 0) -> SampleShares:
    """Compare the number of people in each group with target shares.

    Parameters
    ----------
    counts : (n_groups,) whole numbers
    target : (n_groups,) float64
        Shares, or numbers in proportion to them.
    max_weight : float, optional
        Weights above it are cut to it and all rescaled; ``trimmed_bias`` says what that costs.
    seed : int
        Of the 1,000 fair samples behind ``tv_by_chance``.

    Raises
    ------
    InputError
        For counts or shares that are not such, no sample at all, or a sample without anyone of the target.
    """
    c, t = np.asarray(counts, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if c.ndim != 1 or c.shape != t.shape or not len(c):
        raise InputError(f"counts has shape {c.shape} and target {t.shape}; expected one number a group each")
    for name, values in (("counts", c), ("target", t)):
        if not ((values >= 0) & np.isfinite(values)).all() or not values.sum() > 0:
            raise InputError(f"{name} is {values.tolist()}; expected finite numbers of at least 0, not all 0")
    if (c != np.floor(c)).any():
        raise InputError(f"counts is {c.tolist()}; expected whole numbers")
    s, t, n = c / c.sum(), t / t.sum(), int(c.sum())
    uncovered = tuple(int(g) for g in np.flatnonzero((t > 0) & (c == 0)))
    reached = np.where(c > 0, t, 0.0)
    if not reached.sum() > 0:
        raise InputError("no one in the sample belongs to a group of the target; check how the groups are spelt")
    covered = reached / reached.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(c > 0, t / s, np.nan)
        within = np.where(c > 0, covered / s, 0.0)
        kl = math.inf if uncovered else float(np.where(t > 0, t * np.log(t / s), 0.0).sum())
    bias = 0.0
    if max_weight is not None:
        if not max_weight >= 1:
            raise InputError(f"max_weight is {max_weight}; expected at least 1")
        within = np.minimum(within, max_weight)
        within /= (s * within).sum()
        weights = np.where(c > 0, within, np.nan)
        bias = float(np.abs(s * within - covered).sum() / 2)
    n_eff = n / float((s * within**2).sum())
    return SampleShares(s, t, weights, n, float(np.abs(s - t).sum() / 2), _tv_by_chance(t, n, seed), kl, n_eff, n / n_eff, uncovered, bias)


def _tv_by_chance(target: FloatArray, n: int, seed: int) -> float:
    draws = np.random.default_rng(seed).multinomial(n, target, size=_CHANCE_DRAWS) / n
    return float(np.quantile(np.abs(draws - target).sum(axis=1) / 2, _CHANCE_LEVEL))


def rake(
    groups: Sequence[Group], counts: ArrayLike, margins: Sequence[tuple[Sequence[int], Mapping[Group, float]]], *, rounds: int = _ROUNDS
) -> FloatArray:
    """Return (n_groups,) joint shares that meet several margins and else keep the sample's shape (iterative proportional fitting).

    Parameters
    ----------
    groups : n_groups tuples of attribute values
    counts : (n_groups,) numbers of people
    margins : sequence of (attribute positions, {values at those positions: share})
        Every margin is met to 1e-8.
    rounds : int
        At most so many.

    Raises
    ------
    InputError
        When a margin has shares for values nobody in the sample has, lacks a value that is there, or the margins cannot be met together.
    """
    positive_count(rounds, "rounds")
    shares = np.asarray(counts, dtype=np.float64)
    shares = shares / shares.sum()
    wanted: list[tuple[Any, FloatArray]] = []
    for at, margin in margins:
        values = [tuple(group[i] for i in at) for group in groups]
        absent = (
            sorted(set(margin) - set(values))
            if (set(margin) - set(values)) and any(margin[v] > 0 for v in set(margin) - set(values))
            else []
        )
        if absent:
            raise InputError(
                f"nobody in the sample is {_name(absent[0])}, which a margin wants; give a joint target to see what is uncovered"
            )
        lacking = sorted(set(values) - set(margin))
        if lacking:
            raise InputError(f"a margin has no share for {_name(lacking[0])}, which the sample holds; add it, 0 if it does not count")
        kinds = sorted(set(values))
        share = np.array([margin[v] for v in kinds], dtype=np.float64)
        if not ((share >= 0) & np.isfinite(share)).all() or not share.sum() > 0:
            raise InputError("the shares of a margin must be finite numbers of at least 0, not all 0")
        wanted.append((np.array([kinds.index(v) for v in values]), share / share.sum()))
    for _ in range(rounds):
        for codes, share in wanted:
            now = np.bincount(codes, weights=shares, minlength=len(share))
            shares = shares * np.divide(share, now, out=np.zeros_like(share), where=now > 0)[codes]
        off = max(np.abs(np.bincount(codes, weights=shares, minlength=len(share)) - share).max() for codes, share in wanted)
        if off <= _TOLERANCE:
            return np.asarray(shares / shares.sum())
    raise InputError(f"the margins cannot be met together by the groups in the sample: off by {off:.2g} after {rounds} rounds")


def _name(values: Group) -> str:
    return " / ".join(map(repr, values))
