"""How far one reward model is from the preferences of each group, and how far any single reward must be.

The plug-in gap between a probability and a rate from few votes is mostly noise; here squared gaps are made of pairs of votes, so that they
are unbiased. After the definition of epsilon-representativeness in Sahoo et al. (arXiv 2511.19504); the estimators and the floor are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError
from trueline.metrics.preferences._checks import group_names, probabilities, shares, vote_table
from trueline.metrics.preferences.floor import between_groups, worst_case_mixture
from trueline.metrics.preferences.votes import IntArray, Votes, item_weights, rates
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import percentile
from trueline.stats.sample import cluster_codes

NARROW = "the interval is too narrow: nobody knows which votes are of one annotator"
#: A group with fewer items leans on the other groups in `RewardGaps.shrunk`.
FEW_ITEMS = 30
_SMALL = 1e-3
_TOTALS = ("weighted", "population", "floor_weighted", "floor_worst")


@dataclass(frozen=True)
class RewardGaps:
    """How far a model's preferences are from each group's; root-mean-square gaps of probabilities over items, in [0, 1].

    Squared, ``weighted`` is ``population`` plus ``floor_weighted`` where every group judged every item: the first part a better single
    reward could gain, the second none can. ``worst`` and the floors are over the groups of the target.

    Attributes
    ----------
    groups, target : names and shares
        For whom this is said.
    gap2 : (n_groups,) float64
        Unbiased mean squared gap; below 0 where noise outweighs it. NaN without an item of two votes.
    n_items, n_single : (n_groups,) int64
        Items used, and items left out because they have one vote only.
    epsilon : tuple of Estimate, one a group
        sqrt(max(0, gap2)).
    shrunk : (n_groups,) float64
        gap2 drawn to the mean of the groups by a normal model (empirical Bayes); for groups with fewer than 30 items.
    plugin : (n_groups,) float64
        Mean |q - k/n|, for comparison: biased upward.
    weighted, worst : Estimate
        Over people of the target; and the largest of the groups, its interval simultaneous over them.
    population : Estimate
        Gap to the average person. It can be near 0 while the model is wrong for every group.
    floor_weighted, floor_worst : Estimate
        The least `weighted` and the least `worst` that any single probability an item can have.
    single : (n_items,) float64
        The single probabilities with the least `weighted`; NaN where no group of the target voted.
    warnings : tuple of str
    """

    groups: list[str]
    target: FloatArray
    gap2: FloatArray
    n_items: IntArray
    n_single: IntArray
    epsilon: tuple[Estimate, ...]
    shrunk: FloatArray
    plugin: FloatArray
    weighted: Estimate
    worst: Estimate
    population: Estimate
    floor_weighted: Estimate
    floor_worst: Estimate
    single: FloatArray
    warnings: tuple[str, ...]


def reward_representativeness(
    model_prob: ArrayLike,
    yes: ArrayLike | Votes,
    total: ArrayLike | None = None,
    target: ArrayLike | None = None,
    *,
    groups: Sequence[str] | None = None,
    clusters: ArrayLike | None = None,
    ci: CI | None = None,
) -> RewardGaps:
    r"""Return the gaps of a model to each group, with the floors of any single reward.

    With q a probability, p = k/n a rate and U = k(k-1)/(n(n-1)) its unbiased square, the squared gap is
    :math:`h_{ig} = q_i^2 - 2 q_i p_{ig} + U_{ig} = (q_i - p_{ig})^2 - p_{ig}(1 - p_{ig})/(n_{ig} - 1)`.

    Parameters
    ----------
    model_prob : (n_items,) float64 in [0, 1]
        Probability that the first response is the better one; NaN is missing and left out.
    yes, total : (n_items, n_groups) whole numbers
        Votes for the first response, and votes. Or `Votes` alone: where annotators judge several items, intervals then hold the
        variance of both, items and annotators; otherwise of items.
    target : (n_groups,) float64, optional
        Shares of the people that count; equal ones by default.
    groups : names, optional
    clusters : (n_items,) labels, optional
        Items that share one are drawn together.
    ci : CI, optional
        Level, replicates (default 1,000) and seed of percentile intervals; kind "none" makes none.

    Raises
    ------
    InputError
        For tables that do not fit, numbers out of range, or no item of two votes in any group of the target.
    """
    votes = yes if isinstance(yes, Votes) else None
    k, n = yes.counts() if isinstance(yes, Votes) else vote_table(yes, [] if total is None else total)
    names = votes.groups if votes is not None else group_names(groups, k.shape[1])
    gaps = _Gaps.make(probabilities(model_prob, len(k)), k, n, shares(target, names))
    ci = ci or CI(n_boot=1000)
    codes = None if clusters is None else cluster_codes(clusters, len(k))
    draws = None if ci.kind == "none" else _replicates(gaps, votes, codes, ci)
    report = _Report(gaps, names, draws, votes, ci)
    p = rates(k, n)[0]
    voted = np.where(np.isfinite(p), gaps.t, 0.0)
    mass = voted.sum(axis=1)
    return RewardGaps(
        groups=names,
        target=gaps.t,
        gap2=gaps.point[: len(names)],
        n_items=gaps.n_items,
        n_single=((n == 1) & np.isfinite(gaps.q)[:, None]).sum(axis=0),
        epsilon=tuple(report.group(g) for g in range(len(names))),
        shrunk=_shrunk(gaps.point[: len(names)], None if draws is None else draws[:, : len(names)]),
        plugin=_mean(np.abs(gaps.q[:, None] - p), np.ones(len(k))),
        worst=report.worst(),
        **{name: report.total(name) for name in _TOTALS},
        single=np.divide((voted * np.nan_to_num(p)).sum(axis=1), mass, out=np.full(len(k), np.nan), where=mass > 0),
        warnings=tuple(report.warnings()),
    )


@dataclass(frozen=True)
class _Gaps:
    """The table, the groups that can be judged, and every squared gap on it."""

    q: FloatArray
    p: FloatArray
    square: FloatArray
    t: FloatArray
    active: NDArray[np.bool_]  # groups of the target with a usable item
    complete: NDArray[np.bool_]  # items on which all active groups are usable
    mixture: FloatArray  # of the active groups: the one for which a single reward does worst
    n_items: IntArray
    point: FloatArray

    @classmethod
    def make(cls, q: FloatArray, k: FloatArray, n: FloatArray, t: FloatArray) -> _Gaps:
        p, square = rates(k, n)
        usable = np.isfinite(square) & np.isfinite(q)[:, None]
        active: NDArray[np.bool_] = np.asarray(usable.any(axis=0) & (t > 0))
        if not active.any():
            raise InputError(
                "no item has two votes of one group of the target and a probability of the model: no gap can be told from noise"
            )
        complete: NDArray[np.bool_] = np.asarray(usable[:, active].all(axis=1))
        mixture = (
            worst_case_mixture(p[complete][:, active], square[complete][:, active]) if complete.any() else np.full(active.sum(), np.nan)
        )
        made = cls(q, p, square, t, active, complete, mixture, usable.sum(axis=0), np.empty(0))
        return cls(**(vars(made) | {"point": made.statistics(np.ones(len(q)), p, square)}))

    def statistics(self, w: FloatArray, p: FloatArray, square: FloatArray) -> FloatArray:
        """Return one squared gap a group, then those of `_TOTALS`, under weights of the items."""
        by_group = _mean((self.q**2)[:, None] - 2 * self.q[:, None] * p + square, w)
        share = self.t[self.active] / self.t[self.active].sum()
        rows = self.complete
        mean, mean_square, spread = between_groups(p[rows][:, self.active], square[rows][:, self.active], share)
        extreme = between_groups(p[rows][:, self.active], square[rows][:, self.active], self.mixture)[2]
        q = self.q[rows]
        rest = _mean(np.column_stack([q**2 - 2 * q * mean + mean_square, spread, extreme]), w[rows])
        return np.concatenate([by_group, [share @ by_group[self.active]], rest])


def _mean(values: FloatArray, w: FloatArray) -> FloatArray:
    good = np.isfinite(values)
    mass = w @ good
    return np.divide(w @ np.where(good, values, 0.0), mass, out=np.full(values.shape[1], np.nan), where=mass > 0)


def _variance(draws: FloatArray) -> FloatArray:
    """Return the variance over the replicates that are defined; 0 where fewer than two are."""
    good = np.isfinite(draws)
    n = good.sum(axis=0)
    off = np.where(good, draws - _mean(draws, np.ones(len(draws))), 0.0)
    return np.asarray((off**2).sum(axis=0) / np.maximum(n - 1, 1))


def _replicates(gaps: _Gaps, votes: Votes | None, clusters: IntArray | None, ci: CI) -> FloatArray:
    """Return (n_boot, n_statistics) of items drawn anew; where annotators judged several, spread out by what annotators add."""
    rng = np.random.default_rng(ci.seed)
    rows = [gaps.statistics(w, gaps.p, gaps.square) for w in item_weights(len(gaps.q), clusters, ci.n_boot, rng)]
    draws = np.array(rows)
    if votes is None or votes.annotator is None or not votes.crossed:
        return draws
    of_items = _variance(draws)
    of_annotators = _linear_variance(gaps, votes, votes.annotator, ci, rng)
    of_votes = _linear_variance(gaps, votes, np.arange(len(votes.choice)), ci, rng)
    # The noise of single votes is in both of the first two (Cameron, Gelbach and Miller 2011); a difference of estimates may go astray.
    both = np.maximum(of_items + of_annotators - of_votes, np.maximum(of_items, of_annotators))
    wider = np.sqrt(np.divide(both, of_items, out=np.ones_like(both), where=of_items > 0))
    return np.asarray(gaps.point + (draws - gaps.point) * wider)


def _linear_variance(gaps: _Gaps, votes: Votes, unit: IntArray, ci: CI, rng: np.random.Generator) -> FloatArray:
    """Return the variance of every statistic over units of votes: the infinitesimal jackknife, by small random changes of their weights."""
    even = np.ones(len(gaps.q))
    moved = [
        gaps.statistics(even, *votes.rates(1 + _SMALL * rng.standard_normal(int(unit.max()) + 1)[unit])) - gaps.point
        for _ in range(ci.n_boot)
    ]
    return _mean(np.array(moved) ** 2, np.ones(ci.n_boot)) / _SMALL**2


@dataclass(frozen=True)
class _Report:
    """Turns squared gaps and their replicates into estimates."""

    gaps: _Gaps
    names: list[str]
    draws: FloatArray | None
    votes: Votes | None
    ci: CI

    def group(self, g: int) -> Estimate:
        return self._root(g, int(self.gaps.n_items[g]), "no item has two votes of this group", self._doubt())

    def total(self, name: str) -> Estimate:
        if name == "weighted":
            n = int((np.isfinite(self.gaps.square[:, self.gaps.active]).any(axis=1) & np.isfinite(self.gaps.q)).sum())
        else:
            n = int(self.gaps.complete.sum())
        why = "no item has two votes of every group of the target"
        return self._root(len(self.names) + _TOTALS.index(name), n, why, self._partial() or self._doubt())

    def worst(self) -> Estimate:
        """The largest gap over the groups of the target; the interval holds all of them at once (largest standardised deviation)."""
        at = np.flatnonzero(self.gaps.active)
        values, n = self.gaps.point[at], int(self.gaps.n_items[at].min())
        if self.draws is None:
            return Estimate(_root(values.max()), level=self.ci.level, n=n, reason=self._partial())
        draws = self.draws[:, at]
        spread = np.sqrt(_variance(draws))
        # A replicate without an item of a group says nothing about it.
        off = np.nan_to_num(np.abs(draws - values))
        largest = np.divide(off, spread, out=np.zeros_like(off), where=spread > 0).max(axis=1)
        reach = float(np.quantile(largest, self.ci.level))
        low, high = _root((values - reach * spread).max()), _root((values + reach * spread).max())
        method = f"simultaneous over {len(at)} groups, {self._units()}"
        return Estimate(_root(values.max()), low, min(1.0, high), self.ci.level, n, 0, method, reason=self._partial() or self._doubt())

    def _root(self, at: int, n: int, undefined: str, doubt: str | None) -> Estimate:
        missing, value = len(self.gaps.q) - n, float(self.gaps.point[at])
        if math.isnan(value):
            return Estimate.undefined(undefined, n=n, n_missing=missing, level=self.ci.level)
        if self.draws is None:
            return Estimate(_root(value), level=self.ci.level, n=n, n_missing=missing, reason=doubt if doubt != NARROW else None)
        drawn = self.draws[:, at][np.isfinite(self.draws[:, at])]
        if n < 2 or len(drawn) < 2:
            return Estimate(_root(value), level=self.ci.level, n=n, n_missing=missing, reason="one item: no interval")
        low, high = (_root(end) for end in percentile(drawn, self.ci.level))
        se = float(np.sqrt(np.maximum(drawn, 0)).std(ddof=1))
        return Estimate(_root(value), low, high, self.ci.level, n, missing, f"percentile, {self._units()}", float(n), se, doubt)

    def _units(self) -> str:
        crossed = self.votes is not None and self.votes.crossed
        return f"{self.ci.n_boot} replicates of items{' and annotators' if crossed else ''}"

    def _doubt(self) -> str | None:
        return NARROW if self.draws is not None and (self.votes is None or self.votes.annotator is None) else None

    def _partial(self) -> str | None:
        out = (self.gaps.t > 0) & ~self.gaps.active
        if not out.any():
            return None
        listed = ", ".join(name for name, is_out in zip(self.names, out, strict=True) if is_out)
        return f"nothing is known about {listed}, {self.gaps.t[out].sum():.1%} of the target"

    def warnings(self) -> list[str]:
        found = [text for text in (self._partial(), self._doubt()) if text]
        few = [name for name, n in zip(self.names, self.gaps.n_items, strict=True) if 0 < n < FEW_ITEMS]
        if few:
            found.append(f"fewer than {FEW_ITEMS} items: {', '.join(few)}; their gaps also stand drawn to the mean of the groups (shrunk)")
        return found


def _root(value: float) -> float:
    return math.sqrt(max(0.0, float(value)))


def _shrunk(gap2: FloatArray, draws: FloatArray | None) -> FloatArray:
    """Return posterior means under gap2_g ~ N(theta_g, se_g^2), theta_g ~ N(mu, tau^2); tau^2 by DerSimonian and Laird's moments."""
    known = np.isfinite(gap2)
    if draws is None or known.sum() < 3:
        return gap2.copy()
    se2 = _variance(draws[:, known])
    sure = se2 > 0
    if sure.sum() < 3:
        return gap2.copy()
    values, v = gap2[known][sure], se2[sure]
    w = 1 / v
    mu = (w @ values) / w.sum()
    tau2 = max(0.0, float((w @ (values - mu) ** 2 - (len(v) - 1)) / (w.sum() - (w**2).sum() / w.sum())))
    mu = (values / (v + tau2)).sum() / (1 / (v + tau2)).sum()
    out = gap2.copy()
    out[np.flatnonzero(known)[sure]] = (tau2 * values + v * mu) / (tau2 + v)
    return out
