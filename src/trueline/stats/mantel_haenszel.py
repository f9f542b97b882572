"""One comparison over many 2 x 2 tables: pooled odds ratio, pooled risk difference and the test of no association in any stratum.

Mantel and Haenszel 1959; Robins, Breslow and Greenland 1986 (variance of the log odds ratio); Sato 1989 (variance of the risk difference).
Strata are taken as fixed and trials as independent within them; where a stratum is a question and questions differ in their effect, the
difference paired by question (`paired_rates`) is the safer result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import Estimate
from trueline.stats.intervals import normal_quantile, wald

_NO_SE = "events under one condition only: no standard error"


@dataclass(frozen=True)
class MantelHaenszel:
    """Pooled comparison of condition 1 with condition 2.

    Attributes
    ----------
    odds_ratio : Estimate
        0 without interval where only condition 2 has events; NaN where no table of condition 2 has any. ``n`` counts trials of the
        informative strata. Its ``se`` is that of the log odds ratio.
    risk_difference : Estimate
        Rate of 1 less rate of 2.
    chi2, p : float
        Cochran-Mantel-Haenszel statistic without continuity correction, 1 degree of freedom; NaN without an informative stratum.
    n_informative, n_skipped : int
        Strata with both conditions, an event and a non-event, and all others. The risk difference also uses strata without events.
    degenerate : bool
        No informative stratum: the risk difference is a 0 without width. Show `unpaired_difference` of the pooled counts instead.
    """

    odds_ratio: Estimate
    risk_difference: Estimate
    chi2: float
    p: float
    n_informative: int
    n_skipped: int

    @property
    def degenerate(self) -> bool:
        """Whether no stratum says anything about the odds."""
        return self.n_informative == 0

    @property
    def log_odds_ratio_se(self) -> float:
        """Standard error of the log odds ratio (Robins, Breslow, Greenland); NaN where undefined."""
        return self.odds_ratio.se


def mantel_haenszel(tables: ArrayLike, *, level: float = 0.95) -> MantelHaenszel:
    r"""Pool 2 x 2 tables over strata.

    With a, b events and non-events of condition 1, c, d of condition 2, n = a + b + c + d, R = ad/n, S = bc/n:

    .. math:: OR = \frac{\sum R}{\sum S}, \quad
        RD = \frac{\sum \frac{n_1 n_2}{n} (\frac{a}{n_1} - \frac{c}{n_2})}{\sum \frac{n_1 n_2}{n}}

    Parameters
    ----------
    tables : (n_strata, 4) whole numbers
        [events 1, non-events 1, events 2, non-events 2] of each stratum.

    Raises
    ------
    InputError
        Wrong shape, no stratum, or counts that are not whole and >= 0.

    Examples
    --------
    >>> found = mantel_haenszel([[10, 90, 4, 96], [6, 94, 5, 95], [2, 98, 0, 100]])
    >>> print(found.odds_ratio, f"p = {found.p:.3f}")
    2.084 [0.9158, 4.744] (n=600) p = 0.075
    """
    t = _tables(tables)
    a, b, c, d = t.T
    n1, n2, m1, m0, n = a + b, c + d, a + c, b + d, t.sum(axis=1)
    told = (n1 > 0) & (n2 > 0) & (m1 > 0) & (m0 > 0)
    chi2 = p = math.nan
    if told.any():
        gap = float(a[told].sum() - (n1 * m1 / np.maximum(n, 1))[told].sum())
        chi2 = gap**2 / float((n1 * n2 * m1 * m0)[told] @ (1.0 / (n**2 * (n - 1))[told]))
        p = math.erfc(math.sqrt(chi2 / 2))
    skipped = int((~told).sum())
    return MantelHaenszel(_odds_ratio(t[told], level), _risk_difference(t[(n1 > 0) & (n2 > 0)], level), chi2, p, int(told.sum()), skipped)


def _tables(tables: ArrayLike) -> Any:
    try:
        t = np.asarray(tables, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"tables must be numbers, four a stratum; {error}") from error
    if t.ndim != 2 or t.shape[1] != 4 or not len(t):
        raise InputError(f"tables must have shape (n_strata, 4), [events 1, non-events 1, events 2, non-events 2]; got {t.shape}")
    bad = np.argwhere(~((t >= 0) & (t == np.floor(t)) & np.isfinite(t)))
    if len(bad):
        raise InputError(f"tables[{bad[0][0]}] is {t[bad[0][0]].tolist()}; expected four counts, whole and not negative")
    return t


def _odds_ratio(t: Any, level: float) -> Estimate:
    a, b, c, d = t.T
    n = t.sum(axis=1)
    r, s, up, down = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    top, bottom, size = float(r.sum()), float(s.sum()), int(n.sum())
    if bottom == 0:
        why = "no informative stratum" if not len(t) else "no stratum has an event of condition 2 beside a non-event of condition 1"
        return Estimate.undefined(f"odds ratio: {why}", n=size, level=level)
    if top == 0:
        return Estimate(0.0, level=level, n=size, reason=_NO_SE)
    variance = (up @ r) / (2 * top**2) + (up @ s + down @ r) / (2 * top * bottom) + (down @ s) / (2 * bottom**2)
    value, se = top / bottom, math.sqrt(variance)
    stretch = math.exp(normal_quantile(level) * se)
    return Estimate(value, value / stretch, value * stretch, level, size, method="robins-breslow-greenland", se=se)


def _risk_difference(t: Any, level: float) -> Estimate:
    if not len(t):
        return Estimate.undefined("risk difference: no stratum has trials under both conditions", level=level)
    a, b, c, d = t.T
    n1, n2, n = a + b, c + d, t.sum(axis=1)
    weight = n1 * n2 / n
    mass = float(weight.sum())
    value = float(weight @ (a / n1 - c / n2)) / mass
    lean = float(((n1**2 * c - n2**2 * a + n1 * n2 * (n2 - n1) / 2) / n**2).sum())
    noise = float(((a * (n2 - c) + c * (n1 - a)) / (2 * n)).sum())
    variance = (value * lean + noise) / mass**2
    if variance < 0:
        return Estimate(value, level=level, n=int(n.sum()), reason="Sato's variance is negative for these tables: no interval")
    ends = wald(value, math.sqrt(variance), level, "sato")
    return Estimate(value, ends.low, ends.high, level, int(n.sum()), method=ends.method, se=ends.se)
