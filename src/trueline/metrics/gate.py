"""`gate`: whether an estimate clears a bound, judged by its whole interval."""

from __future__ import annotations

import math
from enum import StrEnum

from trueline.errors import InputError
from trueline.stats.estimate import Estimate


class Verdict(StrEnum):
    """What an interval says about a bound."""

    PASS = "pass"
    FAIL = "fail"
    NOT_SHOWN = "not shown"


def gate(estimate: Estimate, *, at_least: float | None = None, at_most: float | None = None) -> Verdict:
    """Return pass where the whole interval clears the bound, fail where all of it misses, and "not shown" otherwise.

    Raises
    ------
    InputError
        Unless exactly one bound is given.

    Examples
    --------
    >>> gate(Estimate(0.9, 0.85, 0.95), at_least=0.8).value
    'pass'
    """
    if (at_least is None) == (at_most is None):
        raise InputError("give exactly one of at_least and at_most")
    low, high = estimate.low, estimate.high
    if math.isnan(low) or math.isnan(high):
        return Verdict.NOT_SHOWN
    if at_least is not None:
        return Verdict.PASS if low >= at_least else Verdict.FAIL if high < at_least else Verdict.NOT_SHOWN
    most = float(at_most if at_most is not None else math.nan)
    return Verdict.PASS if high <= most else Verdict.FAIL if low > most else Verdict.NOT_SHOWN
