r"""Conformal prediction when the truth is a distribution: calibrate on labels drawn from the annotations, not on the voted one.

Stutz et al., TMLR 2023, arXiv 2307.09302, algorithms 1 to 3. Conformity scores: **larger = more conforming** (a probability, say).
Calibrating on voted labels covers voted labels; drawn labels cover what the annotators would say. Published code takes the mean of the k-th
and the next score as its threshold (``quantile="midpoint"``), which covers up to 1/(n + 1) too little; here the k-th itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.conformal import conformal_p_values
from trueline.stats.estimate import FloatArray

_ROUNDING = 1e-9
Quantile = Literal["exact", "midpoint"]


@dataclass(frozen=True)
class MonteCarloConformal:
    """Settings of Monte Carlo conformal prediction.

    alpha: error rate in (0, 1). m: labels drawn for each calibration case; None = the limit of many, a weighted quantile without noise
    (only `FittedConformal.sets`). correction: None (guarantee 1 - alpha for m = 1, 1 - 2 alpha for more, in practice near 1 - alpha), or
    "ecdf" (1 - alpha for any m; half the cases calibrate the p-values of the other half).
    """

    alpha: float
    m: int | None = 10
    correction: Literal["ecdf"] | None = None

    def __post_init__(self) -> None:
        _check_rate(self.alpha)
        if self.m is not None and self.m < 1:
            raise InputError(f"m is {self.m}; expected at least one label a case, or None")
        if self.correction not in (None, "ecdf") or (self.correction and self.m is None):
            raise InputError(f"correction is {self.correction!r} with m = {self.m}; expected None, or 'ecdf' with a number m")

    def fit(self, scores: ArrayLike, plausibilities: ArrayLike, seed: int | np.random.Generator) -> FittedConformal:
        """Calibrate on cases with conformity scores (n, K) and plausibilities (n, K), whose rows sum to 1.

        Raises
        ------
        InputError
            On NaN (leave out cases without readers), shapes that differ, or rows that are no distribution.
        """
        e, law = _calibration(scores, plausibilities)
        rng = np.random.default_rng(seed)
        if self.m is None:
            return FittedConformal(self.alpha, weighted_conformity_threshold(e, law, self.alpha), None, None)
        if self.correction is None:
            drawn = np.take_along_axis(e, draw_labels(law, self.m, rng), axis=1).T
            return FittedConformal(self.alpha, conformity_threshold(drawn, self.alpha), drawn, None)
        if len(e) < 2:
            raise InputError("the ecdf correction splits the calibration cases in halves; got one case")
        order = rng.permutation(len(e))
        first, second = order[: len(e) // 2], order[len(e) // 2 :]
        drawn = np.take_along_axis(e[first], draw_labels(law[first], self.m, rng), axis=1).T
        own = np.take_along_axis(e[second], draw_labels(law[second], 1, rng), axis=1)[:, 0]
        return FittedConformal(self.alpha, None, drawn, mean_p_values(drawn, own))


@dataclass(frozen=True, eq=False)
class FittedConformal:
    """A calibrated predictor.

    Attributes
    ----------
    alpha : float
    threshold : float or None
        Sets hold the classes that score at least this; -inf (every class) with too few cases, None with the ecdf correction.
    drawn : (m, n) float64 or None
        Calibration scores of the drawn labels.
    p_second : (n_2,) float64 or None
        P-values of the second half, with the ecdf correction.
    """

    alpha: float
    threshold: float | None
    drawn: FloatArray | None
    p_second: FloatArray | None

    def p_values(self, scores: ArrayLike) -> FloatArray:
        """Return the p-value of every class, the shape of `scores`: mean over draws, ecdf-corrected where asked for."""
        if self.drawn is None:
            raise InputError("the weighted quantile (m=None) has no p-values; choose a number m")
        p = mean_p_values(self.drawn, scores)
        return p if self.p_second is None else ecdf_corrected(p, self.p_second)

    def sets(self, scores: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return which classes are in each set, the shape of `scores`; equal scores are kept, which only adds coverage."""
        e = _finite(scores)
        return np.asarray(self.p_values(e) > self.alpha if self.threshold is None else e >= self.threshold)


def conformity_threshold(drawn: ArrayLike, alpha: float, *, quantile: Quantile = "exact") -> float:
    """Return the k-th smallest calibration score, k = floor(alpha m (n + 1)) - m + 1; -inf where k < 1.

    drawn: (n,) scores of the true labels (split conformal, m = 1), or (m, n) of m drawn labels a case. quantile: "midpoint" returns the
    mean of the k-th and the next score, and the smallest where k < 1, as published code does.
    """
    pool = np.atleast_2d(_finite(drawn))
    m, n = pool.shape
    k = int(np.floor(_check_rate(alpha) * m * (n + 1) + _ROUNDING)) - m + 1
    ordered = np.sort(pool, axis=None)
    if quantile == "midpoint":
        return float(ordered[0] if k < 1 else ordered[k - 1 : k + 1].mean())
    if quantile != "exact":
        raise InputError(f"quantile is {quantile!r}; expected 'exact' or 'midpoint'")
    return float(ordered[k - 1]) if k >= 1 else -np.inf


def weighted_conformity_threshold(scores: ArrayLike, plausibilities: ArrayLike, alpha: float) -> float:
    """Return the limit of many draws: the smallest score at which the plausibility below or at it reaches alpha (n + 1) - 1; else -inf."""
    e, law = _calibration(scores, plausibilities)
    goal = _check_rate(alpha) * (len(e) + 1) - 1
    if goal <= 0:
        return -np.inf
    order = np.argsort(e, axis=None, kind="stable")
    mass = np.cumsum(law.ravel()[order])
    return float(e.ravel()[order[np.searchsorted(mass, goal - _ROUNDING)]])


def mean_p_values(drawn: ArrayLike, scores: ArrayLike) -> FloatArray:
    """Return mean over draws of (1 + #{calibration scores <= score}) / (n + 1); drawn: (m, n) or (n,), scores: any shape."""
    e = _finite(scores)
    # the same for nonconformity, which is conformity with the sign turned
    return np.asarray(np.mean([conformal_p_values(-row, -e) for row in np.atleast_2d(_finite(drawn))], axis=0))


def ecdf_corrected(p: ArrayLike, p_second: ArrayLike) -> FloatArray:
    """Return the share of `p_second` (n,) at or below each p-value, the shape of `p`."""
    ordered = np.sort(_finite(p_second), axis=None)
    return np.asarray(np.searchsorted(ordered, _finite(p), side="right") / len(ordered))


def expected_conformity(scores: ArrayLike, plausibilities: ArrayLike) -> FloatArray:
    """Return sum_c lambda_c E(x, c), (n,): the score of a whole distribution, for plausibility regions by `conformity_threshold`."""
    e, law = _calibration(scores, plausibilities)
    return np.asarray(np.einsum("nk,nk->n", e, law))


def draw_labels(plausibilities: FloatArray, m: int, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return m labels of each case, (n, m), from its plausibilities (n, K)."""
    steps = np.cumsum(plausibilities, axis=1)
    # one search over all rows: row i covers [i, i + 1)
    flat = (steps / steps[:, -1:] + np.arange(len(steps))[:, None]).ravel()
    at = np.searchsorted(flat, rng.random((len(steps), m)) + np.arange(len(steps))[:, None], side="right")
    return np.asarray(np.minimum(at - np.arange(len(steps))[:, None] * steps.shape[1], steps.shape[1] - 1))


def _calibration(scores: ArrayLike, plausibilities: ArrayLike) -> tuple[FloatArray, FloatArray]:
    e, law = _finite(scores), np.asarray(plausibilities, dtype=np.float64)
    if e.ndim != 2 or e.shape != law.shape:
        raise InputError(f"scores and plausibilities must both be (n, K); got shapes {e.shape} and {law.shape}")
    bad = np.flatnonzero(~(np.abs(law.sum(axis=1) - 1) < 1e-6) | (law < 0).any(axis=1))
    if len(bad):
        raise InputError(f"plausibilities of case {bad[0]} sum to {law[bad[0]].sum():g}, not 1; leave out cases without readers")
    return e, law


def _finite(scores: ArrayLike) -> FloatArray:
    values = np.asarray(scores, dtype=np.float64)
    if not values.size or np.isnan(values).any():
        raise InputError(f"scores of shape {values.shape} are empty or hold NaN; leave such cases out first")
    return values


def _check_rate(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; expected an error rate in (0, 1)")
    return alpha
