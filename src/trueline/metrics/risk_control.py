"""Choosing a setting with a guaranteed risk: conformal risk control and Learn-then-Test.

Angelopoulos et al. 2024 (risk control: expected risk <= alpha for a monotone loss) and 2021 (Learn-then-Test: risk <= alpha with
probability 1 - delta, any loss in [0, 1], Hoeffding-Bentkus p-values of Bates et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray


@dataclass(frozen=True)
class RiskControl:
    """The chosen setting and the bound at every setting.

    Attributes
    ----------
    chosen : float
        Smallest setting whose adjusted risk is at most alpha; NaN, with a reason, where none is.
    lambdas, adjusted_risk : (L,) float64
        n/(n + 1) R + B/(n + 1) at each setting.
    """

    chosen: float
    lambdas: FloatArray
    adjusted_risk: FloatArray
    reason: str | None = None


@dataclass(frozen=True)
class LearnThenTest:
    """Settings certified to have risk at most alpha, all at once, with probability at least 1 - delta."""

    valid: FloatArray
    lambdas: FloatArray
    p_values: FloatArray


def conformal_risk_control(losses: ArrayLike, lambdas: ArrayLike, alpha: float, *, bound: float = 1.0) -> RiskControl:
    """Return the smallest lambda with n/(n + 1) R(lambda) + B/(n + 1) <= alpha.

    Parameters
    ----------
    losses : (n, L) float64
        Loss of each calibration row at each setting, at most `bound`, not rising in lambda.
    lambdas : (L,) float64, rising

    Raises
    ------
    InputError
        Bad shapes, a NaN, a loss above the bound, or a row whose loss rises: the guarantee would not hold.
    """
    table, grid = _table(losses, lambdas, bound)
    rising = np.flatnonzero((np.diff(table, axis=1) > 1e-12).any(axis=1))
    if len(rising):
        raise InputError(f"the loss of row {rising[0]} rises with lambda; risk control needs monotone losses (use learn_then_test)")
    n = len(table)
    adjusted = n / (n + 1) * table.mean(axis=0) + bound / (n + 1)
    good = np.flatnonzero(adjusted <= alpha + 1e-12)
    if not len(good):
        return RiskControl(np.nan, grid, adjusted, f"no setting reaches {alpha:g}; the least adjusted risk is {adjusted.min():.4g}")
    return RiskControl(float(grid[good[0]]), grid, adjusted)


def learn_then_test(
    losses: ArrayLike,
    lambdas: ArrayLike,
    alpha: float,
    *,
    delta: float = 0.1,
    correction: Literal["bonferroni", "fixed-sequence"] = "bonferroni",
) -> LearnThenTest:
    """Test "risk > alpha" at every setting, with family-wise error `delta`.

    ``"fixed-sequence"`` tests from the largest lambda down and stops at the first that is not rejected. Losses lie in [0, 1] and may
    have any shape in lambda.
    """
    table, grid = _table(losses, lambdas, 1.0)
    if (table < 0).any() or not 0 < alpha < 1 or not 0 < delta < 1:
        raise InputError(
            f"losses must lie in [0, 1] and alpha, delta in (0, 1); got least loss {table.min():g}, alpha {alpha}, delta {delta}"
        )
    p = hoeffding_bentkus(table.mean(axis=0), len(table), alpha)
    if correction == "bonferroni":
        return LearnThenTest(grid[p <= delta / len(grid)], grid, p)
    if correction != "fixed-sequence":
        raise InputError(f"correction {correction!r} is unknown; expected 'bonferroni' or 'fixed-sequence'")
    run = np.cumprod((p <= delta)[::-1])[::-1].astype(bool)
    return LearnThenTest(grid[run], grid, p)


def hoeffding_bentkus(risk: FloatArray, n: int, alpha: float) -> FloatArray:
    """Return p = min(1, exp(-n kl(min(R, alpha), alpha)), e P(Bin(n, alpha) <= ceil(n R))), kl the Bernoulli divergence in nats."""
    from scipy.special import bdtr, rel_entr

    r = np.minimum(risk, alpha)
    kl = rel_entr(r, alpha) + rel_entr(1 - r, 1 - alpha)
    # n R is a sum of losses; round the float noise away before the ceiling turns it into a whole count.
    count: Any = np.ceil(np.round(n * risk, 9))
    return np.asarray(np.minimum(1.0, np.minimum(np.exp(-n * kl), np.e * bdtr(count, n, alpha))))


def _table(losses: ArrayLike, lambdas: ArrayLike, bound: float) -> tuple[FloatArray, FloatArray]:
    table, grid = np.asarray(losses, dtype=np.float64), np.asarray(lambdas, dtype=np.float64)
    if table.ndim != 2 or not len(table) or grid.shape != (table.shape[1],):
        raise InputError(f"losses must be (n, L) and lambdas (L,); got {table.shape} and {grid.shape}")
    if (np.diff(grid) <= 0).any():
        raise InputError("lambdas must rise")
    bad = np.flatnonzero(~(table <= bound).all(axis=1))
    if len(bad):
        raise InputError(f"row {bad[0]} has a loss that is NaN or above the bound {bound:g}")
    return table, grid
