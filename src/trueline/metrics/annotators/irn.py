"""Inverse rank normalisation: one distribution over classes from the partial rankings of several readers.

Stutz et al., arXiv 2307.02191, section 3. Accumulated from the named classes alone, without the dense (case, reader, class) array of the
published code, whose numbers are the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.stats.estimate import FloatArray


def irn(rankings: PartialRankings, *, weights: ArrayLike | None = None) -> FloatArray:
    r"""Return the plausibilities :math:`\lambda_c \propto \sum_r \sum_j [c \in B_{r,j}] / j`, (n_cases, K) float64, rows summing to 1.

    A tied class gets the full 1/j, a class that nobody named 0. A case without readers (or with weight 0 throughout) is a row of NaN.

    Parameters
    ----------
    rankings : PartialRankings
    weights : (n_readers,) float64, optional
        Weight of each reader, in the order of ``rankings.reader_case``.

    Raises
    ------
    InputError
        If `weights` has another shape, or holds negative or non-finite numbers.

    Examples
    --------
    >>> r = PartialRankings.from_lists([[[[0, 3], [2]], [[1], [0]]]], 4)
    >>> irn(r).tolist()
    [[0.375, 0.25, 0.125, 0.25]]
    """
    mass = ranked_mass(rankings, weights)
    total = mass.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(mass, total, out=np.full_like(mass, np.nan), where=total > 0))


def ranked_mass(rankings: PartialRankings, weights: ArrayLike | None = None) -> FloatArray:
    """Return the sums of 1/place before normalisation, (n_cases, K)."""
    share = 1.0 / rankings.place
    if weights is not None:
        w = np.asarray(weights, dtype=np.float64)
        if w.shape != rankings.reader_case.shape or not (np.isfinite(w) & (w >= 0)).all():
            raise InputError(f"weights must be {rankings.reader_case.shape} finite numbers >= 0, one a reader; got shape {w.shape}")
        share = share * w[rankings.reader]
    n, k = rankings.n_cases, rankings.num_classes
    mass = np.bincount(rankings.case * k + rankings.label, share, minlength=n * k)
    # bincount of nothing counts in integers
    return np.asarray(mass, dtype=np.float64).reshape(n, k)
