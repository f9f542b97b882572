"""McNemar's test of two classifiers on the same rows: exact and mid-p (Fagerland et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
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
    if b + c == 0:
        return McNemar(b, c, 1.0, 1.0)
    from scipy.special import bdtr

    k = min(b, c)
    up_to, below = float(bdtr(k, b + c, 0.5)), float(bdtr(k - 1, b + c, 0.5)) if k else 0.0
    return McNemar(b, c, min(1.0, 2 * up_to), min(1.0, below + up_to))
