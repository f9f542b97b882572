"""Priorities of principles from their wins over one another.

Buyl et al. 2025 (arXiv 2502.10441). The priority minimises sum n_cd BCE(sigmoid(w_c - w_d), PS_cd), which is the Bradley-Terry likelihood
(Bradley and Terry 1952; a finite optimum exists only where wins go round, Ford 1957). Published code runs 30,000 float32 gradient steps
and drops only the first layer of principles that always win or lose; here Newton in float64, and layers are dropped until none is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.discretion import wins_table
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray

Status = Literal["finite", "always_wins", "always_loses", "no_games", "other_component"]
_STEPS = 200
# Priorities closer than this are equal but for rounding; they must tie in the ranking.
_TIE = 1e-10


@dataclass(frozen=True, eq=False)
class Priority:
    """Fitted priorities of k principles.

    w : (k,) float64, log-odds (400 w / ln 10 is the Elo scale), mean 0 over the finite ones; inf where a principle wins every game left to
        it, -inf where it loses every one, NaN where it has none or cannot be placed.
    se : (k,) float64 standard errors (pseudo-inverse of the Hessian), NaN where w is not finite.
    status : (k,) why a value is what it is.
    message : what was left out and what to do about it; empty if nothing was.
    """

    w: FloatArray
    se: FloatArray
    status: tuple[Status, ...]
    message: str = ""


def principle_priority(W: ArrayLike, prior: float = 0.0) -> Priority:
    """Fit priorities to wins by maximum likelihood.

    Parameters
    ----------
    W : (k, k) float64
        ``W[c, d]``: items won by c against d, as `principle_wins` counts them.
    prior : float
        Adds ``prior / 2`` wins each way to every pair that met, which makes every priority of a connected table finite.

    Raises
    ------
    InputError
        As `principle_supremacy`; a negative or infinite `prior`.

    Examples
    --------
    >>> principle_priority([[0, 5, 3], [0, 0, 4], [0, 2, 0]]).w.round(3).tolist()
    [inf, 0.347, -0.347]
    """
    wins = wins_table(W)
    if not (np.isfinite(prior) and prior >= 0):
        raise InputError(f"prior is {prior}; expected a finite number >= 0")
    wins = wins + prior / 2 * (wins + wins.T > 0)
    k = len(wins)
    w, se = np.full(k, np.nan), np.full(k, np.nan)
    status: list[Status] = ["no_games"] * k
    left = _peel(wins, w, status)
    part = _largest_part(wins[np.ix_(left, left)])
    for c in left:
        status[c] = "other_component"
    kept = left[part]
    for c in kept:
        status[c] = "finite"
    if len(kept):
        w[kept], se[kept] = _fit(wins[np.ix_(kept, kept)])
    return Priority(w, se, tuple(status), _message(status))


def _peel(wins: FloatArray, w: FloatArray, status: list[Status]) -> IntArray:
    """Set principles that win or lose every game among those left to +-inf, until none does; return who is left."""
    left = np.flatnonzero((wins + wins.T).any(axis=1))
    while len(left):
        games = wins[np.ix_(left, left)]
        won, lost = games.any(axis=1), games.any(axis=0)
        up, down = left[won & ~lost], left[lost & ~won]
        if not len(up) + len(down):
            break
        w[up], w[down] = np.inf, -np.inf
        for c in up:
            status[c] = "always_wins"
        for c in down:
            status[c] = "always_loses"
        left = left[won == lost]
    return left


def _largest_part(wins: FloatArray) -> IntArray:
    """Positions of the largest set in which each can be reached from each along wins; of equally large ones that with more games.

    Several principles without games among them have no order, and none is kept.
    """
    k = len(wins)
    reach = (wins > 0) | np.eye(k, dtype=bool)
    for _ in range(max(1, k).bit_length()):
        reach = reach @ reach
    mutual = reach & reach.T
    parts = [np.flatnonzero(mutual[c]) for c in range(k) if c == np.flatnonzero(mutual[c])[0]]
    if not parts:
        return np.empty(0, dtype=np.int64)
    best = max(parts, key=lambda part: (len(part), wins[np.ix_(part, part)].sum()))
    return best if len(best) > 1 or k == 1 else np.empty(0, dtype=np.int64)


def _fit(wins: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Newton with halved steps on the Bradley-Terry likelihood of a strongly connected table; centred, with standard errors."""
    k = len(wins)
    w = np.zeros(k)
    if k == 1:
        return w, np.zeros(1)
    loss = _loss(w, wins)
    for _ in range(_STEPS):
        gradient, hessian = _derivatives(w, wins)
        # The Hessian is flat along a common shift; a constant there keeps it solvable and the mean at 0.
        step = -np.linalg.solve(hessian + np.trace(hessian) / k**2, gradient)
        size = 1.0
        while (trial := _loss(w + size * step, wins)) > loss + 1e-12 * loss and size > 1e-10:
            size /= 2
        w, loss = w + size * step, min(trial, loss)
        if np.abs(step).max() <= 1e-9 * (1 + np.abs(w).max()):
            break
    else:
        raise InputError("the priorities did not converge: wins of very different sizes; give counts, or prior > 0")
    w = _tie(w - w.mean())
    hessian = _derivatives(w, wins)[1]
    trace = float(np.trace(hessian))
    # The pseudo-inverse: the constant is taken off again along the flat direction.
    return w, np.sqrt(np.diag(np.linalg.inv(hessian + trace / k**2)) - 1 / trace)


def _loss(w: FloatArray, wins: FloatArray) -> float:
    return float((wins * np.logaddexp(0, w[None, :] - w[:, None])).sum())


def _derivatives(w: FloatArray, wins: FloatArray) -> tuple[FloatArray, FloatArray]:
    gap = w[:, None] - w[None, :]
    # Small chances are computed as such, not as 1 - p, which would lose them beside large counts.
    small = np.exp(-np.abs(gap))
    up = np.where(gap > 0, 1.0, small) / (1 + small)
    pull = (wins + wins.T) * up * up.T
    return (wins.T * up - wins * up.T).sum(axis=1), np.diag(pull.sum(axis=1)) - pull


def _tie(w: FloatArray) -> FloatArray:
    """Give values that differ by rounding alone one common value."""
    order = np.argsort(w, kind="stable")
    group = np.cumsum(np.r_[0, np.diff(w[order]) > _TIE])
    out = np.empty_like(w)
    out[order] = (np.bincount(group, w[order]) / np.bincount(group))[group]
    return out


def _message(status: list[Status]) -> str:
    words = {
        "always_wins": "win every conflict left to them (+inf)",
        "always_loses": "lose every conflict left to them (-inf)",
        "no_games": "never conflict (NaN)",
        "other_component": "cannot be placed against the others (NaN)",
    }
    lines = [
        f"principles {', '.join(str(c) for c, s in enumerate(status) if s == key)} {text}" for key, text in words.items() if key in status
    ]
    if any(key in status for key in ("always_wins", "always_loses", "other_component")):
        lines.append("prior > 0 gives a value to all that meet, directly or through others")
    return "; ".join(lines)
