r"""Plackett-Luce posterior of the plausibilities: readers order classes by drawing them without replacement.

Stutz et al., arXiv 2307.02191, section 3; Gibbs sampler after Caron, Teh, Murphy, arXiv 1211.4268. Ties are summed over their orders by a
recursion over subsets, exact and without cancellation. Of a case only the K' classes that somebody named are kept, plus one for everything
else with the same prior: with many classes that is another model than with all K (prior mass of "everything else": 1 / (K' + 1)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.annotators.certainty import topk_weights
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray

#: The recursion holds 2^g sums for a group of g tied classes.
LARGEST_GROUP = 16


def plackett_luce_loglik(rankings: PartialRankings, log_plausibilities: ArrayLike) -> FloatArray:
    r"""Return the log-likelihood of each case, (n_cases,) nats, summed over readers; 0 without readers.

    .. math:: \prod_j \sum_{o \in \mathrm{orders}(B_j)} \prod_t \frac{\lambda_{o_t}}{R_j - \sum_{s<t} \lambda_{o_s}}

    with R_j the mass not in earlier groups: later and unranked classes stay in every denominator.

    Parameters
    ----------
    rankings : PartialRankings
    log_plausibilities : (n_cases, K) float64
        Of any scale, it cancels.
    """
    log_lam = np.asarray(log_plausibilities, dtype=np.float64)
    if log_lam.shape != (rankings.n_cases, rankings.num_classes) or not np.isfinite(log_lam).all():
        raise InputError(f"log_plausibilities must be ({rankings.n_cases}, {rankings.num_classes}) finite; got shape {log_lam.shape}")
    lam = np.exp(log_lam - log_lam.max(axis=1, keepdims=True))
    value = lam[rankings.case, rankings.label]
    width = int(rankings.place.max(initial=0)) + 1
    key = rankings.reader * width + rankings.place
    groups, group = np.unique(key, return_inverse=True)
    unnamed = lam[rankings.reader_case].copy()
    unnamed[rankings.reader, rankings.label] = 0.0
    mass = np.asarray(np.bincount(group, value, minlength=len(groups)), dtype=np.float64)
    after = _mass_after(groups // width, groups % width, mass, unnamed.sum(axis=1))
    order = np.argsort(group, kind="stable")
    size = np.bincount(group, minlength=len(groups))
    start = np.cumsum(size) - size
    loglik = np.zeros(len(groups))
    for g in np.unique(size).tolist():
        members = np.flatnonzero(size == g)
        tied = value[order][start[members][:, None] + np.arange(g)]
        loglik[members] = np.log(_subset_sums(tied, after[members])[:, -1])
    total = np.bincount(rankings.reader_case[groups // width], loglik, minlength=rankings.n_cases)
    return np.asarray(total, dtype=np.float64)


def _mass_after(reader: IntArray, place: IntArray, mass: FloatArray, unnamed: FloatArray) -> FloatArray:
    """Mass ranked after each group, summed from the tail so that nothing cancels."""
    rest, after = unnamed.copy(), np.empty(len(mass))
    for j in range(int(place.max(initial=0)), 0, -1):
        at = np.flatnonzero(place == j)
        after[at] = rest[reader[at]]
        rest[reader[at]] += mass[at]
    return after


def _subset_sums(tied: FloatArray, after: FloatArray) -> FloatArray:
    r"""L(A) of every subset A (bit mask) of a tied group, (..., 2^g): L(A) = sum_c lambda_c L(A \ c) / (after + lambda_A), L({}) = 1."""
    g = tied.shape[-1]
    if g > LARGEST_GROUP:
        raise InputError(f"a reader ties {g} classes in one group; at most {LARGEST_GROUP} can be summed over their orders")
    sums = np.zeros((*tied.shape[:-1], 1 << g))
    sums[..., 0] = 1.0
    for mask in range(1, 1 << g):
        bits = [c for c in range(g) if mask >> c & 1]
        ways = sum(tied[..., c] * sums[..., mask ^ (1 << c)] for c in bits)
        sums[..., mask] = ways / (after + tied[..., bits].sum(axis=-1))
    return sums


@dataclass(frozen=True, eq=False)
class PlackettLucePosterior:
    """Posterior of one case.

    Attributes
    ----------
    classes : (K',) int64
        Classes that somebody named, rising.
    samples : (m, K' [+ 1]) float64
        Draws of the plausibilities; the last column, where K' < num_classes, is all other classes together.
    num_classes : int
    r_hat : float
        Largest split-R-hat of a column over the chains; above 1.02 the chains are too short.
    """

    classes: IntArray
    samples: FloatArray
    num_classes: int
    r_hat: float

    def plausibilities(self) -> FloatArray:
        """Return draws over all classes, (m, num_classes): the mass of the others split equally."""
        named = len(self.classes)
        full = np.zeros((len(self.samples), self.num_classes))
        if named < self.num_classes:
            full[:] = self.samples[:, -1:] / (self.num_classes - named)
        full[:, self.classes] = self.samples[:, :named]
        return full

    def certainty(self) -> FloatArray:
        """Return P(the top class is c), (num_classes,); unnamed classes share theirs equally."""
        return np.asarray(topk_weights(self.plausibilities(), 1).mean(axis=0))


@dataclass(frozen=True)
class PlackettLuce:
    """Settings of the sampler.

    reader_repetitions: every reader counts that often (how much readers are trusted). shape, rate: Gamma prior of each unnormalised
    plausibility (only `shape` matters: a symmetric Dirichlet). burn_in, draws: iterations of each chain dropped and kept. chains run side
    by side in one array, so that more of them cost little; published settings are 500 and 1000 with few chains.
    """

    reader_repetitions: int = 1
    shape: float = 1.0
    rate: float = 1.0
    burn_in: int = 200
    draws: int = 1000
    chains: int = 20

    def __post_init__(self) -> None:
        counts = (self.reader_repetitions, self.draws - 3, self.chains, self.burn_in + 1)
        if min(counts) < 1 or not (0 < self.shape < np.inf and 0 < self.rate < np.inf):
            raise InputError(f"expected positive settings and at least 4 draws; got {self}")

    def sample(self, rankings: PartialRankings, seed: int) -> list[PlackettLucePosterior]:
        """Return the posterior of each case; ``seed`` and the number of the case fix its draws. A case without readers is an error."""
        if (rankings.n_readers == 0).any():
            raise InputError(f"case {int(np.argmin(rankings.n_readers))} has no readers; leave such cases out first")
        bounds = np.searchsorted(rankings.case, np.arange(rankings.n_cases + 1))
        return [
            self._sample_case(rankings, slice(bounds[i], bounds[i + 1]), np.random.default_rng([seed, i])) for i in range(rankings.n_cases)
        ]

    def _sample_case(self, rankings: PartialRankings, part: slice, rng: np.random.Generator) -> PlackettLucePosterior:
        classes, column = np.unique(rankings.label[part], return_inverse=True)
        reader, place = rankings.reader[part], rankings.place[part]
        orders = [
            [column[(reader == r) & (place == j)] for j in range(1, int(place[reader == r].max()) + 1)] for r in np.unique(reader).tolist()
        ]
        width = len(classes) + (len(classes) < rankings.num_classes)
        lam = rng.standard_gamma(self.shape, (self.chains, width)) + 1e-12
        kept = np.empty((self.draws, self.chains, width))
        copies = len(orders) * self.reader_repetitions
        for step in range(-self.burn_in, self.draws):
            waited = sum(_arrivals(lam, groups, self.reader_repetitions, rng) for groups in orders)
            lam = rng.standard_gamma(self.shape + copies, lam.shape) / (self.rate + waited)
            lam /= lam.sum(axis=1, keepdims=True)
            if step >= 0:
                kept[step] = lam
            # the likelihood knows no scale, so the sum may be drawn afresh from its prior: the chain then mixes faster
            lam = lam * rng.standard_gamma(self.shape * width, (self.chains, 1)) / self.rate
        return PlackettLucePosterior(classes, kept.reshape(-1, width), rankings.num_classes, split_r_hat(kept))


def _arrivals(lam: FloatArray, groups: list[IntArray], copies: int, rng: np.random.Generator) -> FloatArray:
    """Sum over copies of one reader of each class's arrival time, (chains, width), given the plausibilities and the partial ranking.

    Arrivals are exponential with rate lambda, conditioned on the ranking: tied groups in an order drawn exactly, and the gap before each
    arrival has the rate of all that has not arrived. What is unranked needs no order: it comes after the last group, without memory.
    """
    chains, width = lam.shape
    each = np.broadcast_to(lam[:, None, :], (chains, copies, width))
    unranked = np.ones(width, dtype=bool)
    unranked[np.concatenate(groups)] = False
    rest = lam[:, unranked].sum(axis=1)
    after = []
    for group in reversed(groups):
        after.append(rest)
        rest = rest + lam[:, group].sum(axis=1)
    arrival, clock = np.empty(each.shape), np.zeros((chains, copies))
    for group, later in zip(groups, reversed(after), strict=True):
        order = _tied_order(lam[:, group], later, copies, rng)
        ordered = np.take_along_axis(each[:, :, group], order, axis=2)
        waiting = later[:, None, None] + np.cumsum(ordered[:, :, ::-1], axis=2)[:, :, ::-1]
        times = clock[:, :, None] + np.cumsum(rng.standard_exponential(waiting.shape) / waiting, axis=2)
        clock = times[:, :, -1]
        back = np.empty_like(times)
        np.put_along_axis(back, order, times, axis=2)
        arrival[:, :, group] = back
    tail = each[:, :, unranked]
    arrival[:, :, unranked] = clock[:, :, None] + rng.standard_exponential(tail.shape) / tail
    return np.asarray(arrival.sum(axis=1))


def _tied_order(tied: FloatArray, after: FloatArray, copies: int, rng: np.random.Generator) -> IntArray:
    """Draw the order inside a tied group, (chains, copies, g): the first of a set A is c with probability ~ lambda_c L(A without c)."""
    chains, g = tied.shape
    order = np.zeros((chains, copies, g), dtype=np.int64)
    if g == 1:
        return order
    sums = _subset_sums(tied, after)
    bit = 1 << np.arange(g)
    left = np.full((chains, copies), (1 << g) - 1)
    row = np.arange(chains)[:, None, None]
    for t in range(g):
        inside = (left[:, :, None] & bit) > 0
        weight = np.where(inside, tied[:, None, :] * sums[row, np.where(inside, left[:, :, None] ^ bit, 0)], 0.0)
        steps = np.cumsum(weight, axis=2)
        # a draw in [0, total) stops at the first step above it: never at a class of weight 0
        pick = (steps <= rng.random((chains, copies, 1)) * steps[:, :, -1:]).sum(axis=2)
        order[:, :, t] = np.minimum(pick, g - 1)
        left ^= bit[order[:, :, t]]
    return order


def split_r_hat(draws: FloatArray) -> float:
    """Return the largest split-R-hat (Gelman et al. 2013) of draws (n_draws, n_chains, n_columns); 1 = chains agree."""
    half = len(draws) // 2
    chains = np.concatenate([draws[:half], draws[half : 2 * half]], axis=1)
    within = chains.var(axis=0, ddof=1).mean(axis=0)
    between = chains.mean(axis=0).var(axis=0, ddof=1)
    ratio = np.divide(between, within, out=np.zeros_like(within), where=within > 0)
    return float(np.sqrt((half - 1) / half + ratio).max())
