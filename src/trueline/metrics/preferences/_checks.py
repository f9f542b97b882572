"""What the functions on preference data refuse at the door."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray


def open_unit(value: float, name: str) -> float:
    """Return a number that lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}; expected a number between 0 and 1, both excluded")
    return float(value)


def positive_count(value: int, name: str, least: int = 1) -> int:
    """Return a whole number of at least `least`."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise InputError(f"{name} is {value}; expected a whole number of at least {least}")
    return int(value)


def vote_table(yes: ArrayLike, total: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return (n_items, n_groups) counts of votes for the first response, and of votes."""
    k, n = (np.asarray(a, dtype=np.float64) for a in (yes, total))
    if k.ndim != 2 or k.shape != n.shape or not k.size:
        raise InputError(
            f"yes has shape {k.shape} and total {n.shape}; expected one table each, items x groups, of the same non-empty shape"
        )
    bad = ~((k >= 0) & (k <= n) & np.isfinite(n) & (k == np.floor(k)) & (n == np.floor(n)))
    if bad.any():
        i, g = np.argwhere(bad)[0]
        raise InputError(f"item {i}, group {g}: {k[i, g]:g} of {n[i, g]:g} votes; expected whole numbers, 0 <= yes <= total")
    return k, n


def probabilities(model_prob: ArrayLike, n_items: int) -> FloatArray:
    """Return (n_items,) probabilities that the first response is preferred; NaN is missing."""
    q = np.asarray(model_prob, dtype=np.float64)
    if q.shape != (n_items,):
        raise InputError(f"model_prob has shape {q.shape}; expected one number an item, ({n_items},)")
    bad = ~((q >= 0) & (q <= 1)) & ~np.isnan(q)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InputError(f"model_prob[{i}] is {q[i]}; expected a probability. Turn reward differences into one with a sigmoid first")
    return q


def shares(target: ArrayLike | None, groups: Sequence[str]) -> FloatArray:
    """Return (n_groups,) target shares that sum to 1; equal ones without a target."""
    n_groups = len(groups)
    if target is None:
        return np.full(n_groups, 1 / n_groups)
    t = np.asarray(target, dtype=np.float64)
    if t.shape != (n_groups,) or not (t >= 0).all() or not np.isfinite(t).all() or not t.sum() > 0:
        raise InputError(f"the target shares are {t.tolist()}; expected {n_groups} numbers of at least 0, one a group, not all 0")
    return np.asarray(t / t.sum())


def group_names(groups: Sequence[str] | None, n_groups: int) -> list[str]:
    """Return the names of the groups: those given, or their numbers."""
    names = [str(g) for g in range(n_groups)] if groups is None else [str(g) for g in groups]
    if len(names) != n_groups or len(set(names)) < n_groups:
        raise InputError(f"{len(names)} group names ({len(set(names))} distinct) for {n_groups} groups; give each group a name of its own")
    return names
