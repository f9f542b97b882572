r"""Plackett-Luce posterior of the plausibilities: readers order classes by drawing them without replacement.

Stutz et al., arXiv 2307.02191, section 3; Gibbs sampler after Caron, Teh, Murphy, arXiv 1211.4268. Ties are summed over their orders by a
recursion over subsets, exact and without cancellation. Of a case only the K' classes that somebody named are kept, plus one for everything
else with the same prior: with many classes that is another model than with all K (prior mass of "everything else": 1 / (K' + 1)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.annotators.plackett_luce_gibbs import run_chains, subset_sums, terms
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray

_LARGEST_BATCH = 1 << 25  # numbers kept in one array


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
        loglik[members] = np.log(subset_sums(tied, after[members])[:, -1])
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
        return np.asarray(self._spread(self.samples))

    def mean(self) -> FloatArray:
        """Return the posterior mean of the plausibilities, (num_classes,), without building the draws over all classes."""
        return self._spread(self.samples.mean(axis=0))

    def certainty(self) -> FloatArray:
        """Return P(the top class is c), (num_classes,); unnamed classes share theirs equally."""
        best = self.samples.copy()
        best[:, len(self.classes) :] /= max(self.num_classes - len(self.classes), 1)
        # draws are continuous: the first of equal ones is as good as any
        top = np.bincount(best.argmax(axis=1), minlength=best.shape[1]) / len(best)
        return self._spread(top)

    def _spread(self, columns: FloatArray) -> FloatArray:
        named = len(self.classes)
        full = np.zeros((*columns.shape[:-1], self.num_classes))
        if named < self.num_classes:
            full[:] = columns[..., -1:] / (self.num_classes - named)
        full[..., self.classes] = columns[..., :named]
        return full


@dataclass(frozen=True)
class PlackettLuce:
    """Settings of the sampler.

    reader_repetitions: every reader counts that often (how much readers are trusted). shape, rate: Gamma prior of each unnormalised
    plausibility; `shape` makes it a symmetric Dirichlet, `rate` is part of the published model and cancels. burn_in, draws: iterations of
    each chain dropped and kept. chains run side by side in one array, as do cases; published settings are 500 and 1000 with few chains.
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
        """Return the posterior of each case, from `iterate`; all draws are in memory, 8 draws chains (K' + 1) bytes a case."""
        return list(self.iterate(rankings, seed))

    def iterate(self, rankings: PartialRankings, seed: int) -> Iterator[PlackettLucePosterior]:
        """Yield the posterior of each case in turn; cases are drawn in batches of at most 256 MB (or of one case).

        ``seed`` and all the rankings fix the draws: a case in other company gets other draws of the same law.

        Raises
        ------
        InputError
            On a case without readers, or a group of more than 16 tied classes.
        """
        if (rankings.n_readers == 0).any():
            raise InputError(f"case {int(np.argmin(rankings.n_readers))} has no readers; leave such cases out first")
        return self._batches(rankings, np.random.default_rng(seed))

    def _batches(self, rankings: PartialRankings, rng: np.random.Generator) -> Iterator[PlackettLucePosterior]:
        named = np.unique(rankings.case * rankings.num_classes + rankings.label) // rankings.num_classes
        sizes = (np.bincount(named, minlength=rankings.n_cases) + 1) * self.draws * self.chains
        batch = np.zeros(rankings.n_cases, dtype=np.int64)
        room, number = _LARGEST_BATCH, 0
        for i, size in enumerate(sizes.tolist()):
            if size > room and i:
                room, number = _LARGEST_BATCH, number + 1
            batch[i], room = number, room - size
        for b in range(number + 1 if rankings.n_cases else 0):
            yield from self._batch(rankings.cases(batch == b), rng)

    def _batch(self, rankings: PartialRankings, rng: np.random.Generator) -> Iterator[PlackettLucePosterior]:
        batch = terms(rankings)
        kept = run_chains(batch, self.chains, self.burn_in, self.draws, self.shape, self.reader_repetitions, rng)
        ends = np.r_[batch.start[1:], kept.shape[1]]
        for classes, start, end in zip(batch.classes, batch.start, ends, strict=True):
            own = np.ascontiguousarray(kept[:, start:end].transpose(0, 2, 1))
            yield PlackettLucePosterior(classes, own.reshape(-1, own.shape[2]), rankings.num_classes, split_r_hat(own))


def split_r_hat(draws: FloatArray) -> float:
    """Return the largest split-R-hat (Gelman et al. 2013) of draws (n_draws, n_chains, n_columns); 1 = chains agree."""
    half = len(draws) // 2
    chains = np.concatenate([draws[:half], draws[half : 2 * half]], axis=1)
    within = chains.var(axis=0, ddof=1).mean(axis=0)
    between = chains.mean(axis=0).var(axis=0, ddof=1)
    ratio = np.divide(between, within, out=np.zeros_like(within), where=within > 0)
    return float(np.sqrt((half - 1) / half + ratio).max())
