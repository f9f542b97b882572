"""CoCoA: confidence of the greedy answer times its disagreement with the samples (Vashurin et al., arXiv 2502.04964)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError


def cocoa(uncertainty: ArrayLike, greedy_similarity: ArrayLike) -> NDArray[np.float64]:
    r"""u(y) times :math:`\frac1M \sum_m (1 - s(y, s_m))`: (n_items,) float64.

    uncertainty: (n_items,) float64, a score of the greedy answer alone (sequence NLL, mean NLL or mean token entropy).
    greedy_similarity: (n_items, M) float64 in [0, 1], greedy answer to each sample; NaN = missing sample, left out.
    Raises ``InputError`` for shapes or similarities outside [0, 1]. An item without a sample is NaN.
    """
    u, s = np.asarray(uncertainty, dtype=np.float64), np.asarray(greedy_similarity, dtype=np.float64)
    if u.ndim != 1 or s.ndim != 2 or len(u) != len(s):
        raise InputError(f"uncertainty of shape {u.shape} and similarities of shape {s.shape}; expected (n_items,) and (n_items, M)")
    if ((s < -1e-9) | (s > 1 + 1e-9)).any():
        raise InputError("similarities must lie in [0, 1]")
    count = (~np.isnan(s)).sum(axis=1)
    distance = np.where(np.isnan(s), 0.0, 1.0 - s).sum(axis=1)
    return np.where(count > 0, u * distance / np.maximum(count, 1), np.nan)
