"""The rate behind an imperfect judge (Rogan and Gladen 1978), with the judge's own error from a calibration set."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trueline.errors import InputError
from trueline.stats.clusters import whole
from trueline.stats.estimate import Estimate
from trueline.stats.intervals import wald


@dataclass(frozen=True)
class CorrectedRate:
    """A rate freed of the judge's errors.

    Attributes
    ----------
    estimate : Estimate
        Not held to [0, 1]: a value below 0 says that the observed rate is below what false alarms alone would give. Its ``reason`` warns
        where the observed rate is below twice the false-alarm rate: the judge is then too coarse for the question.
    clipped : float
        The value held to [0, 1].
    observed, sensitivity, specificity : float
    """

    estimate: Estimate
    clipped: float
    observed: float
    sensitivity: float
    specificity: float


def corrected_rate(
    k: int, n: int, true_pos: int, calib_pos: int, true_neg: int, calib_neg: int, *, level: float = 0.95, deff: float = 1.0
) -> CorrectedRate:
    r"""Correct k flagged answers of n for the judge's sensitivity and specificity.

    .. math:: q = \frac{p + sp - 1}{J}, \quad J = se + sp - 1, \quad Var(q) = \frac{p (1 - p)}{n J^2} + \frac{se (1 - se)}{n_+}
        \left(\frac{q}{J}\right)^2 + \frac{sp (1 - sp)}{n_-} \left(\frac{1 - q}{J}\right)^2

    Parameters
    ----------
    k, n : int
        Answers flagged by the judge, and answers judged.
    true_pos, calib_pos : int
        Of `calib_pos` answers known to be bad, those that the judge flagged.
    true_neg, calib_neg : int
        Of `calib_neg` answers known to be good, those that it passed.
    deff : float
        Design effect of the observed rate where answers share questions (``cluster_rate(...).deff``); below 1 it counts as 1.

    Raises
    ------
    InputError
        Bad counts, or a judge no better than chance (J <= 0).

    Examples
    --------
    >>> found = corrected_rate(40, 200, 90, 100, 180, 200)
    >>> print(found.estimate)
    0.125 [0.04161, 0.2084] (n=200)
    """
    pairs = []
    for name, part, of in (("k, n", k, n), ("true_pos, calib_pos", true_pos, calib_pos), ("true_neg, calib_neg", true_neg, calib_neg)):
        some, total = (float(v) for v in whole([part, of], name))
        if not 0 <= some <= total or total < 1:
            raise InputError(f"{name}: {some:g} of {total:g} is no share; the first cannot exceed the second, which is at least 1")
        pairs.append((some / total, total))
    (p, size), (se, n_pos), (sp, n_neg) = pairs
    if not (deff > 0 and math.isfinite(deff)):
        raise InputError(f"deff is {deff}; expected a positive number")
    j = se + sp - 1
    if j <= 0:
        raise InputError(
            f"the judge is no better than chance: sensitivity {se:.3g} + specificity {sp:.3g} is at most 1; nothing can be corrected"
        )
    q = (p + sp - 1) / j
    variance = p * (1 - p) * max(1.0, deff) / size + se * (1 - se) / n_pos * q**2 + sp * (1 - sp) / n_neg * (1 - q) ** 2
    ends = wald(q, math.sqrt(variance) / j, level, "rogan-gladen")
    warning = None
    if p < 2 * (1 - sp):
        warning = f"the observed rate {p:.3g} is below twice the judge's false-alarm rate {1 - sp:.3g}: it may be made of errors alone"
    estimate = Estimate(q, ends.low, ends.high, level, int(size), method=ends.method, se=ends.se, reason=warning)
    return CorrectedRate(estimate, min(1.0, max(0.0, q)), p, se, sp)
