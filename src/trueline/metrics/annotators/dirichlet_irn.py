r"""Probabilistic IRN: :math:`\lambda \sim \mathrm{Dirichlet}(T \cdot \mathrm{IRN} + \alpha)`, with exact certainties.

Stutz et al., arXiv 2307.02191, section 3. The reliability T (called temperature there) says how much the readers are trusted: T to
infinity gives IRN. The published code samples; here P(argmax) is a one-dimensional integral, so there is no sampling noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.annotators.irn import irn
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.stats.estimate import FloatArray

_STEP = 0.08  # of log x; the trapezoid rule converges exponentially here, half the step changes nothing above 1e-13
_LOWEST = -40.0  # below, Gamma laws are pure powers of x to 1e-17 and the rest of the sum is a geometric series
_TINY = 1e-300
_ROWS = 2000


@dataclass(frozen=True)
class DirichletIRN:
    """Settings of probabilistic IRN.

    reliability: T > 0, how many votes the readers of a case count for together. alpha: >= 0, added to every class, named or not.
    """

    reliability: float
    alpha: float = 0.01

    def __post_init__(self) -> None:
        if not (0 < self.reliability < np.inf and 0 <= self.alpha < np.inf):
            raise InputError(f"reliability must be > 0 and alpha >= 0, both finite; got {self.reliability} and {self.alpha}")

    def concentration(self, rankings: PartialRankings) -> FloatArray:
        """Return the Dirichlet parameters, (n_cases, K); NaN rows for cases without readers."""
        return np.asarray(self.reliability * irn(rankings) + self.alpha)

    def certainty(self, rankings: PartialRankings) -> FloatArray:
        """Return P(argmax = c), (n_cases, K), exact; NaN rows for cases without readers."""
        return dirichlet_argmax(self.concentration(rankings))

    def sample(self, rankings: PartialRankings, m: int, seed: int | np.random.Generator) -> FloatArray:
        """Return draws of the plausibilities, (n_cases, m, K); NaN for cases without readers. Memory is 8 n m K bytes."""
        rng = np.random.default_rng(seed)
        a = self.concentration(rankings)[:, None, :]
        known = np.where(a > 0, a, 1.0)
        # log Gamma(a) = log Gamma(a + 1) + log(U) / a in law: with alpha = 0.01 the draw itself underflows
        shape = (rankings.n_cases, m, rankings.num_classes)
        log_draw = np.log(rng.standard_gamma(known + 1, size=shape)) + np.log1p(-rng.random(shape)) / known
        log_draw = np.where(a > 0, log_draw, -np.inf)
        top = log_draw.max(axis=2, keepdims=True, initial=-np.inf)
        weight = np.exp(log_draw - np.where(np.isfinite(top), top, 0.0))
        weight[np.isnan(a[:, 0, 0])] = np.nan
        return np.asarray(weight / weight.sum(axis=2, keepdims=True))


def dirichlet_argmax(concentration: ArrayLike) -> FloatArray:
    r"""Return the probability that each class is the largest of a Dirichlet draw, :math:`\int f_c(x) \prod_{j \ne c} F_j(x)\,dx`.

    Parameters
    ----------
    concentration : (n, K) or (K,) float64
        Parameters >= 0; a class with 0 is dropped. A row with NaN gives NaN.

    Returns
    -------
    (n, K) or (K,) float64
        Rows sum to 1 to about 1e-12 (parameters a in the thousands or more: 1e-15 a).
        Gamma densities f and distribution functions F of unit rate; trapezoid rule in log x.

    Raises
    ------
    InputError
        On negative or infinite parameters, or a row of zeros.

    Examples
    --------
    >>> dirichlet_argmax([3.0, 3.0]).round(6).tolist()
    [0.5, 0.5]
    """
    a = np.asarray(concentration, dtype=np.float64)
    rows = np.atleast_2d(a)
    known = ~np.isnan(rows).any(axis=1)
    if a.ndim not in (1, 2) or (rows[known] < 0).any() or np.isinf(rows[known]).any() or not (rows[known] > 0).any(axis=1).all():
        raise InputError(f"concentration must be (n, K) or (K,), finite, >= 0, with a positive entry a row; got shape {a.shape}")
    out = np.full(rows.shape, np.nan)
    largest = rows.max(axis=1, initial=0.0)
    # rows of like size share a grid: its step falls as the largest law narrows
    scale = np.ceil(np.log2(np.maximum(largest, 16.0, where=known, out=np.full(len(rows), 16.0))) / 2)
    for size in np.unique(scale[known]):
        members = np.flatnonzero(known & (scale == size))
        for start in range(0, len(members), _ROWS):
            part = members[start : start + _ROWS]
            out[part] = _argmax_rows(rows[part])
    return out.reshape(a.shape)


def _argmax_rows(a: FloatArray) -> FloatArray:
    from scipy.sparse import csr_array

    values, code = np.unique(a, return_inverse=True)
    cell, back, count = np.unique(
        (np.arange(len(a))[:, None] * len(values) + code.reshape(a.shape)).ravel(), return_inverse=True, return_counts=True
    )
    row, value = cell // len(values), cell % len(values)
    live = values[value] > 0
    log_cdf, hazard, step = _grid(values, a.max(axis=1))
    times = csr_array((count[live], (row[live], value[live])), shape=(len(a), len(values)))
    product = np.exp(times @ log_cdf)
    # everything below the first point is a geometric series, because there each row's integrand is exp(u sum a)
    product *= step
    product[:, 0] /= -np.expm1(-a.sum(axis=1) * step)
    chance = np.zeros(len(cell))
    for start in range(0, len(cell), _ROWS):
        part = slice(start, start + _ROWS)
        chance[part] = np.einsum("pg,pg->p", product[row[part]], hazard[value[part]])
    chance[~live] = 0.0
    return np.asarray(chance[back.ravel()].reshape(a.shape))


def _grid(values: FloatArray, largest: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Log F and f / F (densities of log x) of each parameter on an equal grid of log x, and its step."""
    from scipy.special import gammainc, gammaincinv, gammaln

    high = float(largest.max())
    quantile = float(gammaincinv(largest.min(), 1e-18))
    low = max(_LOWEST, np.log(quantile)) if quantile > 0 else _LOWEST
    top = np.log(high + 60 + 10 * np.sqrt(high))
    step = min(_STEP, 0.5 / np.sqrt(high))
    u = low + step * np.arange(int(np.ceil((top - low) / step)) + 1)
    shape = np.where(values > 0, values, 1.0)[:, None]
    cdf = np.maximum(gammainc(shape, np.exp(u)), _TINY)
    density = np.exp(shape * u - np.exp(u) - gammaln(shape))
    return np.log(cdf), density / cdf, step
