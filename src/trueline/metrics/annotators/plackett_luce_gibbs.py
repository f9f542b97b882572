r"""Gibbs chains of the Plackett-Luce posterior, many cases and chains side by side in one array.

After Caron, Teh, Murphy, arXiv 1211.4268. A likelihood term lambda_c / M, with M the mass of the classes not yet placed, is
:math:`\lambda_c \int e^{-M z}\,dz`: given a waiting time z ~ Exp(M) of every term, the plausibilities are independent Gammas. Terms of
readers who have placed the same classes wait together (a Gamma), and the order of what a reader left unranked is never drawn: a step takes
a few products with sparse matrices, and mixes faster than with a full order of every reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray

#: The recursion holds 2^g sums for a group of g tied classes.
LARGEST_GROUP = 16
_UNRANKED = np.iinfo(np.int64).max
_TINY = 1e-300  # what an underflowing Gamma draw becomes, so that no case sums to 0


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of columns as sparse matrices of ones: rows (sets, columns), back its transpose."""

    rows: Any
    back: Any

    @classmethod
    def of(cls, row: IntArray, column: IntArray, shape: tuple[int, int]) -> Sets:
        """Build from the (set, column) pairs that hold."""
        from scipy.sparse import csr_array

        rows = csr_array((np.ones(len(row)), (row, column)), shape=shape)
        return cls(rows, rows.T.tocsr())


@dataclass(frozen=True, eq=False)
class Tied:
    """All groups of one size g > 1: columns of their classes (n, g), the same as n g sets of one, and the classes placed later."""

    members: IntArray
    own: Sets
    after: Sets


@dataclass(frozen=True, eq=False)
class Terms:
    """The likelihood of a batch. Columns: the named classes of each case and, where it has others, one more for all of those.

    classes: the named classes of each case. start, case: first column of each case, case of each column. named: (columns,) times that a
    class stands in a group that says something. alone: what is not yet placed when a single class is; so it is for `times` readers.
    """

    classes: Sequence[IntArray]
    start: IntArray
    case: IntArray
    named: IntArray
    alone: Sets
    times: IntArray
    tied: Sequence[Tied]


def terms(rankings: PartialRankings) -> Terms:
    """Collect the likelihood of cases that all have readers. A group after which nothing is left has probability 1 and falls out."""
    key, column = np.unique(rankings.case * rankings.num_classes + rankings.label, return_inverse=True)
    count = np.bincount(key // rankings.num_classes, minlength=rankings.n_cases)
    first = np.cumsum(count) - count
    width = count + (count < rankings.num_classes)
    start = np.cumsum(width) - width
    local = column - first[rankings.case]
    placed = np.where(np.arange(width.max()) < width[rankings.reader_case][:, None], _UNRANKED, 0)
    placed[rankings.reader, local] = rankings.place
    # entries stand in order of reader and place: groups are runs
    new = np.r_[True, (np.diff(rankings.reader) != 0) | (np.diff(rankings.place) != 0)]
    begin = np.flatnonzero(new)
    size = np.diff(np.r_[begin, len(new)])
    after = placed[rankings.reader[begin]] > rankings.place[begin][:, None]
    says = after.any(axis=1)
    cells = start[rankings.case] + local
    total = int(width.sum())

    def sets(rows: IntArray, held: Any) -> Sets:
        row, at = np.nonzero(held)
        return Sets.of(row, start[rankings.case[begin[rows]]][row] + at, (len(rows), total))

    single = np.flatnonzero(says & (size == 1))
    waiting = after[single]
    waiting[np.arange(len(single)), local[begin[single]]] = True
    _, pick, times = np.unique(
        np.column_stack([rankings.case[begin[single]], np.packbits(waiting, axis=1)]), axis=0, return_index=True, return_counts=True
    )
    tied = []
    for g in np.unique(size[says & (size > 1)]).tolist():
        rows = np.flatnonzero(says & (size == g))
        members = cells[begin[rows][:, None] + np.arange(g)]
        tied.append(Tied(members, Sets.of(np.arange(members.size), members.ravel(), (members.size, total)), sets(rows, after[rows])))
    return Terms(
        np.split(key % rankings.num_classes, first[1:]),
        start,
        np.repeat(np.arange(rankings.n_cases), width),
        np.bincount(cells, np.repeat(says, size), minlength=total).astype(np.int64),
        sets(single[pick], waiting[pick]),
        times,
        tied,
    )


def run_chains(batch: Terms, chains: int, burn_in: int, draws: int, shape: float, copies: int, rng: np.random.Generator) -> FloatArray:
    """Return draws of the plausibilities, (draws, columns, chains), of sum 1 in each case; every reader counts `copies` times."""
    columns, width = len(batch.case), np.diff(np.r_[batch.start, len(batch.case)])
    posterior = (shape + copies * batch.named)[:, None]
    lam = _normalised(rng.standard_gamma(shape, (columns, chains)), batch)
    kept = np.empty((draws, columns, chains))
    for step in range(-burn_in, draws):
        waited = _waited(batch, lam, copies, rng)
        # The likelihood knows no scale: the sum S of the plausibilities is drawn afresh from its prior Gamma(shape width, rate), which
        # mixes faster. Waiting times scale with 1 / S, so that the prior's rate enters as rate S, a Gamma of unit rate: it cancels.
        prior = rng.standard_gamma(shape * width[:, None], (len(width), chains))
        lam = _normalised(rng.standard_gamma(posterior, lam.shape) / np.maximum(np.take(prior, batch.case, axis=0) + waited, _TINY), batch)
        if step >= 0:
            kept[step] = lam
    return kept


def _normalised(lam: FloatArray, batch: Terms) -> FloatArray:
    np.maximum(lam, _TINY, out=lam)
    lam /= np.take(np.add.reduceat(lam, batch.start, axis=0), batch.case, axis=0)
    return lam


def _waited(batch: Terms, lam: FloatArray, copies: int, rng: np.random.Generator) -> FloatArray:
    """Draw the sum over terms of how long each class waited unplaced, (columns, chains), given the plausibilities."""
    rate = batch.alone.rows @ lam
    waited: FloatArray = batch.alone.back @ (rng.standard_gamma(copies * batch.times[:, None], rate.shape) / rate)
    for group in batch.tied:
        n, g = group.members.shape
        tied = lam[group.members].transpose(0, 2, 1).reshape(-1, g)
        arrival, last = _tied_arrivals(tied, (group.after.rows @ lam).ravel(), copies, rng)
        waited += group.after.back @ last.reshape(n, -1)
        waited += group.own.back @ arrival.reshape(n, -1, g).transpose(0, 2, 1).reshape(n * g, -1)
    return waited


def _tied_arrivals(tied: FloatArray, after: FloatArray, copies: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw when each class of a tied group (n, g) arrives after the group before, and the last of them, (n,); sums over copies."""
    if tied.shape[1] == 2:
        return _pair_arrivals(tied, after, copies, rng)
    order = _tied_order(tied, after, copies, rng)
    ordered = np.take_along_axis(np.broadcast_to(tied[:, None, :], order.shape), order, axis=2)
    rate = after[:, None, None] + np.cumsum(ordered[:, :, ::-1], axis=2)[:, :, ::-1]
    times = np.cumsum(rng.standard_exponential(rate.shape) / rate, axis=2)
    arrival = np.empty_like(times)
    np.put_along_axis(arrival, order, times, axis=2)
    return np.asarray(arrival.sum(axis=1)), np.asarray(times[:, :, -1].sum(axis=1))


def _pair_arrivals(tied: FloatArray, after: FloatArray, copies: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """The same for pairs, most ties: the first class comes first with probability (after + first) / (2 after + both)."""
    one, two, rest = tied[:, 0], tied[:, 1], np.broadcast_to(after, (copies, len(tied)))
    swapped = rng.random(rest.shape) * (rest + rest + one + two) >= rest + one
    begin = rng.standard_exponential(rest.shape) / (rest + one + two)
    gap = rng.standard_exponential(rest.shape) / (rest + np.where(swapped, one, two))
    begin, gap, late = begin.sum(axis=0), gap.sum(axis=0), np.where(swapped, gap, 0.0).sum(axis=0)
    return np.stack([begin + late, begin + gap - late], axis=1), begin + gap


def _tied_order(tied: FloatArray, after: FloatArray, copies: int, rng: np.random.Generator) -> IntArray:
    """Draw the order inside a tied group, (chains, copies, g): the first of a set A is c with probability ~ lambda_c L(A without c)."""
    chains, g = tied.shape
    order = np.zeros((chains, copies, g), dtype=np.int64)
    if g == 1:
        return order
    sums = subset_sums(tied, after)
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


def subset_sums(tied: FloatArray, after: FloatArray) -> FloatArray:
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
