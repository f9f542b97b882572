"""Two rates on the same rows: McNemar's test, exact and mid-p (Fagerland et al. 2013), and Agresti and Min's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.clusters import whole
from trueline.stats.estimate import Estimate
from trueline.stats.intervals import wald
from trueline.stats.sample import as_vector, check_length


@dataclass(frozen=True)
class McNemar:
    """`b`: right only in the first, `c`: right only in the second; two-sided p-values."""

    b: int
    c: int
    p: float
    midp: float


def mcnemar(correct_1: ArrayLike, correct_2: ArrayLike) -> McNemar:
    """Test whether two systems are right equally often.

    With k = min(b, c) and X ~ Bin(b + c, 1/2): exact p = min(1, 2 P(X <= k)); mid-p = 2 P(X < k) + P(X = k); both 1 where b + c = 0. The
    exact test is conservative; mid-p is nearer to its level.

    Parameters
    ----------
    correct_1, correct_2 : (n,) in {0, 1}
    """
    first, second = as_vector(correct_1, "correct_1"), as_vector(correct_2, "correct_2")
    check_length(len(second), len(first), "correct_2")
    for name, values in (("correct_1", first), ("correct_2", second)):
        bad = np.flatnonzero((values != 0) & (values != 1))
        if len(bad):
            raise InputError(f"{name}[{bad[0]}] is {values[bad[0]]}; expected 0 or 1")
    b, c = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return mcnemar_counts(b, c)


def mcnemar_counts(b: int, c: int) -> McNemar:
    """Test discordant counts: `b` pairs with the event under the first condition only, `c` under the second only. As in `mcnemar`."""
    b, c = (int(v) for v in whole([b, c], "discordant counts"))
    if b + c == 0:
        return McNemar(b, c, 1.0, 1.0)
    from scipy.special import bdtr

    k = min(b, c)
    up_to, below = float(bdtr(k, b + c, 0.5)), float(bdtr(k - 1, b + c, 0.5)) if k else 0.0
    return McNemar(b, c, min(1.0, 2 * up_to), min(1.0, below + up_to))


def agresti_min(b: int, c: int, n: int, *, level: float = 0.95) -> Estimate:
    """Return the difference of two rates on the same `n` pairs with Agresti and Min's interval (2005), wide enough at b = c = 0.

    One half is added to each of the four cells: d = (b - c)/(n + 2), variance ((b + c + 1) - (b - c)^2/(n + 2))/(n + 2)^2. The value is
    this adjusted difference, drawn a little towards 0.

    Raises
    ------
    InputError
        Counts that are not whole, no pairs, or more discordant pairs than pairs.

    Examples
    --------
    >>> print(agresti_min(10, 2, 100))
    0.07843 [0.01084, 0.146] (n=100)
    """
    b, c, n = (int(v) for v in whole([b, c, n], "counts"))
    if n < 1 or b + c > n:
        raise InputError(f"{b} + {c} discordant pairs of {n}; there must be at least one pair, and no more discordant pairs than pairs")
    more = n + 2
    d = (b - c) / more
    ends = wald(d, math.sqrt(b + c + 1 - (b - c) ** 2 / more) / more, level, "agresti-min")
    return Estimate(d, ends.low, ends.high, level, n, method=ends.method, se=ends.se)
