"""Annotation certainty: how sure do the annotations leave us of a case's class?

Stutz et al., arXiv 2307.02191, section 4: the chance, under the posterior of the plausibilities, that a class has rank k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray

#: Decimals beyond which two plausibilities count as tied: sums of 1/place in another order differ in the last digits.
DECIMALS = 12


def annotation_certainty(certainties: ArrayLike, groups: ArrayLike | None = None) -> FloatArray:
    """Return each case's certainty, (n,): the largest P(top class = c), or of a group of classes.

    Parameters
    ----------
    certainties : (n, K) float64
        From `DirichletIRN.certainty` (exact) or `rank_certainty` (samples).
    groups : (K,) int, optional
        Group 0, 1, ... of each class (a risk level, say): certainties are summed within groups first.
    """
    per_class = np.asarray(certainties, dtype=np.float64)
    if per_class.ndim != 2:
        raise InputError(f"certainties must be (n, K); got shape {per_class.shape}")
    return np.asarray((per_class if groups is None else group_certainty(per_class, groups)).max(axis=1))


def group_certainty(certainties: ArrayLike, groups: ArrayLike) -> FloatArray:
    """Return the certainties summed by group, (n, n_groups); `groups` (K,) holds the group 0, 1, ... of each class."""
    per_class, g = np.asarray(certainties, dtype=np.float64), np.asarray(groups)
    if per_class.ndim != 2 or g.shape != per_class.shape[1:] or not np.issubdtype(g.dtype, np.integer) or (g < 0).any():
        raise InputError(f"expected certainties (n, K) and K whole numbers >= 0 as groups; got shapes {per_class.shape} and {g.shape}")
    return np.asarray(per_class @ (g[:, None] == np.arange(g.max() + 1)).astype(np.float64))


def rank_certainty(samples: ArrayLike, k: int = 1) -> FloatArray:
    """Return P(the class of rank k is c), (n, K), from draws of the plausibilities.

    Parameters
    ----------
    samples : (n, m, K) float64
        Draws; exact ties go to the lowest class.
    k : int
        Rank from 1.
    """
    draws = check_samples(samples)
    n, m, classes = draws.shape
    if not 1 <= k <= classes:
        raise InputError(f"rank k is {k}; expected 1..{classes}")
    ranked = np.argmax(draws, axis=2) if k == 1 else np.argsort(-draws, axis=2, kind="stable")[:, :, k - 1]
    counts = np.bincount((np.arange(n)[:, None] * classes + ranked).ravel(), minlength=n * classes).reshape(n, classes)
    share = counts / m
    share[np.isnan(draws[:, 0]).any(axis=1)] = np.nan
    return np.asarray(share)


def topk_weights(values: ArrayLike, k: int, ties: str = "split") -> FloatArray:
    """Return how much of each class is among the k largest of a row: (..., K) weights that sum to k.

    ties: ``"split"`` shares the last places equally between tied classes (the expectation over random tie-breaking), ``"lowest"`` gives
    them to the lowest classes, as published code does. Values are compared after rounding to 12 decimals.
    """
    v = np.round(np.asarray(values, dtype=np.float64), DECIMALS)
    if ties not in ("split", "lowest"):
        raise InputError(f"ties is {ties!r}; expected 'split' or 'lowest'")
    if not 1 <= k <= v.shape[-1]:
        raise InputError(f"k is {k}; expected 1..{v.shape[-1]}")
    last = -np.partition(-v, k - 1, axis=-1)[..., k - 1 : k]
    above, tied = v > last, v == last
    open_places = k - above.sum(axis=-1, keepdims=True)
    if ties == "lowest":
        weights = (above | (tied & (np.cumsum(tied, axis=-1) <= open_places))).astype(np.float64)
    else:
        weights = above + tied * (open_places / np.maximum(tied.sum(axis=-1, keepdims=True), 1))
    weights[np.isnan(v).any(axis=-1)] = np.nan
    return np.asarray(weights)


def check_samples(samples: ArrayLike) -> FloatArray:
    """Return draws as (n, m, K) float64."""
    draws = np.asarray(samples, dtype=np.float64)
    if draws.ndim != 3 or 0 in draws.shape:
        raise InputError(f"samples must be (n, m, K) with at least one case, draw and class; got shape {draws.shape}")
    return draws
