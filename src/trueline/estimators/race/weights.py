"""RACE+: weights of the four signals from labelled items, by grid search (arXiv 2506.04832)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError

_CHUNK = 4096


@dataclass(frozen=True)
class RaceWeights:
    """weights: (aa, ca, cc, coh), sum 1; auroc: theirs on the items of the fit; n, n_missing: items used and left out."""

    weights: tuple[float, float, float, float]
    auroc: float
    n: int
    n_missing: int


def fit_race_weights(components: ArrayLike, labels: ArrayLike, step: float = 0.05) -> RaceWeights:
    """The weights in {0, step, ..., 1}^4 whose sum has the highest AUROC for wrong answers.

    components: (n, 4) float64 in the order aa, ca, cc, coh; a column that is NaN throughout gets weight 0; other rows with NaN are left
    out. labels: (n,) 1 wrong, 0 right, NaN not judged. Ties (9 decimals of AUROC) go to the most equal weights, then to the first of the
    grid. With step 0.05 there are 194,480 candidates. The paper fits on the first fifth of the items: test on the others.

    Raises ``InputError`` for other shapes or labels, labels of one class, or a step that does not divide 1.
    """
    x, y = np.asarray(components, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != 4 or y.shape != (len(x),):
        raise InputError(f"components {x.shape} and labels {y.shape}; expected (n, 4) in the order aa, ca, cc, coh, and (n,)")
    if not np.isin(y[~np.isnan(y)], (0.0, 1.0)).all():
        raise InputError("labels hold 1 (wrong), 0 (right) and NaN (not judged) only")
    steps = round(1.0 / step) if 0 < step <= 1 else 0
    if not steps or abs(steps * step - 1.0) > 1e-9:
        raise InputError(f"step={step} must divide 1, such as 0.05 or 0.25")
    present = np.asarray(~np.isnan(x).all(axis=0), dtype=bool)
    used = ~np.isnan(y) & ~np.isnan(x[:, present]).any(axis=1)
    x, y = x[used], y[used] == 1.0
    if not y.any() or y.all():
        raise InputError(f"{len(y)} usable items, {int(y.sum())} of them wrong; a fit needs right and wrong ones")
    grid = _grid(steps, present)
    areas = np.concatenate([_areas(grid[k : k + _CHUNK] @ np.where(present, x, 0.0).T, y) for k in range(0, len(grid), _CHUNK)])
    best = np.flatnonzero(np.round(areas, 9) == np.round(areas, 9).max())
    shares = grid[best] / grid[best].sum(axis=1, keepdims=True)
    entropy = -np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1.0)), 0.0).sum(axis=1)
    chosen = int(np.flatnonzero(np.round(entropy, 9) == np.round(entropy, 9).max())[0])
    aa, ca, cc, coh = (float(w) for w in shares[chosen])
    return RaceWeights((aa, ca, cc, coh), float(areas[best[chosen]]), len(y), int((~used).sum()))


def _grid(steps: int, present: NDArray[np.bool_]) -> NDArray[np.float64]:
    axes = [np.arange(steps + 1) / steps if there else np.zeros(1) for there in present]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 4)
    return np.asarray(grid[grid.sum(axis=1) > 0], dtype=np.float64)


def _areas(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> NDArray[np.float64]:
    """AUROC of each row of scores; ties count one half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.round(scores, 12), axis=1)  # sums that are equal but for rounding tie
    n = int(wrong.sum())
    return np.asarray((ranks[:, wrong].sum(axis=1) - n * (n + 1) / 2) / (n * (len(wrong) - n)), dtype=np.float64)
