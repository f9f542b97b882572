"""Differences of rates, first minus second: independent samples, and the same questions under two conditions.

Newcombe 1998 (hybrid score interval), in the general form of Zou and Donner 2008 for any two independent intervals; pooled z test;
Student's interval and Fisher's sign-flip test for differences paired by question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.clusters import counts_of, mean_estimate
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import wilson
from trueline.stats.sample import as_vector

#: Up to this many differences the sign-flip test is exact.
EXACT_FLIPS = 14
_NOISE = 1e-12
_CHUNK_CELLS = 1 << 20


@dataclass(frozen=True)
class DifferenceTest:
    """A difference, first minus second, with its interval and the p-value of no difference.

    Attributes
    ----------
    estimate : Estimate
    p : float
        Two-sided.
    test : str
        What gave `p`.
    statistic : float
        z or t of the difference; NaN where it has no spread.
    degenerate : bool
        The values do not vary at all, so that the interval is a point and says nothing; show `instead` where there is one.
    instead : Estimate or None
        Newcombe's interval with each question counted once, where no event (or nothing but events) was seen under either condition.
    """

    estimate: Estimate
    p: float
    test: str
    statistic: float
    degenerate: bool = False
    instead: Estimate | None = None

    @property
    def df(self) -> int:
        """Degrees of freedom of a paired difference."""
        return self.estimate.n - 1


def independent_difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first minus second with ends recovered from the two intervals, which may be of any kind (a cluster's, a rate's).

    d - sqrt((p1 - l1)^2 + (u2 - p2)^2) and d + sqrt((u1 - p1)^2 + (p2 - l2)^2); with Wilson's ends this is Newcombe's interval.

    Raises
    ------
    InputError
        If either has no interval, or their levels differ.
    """
    for name, e in (("first", first), ("second", second)):
        if not (math.isfinite(e.low) and math.isfinite(e.high)):
            raise InputError(f"the {name} estimate has no interval ({e}); a difference needs both")
    if first.level != second.level:
        raise InputError(f"the intervals have levels {first.level} and {second.level}; make both at one level")
    gap = first.value - second.value
    low = gap - math.hypot(first.value - first.low, second.high - second.value)
    high = gap + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(
        gap, low, high, first.level, first.n + second.n, first.n_missing + second.n_missing, "newcombe",
        se=math.hypot(first.se, second.se),
    )  # fmt: skip


def unpaired_difference(k1: float, n1: float, k2: float, n2: float, *, level: float = 0.95) -> DifferenceTest:
    """Compare k1 of n1 with k2 of n2 independent trials: Newcombe's interval, pooled z test without continuity correction.

    Where trials share questions, give two `cluster_rate` estimates to `independent_difference` instead, or pair them (`paired_rates`).

    Raises
    ------
    InputError
        If not 0 <= k <= n with n > 0 in both.

    Examples
    --------
    >>> found = unpaired_difference(56, 70, 48, 80)
    >>> print(found.estimate, f"p = {found.p:.4f}")
    0.2 [0.05243, 0.3339] (n=150) p = 0.0080
    """
    one, two = (_rate(k, n, level) for k, n in ((k1, n1), (k2, n2)))
    pooled = (k1 + k2) / (n1 + n2)
    se = math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    z = (one.value - two.value) / se if se > 0 else 0.0
    return DifferenceTest(independent_difference(one, two), math.erfc(abs(z) / math.sqrt(2)), "pooled z", z)


def _rate(k: float, n: float, level: float) -> Estimate:
    ends = wilson(k, n, level)
    return Estimate(k / n, ends.low, ends.high, level, int(n), method=ends.method, se=ends.se)


def paired_difference(differences: ArrayLike, *, level: float = 0.95, n_draws: int = 10_000, seed: int = 0) -> DifferenceTest:
    """Return the mean of one difference a question: Student's interval, sign-flip test.

    Parameters
    ----------
    differences : (n_questions,) float64
        First minus second condition, one a question (average replicates first).
    n_draws, seed : int
        Of the sign-flip test above 14 questions; below it is exact.

    Raises
    ------
    InputError
        Empty, NaN or infinite.

    Examples
    --------
    >>> found = paired_difference([0.05, 0.02, 0.0, 0.11, -0.01, 0.03, 0.02, 0.04])
    >>> print(found.estimate, "p =", found.p)
    0.0325 [0.001621, 0.06338] (n=8) p = 0.03125
    """
    d = as_vector(differences, "differences")
    bad = np.flatnonzero(~np.isfinite(d))
    if len(bad):
        raise InputError(f"differences[{bad[0]}] is {d[bad[0]]}; leave questions without a difference out, and count them")
    p, how = sign_flip_p(d, n_draws=n_draws, seed=seed)
    estimate = mean_estimate(d, level)
    flat = bool(np.ptp(d) == 0)
    statistic = estimate.value / estimate.se if not flat and estimate.se > 0 else math.nan
    return DifferenceTest(estimate, p, how, statistic, degenerate=flat and len(d) > 1)


def paired_rates(
    events_1: ArrayLike,
    trials_1: ArrayLike,
    events_2: ArrayLike,
    trials_2: ArrayLike,
    *,
    level: float = 0.95,
    n_draws: int = 10_000,
    seed: int = 0,
) -> DifferenceTest:
    """Compare the rates of the same questions under two conditions; every question counts alike.

    Questions without trials under either condition are left out and counted in ``estimate.n_missing``.

    Parameters
    ----------
    events_1, trials_1, events_2, trials_2 : (n_questions,) whole numbers
        In the same order of questions.
    level, n_draws, seed
        As in `paired_difference`.

    Raises
    ------
    InputError
        Bad counts, lengths that differ, or no question with trials under both conditions.
    """
    (k1, n1), (k2, n2) = counts_of(events_1, trials_1), counts_of(events_2, trials_2)
    if len(n1) != len(n2):
        raise InputError(f"the first condition has {len(n1)} questions, the second {len(n2)}; give the same questions in the same order")
    both = (n1 > 0) & (n2 > 0)
    if not both.any():
        raise InputError("no question has trials under both conditions; nothing can be paired")
    p1, p2 = k1[both] / n1[both], k2[both] / n2[both]
    found = paired_difference(p1 - p2, level=level, n_draws=n_draws, seed=seed)
    estimate = replace(found.estimate, n_missing=int((~both).sum()))
    g = len(p1)
    for events in (0, g):
        if (p1 * g == events).all() and (p2 * g == events).all():
            seen = "no event" if events == 0 else "nothing but events"
            estimate = replace(estimate, reason=f"{seen} under either condition: see the interval that counts each question once")
            return replace(found, estimate=estimate, instead=unpaired_difference(events, g, events, g, level=level).estimate)
    return replace(found, estimate=estimate)


def sign_flip_p(differences: FloatArray, *, n_draws: int = 10_000, seed: int = 0) -> tuple[float, str]:
    """Return the two-sided p-value of a mean of 0 under random signs, and how it was found.

    The share of sign patterns whose absolute mean reaches the observed one: of all 2^n patterns up to n = 14, else of random ones,
    (b + 1) / (n_draws + 1).
    """
    d = np.asarray(differences, dtype=np.float64)
    n = len(d)
    reach = abs(float(d.sum())) - _NOISE * n * max(1.0, float(np.abs(d).max()))
    if n <= EXACT_FLIPS:
        # By symmetry the first sign can be held.
        patterns = (np.arange(1 << (n - 1))[:, None] >> np.arange(n)) & 1
        sums = (1.0 - 2.0 * patterns) @ d
        return float(np.mean(np.abs(sums) >= reach)), "exact sign-flip"
    if n_draws < 1:
        raise InputError(f"n_draws is {n_draws}; at least 1 draw is needed (10,000 is the default)")
    rng = np.random.default_rng(seed)
    count, chunk = 0, max(1, _CHUNK_CELLS // n)
    for start in range(0, n_draws, chunk):
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=(min(chunk, n_draws - start), n))
        count += int((np.abs(signs @ d) >= reach).sum())
    return (count + 1) / (n_draws + 1), f"sign-flip, {n_draws} draws"
