"""How many answers are needed and what a design can see: two rates by the pooled normal test (Fleiss 1981), with a design effect."""

from __future__ import annotations

import math
from statistics import NormalDist

from trueline.errors import InputError

_NORMAL = NormalDist()


def plan_samples(p_min: float, confidence: float = 0.95) -> int:
    """Return how many samples show an event of probability `p_min` at least once with that confidence: ceil(ln(1 - conf) / ln(1 - p)).

    Examples
    --------
    >>> plan_samples(0.01, 0.95)
    299
    """
    if not 0 < p_min < 1 or not 0 < confidence < 1:
        raise InputError(f"p_min and confidence lie between 0 and 1; got {p_min} and {confidence}")
    return math.ceil(math.log1p(-confidence) / math.log1p(-p_min))


def design_effect(samples_per_question: float, icc: float) -> float:
    """Return 1 + (m - 1) ICC (Kish 1965): how many clustered answers are worth one independent answer.

    `icc` in [0, 1] is the intraclass correlation, for instance ``cluster_rate(...).icc`` of an earlier run.
    """
    if not (samples_per_question >= 1 and 0 <= icc <= 1):
        raise InputError(f"a design effect needs at least 1 sample a question and an ICC in [0, 1]; got {samples_per_question} and {icc}")
    return 1 + (samples_per_question - 1) * icc


def sample_size_two_rates(p1: float, p2: float, *, alpha: float = 0.05, power: float = 0.8, deff: float = 1.0) -> int:
    r"""Return the answers an arm needs to tell two rates apart, rounded up at the end.

    .. math:: n = \frac{(z_{1-\alpha/2} \sqrt{2 \bar p \bar q} + z_{power} \sqrt{p_1 q_1 + p_2 q_2})^2}{(p_1 - p_2)^2} \cdot deff

    Parameters
    ----------
    p1, p2 : float in [0, 1]
    alpha, power : float in (0, 1)
        Two-sided level and power.
    deff : float
        Design effect of answers that share questions (`design_effect`). It holds for arms with questions of their own; pairing by question
        needs fewer.

    Raises
    ------
    InputError
        Rates that are equal or not in [0, 1], bad alpha or power, deff not positive.

    Examples
    --------
    >>> sample_size_two_rates(0.0096, 0.0042)
    3688
    >>> sample_size_two_rates(0.0096, 0.0042, deff=design_effect(100, 0.02))
    10990
    """
    if p1 == p2:
        raise InputError(f"both rates are {p1}; no number of answers tells equal rates apart")
    # Rounding up must not add an answer for float noise.
    return math.ceil(_needed(p1, p2, alpha, power, deff) * (1 - 1e-13))


def detectable_difference(baseline: float, n_per_arm: int, *, alpha: float = 0.05, power: float = 0.8, deff: float = 1.0) -> float:
    """Return the smallest rise above a baseline rate that a design finds with `power`; NaN where even a rate of 1 would not show.

    The inverse of `sample_size_two_rates` in its first rate. For a fall, give 1 - baseline.

    Examples
    --------
    >>> round(detectable_difference(0.0042, 3688), 4)
    0.0054
    """
    if not (0 <= baseline < 1 and n_per_arm >= 1):
        raise InputError(f"expected a baseline in [0, 1) and at least 1 answer an arm; got {baseline} and {n_per_arm}")
    if _needed(1.0, baseline, alpha, power, deff) > n_per_arm:
        return math.nan
    low, high = 0.0, 1 - baseline
    for _ in range(100):
        middle = (low + high) / 2
        enough = middle > 0 and _needed(baseline + middle, baseline, alpha, power, deff) <= n_per_arm
        low, high = (low, middle) if enough else (middle, high)
    return high


def _needed(p1: float, p2: float, alpha: float, power: float, deff: float) -> float:
    for name, p in (("p1", p1), ("p2", p2)):
        if not 0 <= p <= 1:
            raise InputError(f"{name} is {p}; expected a rate in [0, 1]")
    if not (0 < alpha < 1 and 0 < power < 1 and deff > 0 and math.isfinite(deff)):
        raise InputError(f"alpha and power lie in (0, 1), deff is positive; got {alpha}, {power} and {deff}")
    gap, mean = p1 - p2, (p1 + p2) / 2
    if gap == 0:
        return math.inf
    spread = _NORMAL.inv_cdf(1 - alpha / 2) * math.sqrt(2 * mean * (1 - mean))
    spread += _NORMAL.inv_cdf(power) * math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
    return (spread / gap) ** 2 * deff
