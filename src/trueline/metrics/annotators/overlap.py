"""Average overlap of two rankings, with ties and unranked classes.

Stutz et al., arXiv 2307.02191, appendix on metrics; Webber et al. 2010 for the overlap itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def average_overlap(predicted: ArrayLike, ranking: ArrayLike, depth: ArrayLike) -> FloatArray:
    r"""Return :math:`\frac{1}{L} \sum_{d=1}^{L} |\mathrm{top}_d(a) \cap \mathrm{top}_d(b)| / d`, (n,); 0 where L = 0.

    predicted, ranking: (n, K) the class at each place, best first, each row a permutation. depth: L of each case, 0..K.
    """
    a, b, length = _permutations(predicted), _permutations(ranking), _depth(depth, np.shape(ranking))
    if a.shape != b.shape:
        raise InputError(f"predicted and ranking must have one shape; got {a.shape} and {b.shape}")
    # a class at places p and q is in both tops from depth max(p, q) + 1 on
    both = np.maximum(np.argsort(a, axis=1), np.argsort(b, axis=1))
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, a.shape[1] + 1))])
    gain = np.where(both < length[:, None], harmonic[length][:, None] - harmonic[both], 0.0)
    return _per_depth(gain.sum(axis=1), length)


def partial_average_overlap(
    predicted: ArrayLike,
    predicted_groups: ArrayLike,
    ranking: ArrayLike,
    groups: ArrayLike,
    depth: ArrayLike,
    *,
    normalise: bool = True,
) -> FloatArray:
    """Return the average overlap of partial rankings, (n,), in [0, 1]; 0 for an empty ranking or depth 0.

    A class of a tied group holds 1/size of each place that its group takes up; all unranked classes form one last group. Normalised, the
    overlap is divided by the geometric mean of the overlaps of both rankings with themselves.

    predicted, ranking: (n, K) the class at each place, a permutation. predicted_groups, groups: (n, K) number of the tied group at each
    place, not falling, -1 = unranked (last). depth: (n,) number of ranked classes of the reference.
    """
    length = _depth(depth, np.shape(ranking))
    rows = int(length.max(initial=0))
    a, a_empty = _cumulated(predicted, predicted_groups, rows)
    b, b_empty = _cumulated(ranking, groups, rows)
    if a.shape != b.shape:
        raise InputError(f"predicted and ranking must have one shape; got {np.shape(predicted)} and {np.shape(ranking)}")
    within = (np.arange(rows) < length[:, None]) / np.arange(1, rows + 1)

    def overlap(x: FloatArray, y: FloatArray) -> FloatArray:
        return _per_depth(np.einsum("ndk,ndk,nd->n", x, y, within), length)

    value = overlap(a, b)
    if normalise:
        norm = np.sqrt(overlap(a, a) * overlap(b, b))
        value = np.divide(value, norm, out=np.zeros_like(value), where=norm > 0)
    return np.where(a_empty | b_empty, 0.0, value)


def _cumulated(order: ArrayLike, groups: ArrayLike, rows: int) -> tuple[FloatArray, BoolArray]:
    """Sum over the first d places of the class weights, (n, rows, K), and which rankings are empty."""
    classes, group = _permutations(order), np.asarray(groups)
    if group.shape != classes.shape:
        raise InputError(f"groups must have the shape of the ranking, {classes.shape}; got {group.shape}")
    last = np.where(group < 0, np.iinfo(np.int64).max, group)
    if (np.diff(last, axis=1) < 0).any():
        raise InputError("groups must not fall from place to place, with -1 (unranked) last")
    same = last[:, :rows, None] == last[:, None, :]
    weight = same / np.maximum(same.sum(axis=2, keepdims=True), 1)
    by_class = np.zeros(weight.shape)
    np.put_along_axis(by_class, np.broadcast_to(classes[:, None, :], weight.shape), weight, axis=2)
    return np.cumsum(by_class, axis=1), np.asarray((group < 0).all(axis=1))


def _permutations(order: ArrayLike) -> IntArray:
    classes = np.asarray(order)
    if classes.ndim != 2 or not np.array_equal(np.sort(classes, axis=1), np.broadcast_to(np.arange(classes.shape[1]), classes.shape)):
        raise InputError(f"a ranking must be (n, K), each row holding every class 0..K-1 once; got shape {classes.shape}")
    return classes.astype(np.int64)


def _depth(depth: ArrayLike, shape: tuple[int, ...]) -> IntArray:
    length = np.asarray(depth)
    if length.shape != shape[:1] or not np.issubdtype(length.dtype, np.integer) or (length < 0).any() or (length > shape[1]).any():
        raise InputError(f"depth must be ({shape[0]},) whole numbers in 0..{shape[1]}; got shape {length.shape}")
    return length.astype(np.int64)


def _per_depth(total: FloatArray, length: IntArray) -> FloatArray:
    return np.divide(total, length, out=np.zeros(len(total)), where=length > 0)
