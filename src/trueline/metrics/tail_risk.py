"""Harm that shows only under sampling: any-harm@k, concealed risk, the worst prompts, and what to expect at deployment volumes.

The question is that of "Stochastic CHAOS" (Joshi et al., arXiv 2601.07239); the formulas are standard estimators. Zero harms seen is an
upper bound, never a proof of safety.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics._items import item_estimates
from trueline.metrics.distributional import NO_GREEDY, AnyArray, any_at_k, counts, greedy_outcomes
from trueline.stats.engine import CI, Metric, as_ci, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval, clopper_pearson, normal_quantile
from trueline.stats.sample import SortedSample, sorted_sample

_LOG_MASS = (-6.0, 14.0)  # ln(a + b) of the fitted beta law: from all-or-nothing prompts to prompts that are all alike
_MASS_GRID = 81


@dataclass(frozen=True)
class TailRisk:
    """Harm among greedy and among sampled answers.

    Attributes
    ----------
    greedy_harm_rate, mean_harm_probability : Estimate
    any_harm_at_k, risk_gap_at_k : dict of k to Estimate
        Probability that k samples of a prompt hold a harmful one, and by how much that exceeds the greedy rate.
    corrected_any_harm_at_k : dict of k to Estimate
        The same without the grader's false alarms; undefined without their rate.
    concealed_risk : Estimate
        Share of prompts that are safe under greedy and whose observed harm share exceeds `tau`.
    cvar : Estimate
        Mean harm share of the worst `cvar_alpha` of the prompts.
    worst_prompt, worst_probability : int, float
        Prompt with the largest harm share.
    per_prompt : tuple of Interval
        Clopper-Pearson interval of each prompt's harm probability.
    """

    greedy_harm_rate: Estimate
    mean_harm_probability: Estimate
    any_harm_at_k: dict[int, Estimate]
    risk_gap_at_k: dict[int, Estimate]
    corrected_any_harm_at_k: dict[int, Estimate]
    concealed_risk: Estimate
    cvar: Estimate
    worst_prompt: int
    worst_probability: float
    per_prompt: tuple[Interval, ...]


def tail_risk(
    greedy_harm: ArrayLike | None,
    sample_harm: Sequence[ArrayLike] | AnyArray,
    ks: Sequence[int],
    tau: float = 0.05,
    cvar_alpha: float = 0.05,
    *,
    false_positive_rate: float | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> TailRisk:
    """Set the harm of greedy answers beside the harm of sampled ones.

    With f the share of harmless answers that the grader flags, a flag appears among k with 1 - (1 - any@k)(1 - f)^k; the corrected
    figure solves this for any@k and is held at 0. It assumes that the grader misses no harm.

    Parameters
    ----------
    greedy_harm : (n_prompts,) in {0, 1}, or None
        Without greedy answers, whatever compares with them is undefined.
    sample_harm : (n_prompts, n_samples) in {0, 1}, or one vector a prompt
    tau : float
        Harm share in [0, 1) above which a prompt counts as risky.
    cvar_alpha : float
        In (0, 1].
    false_positive_rate : float, optional
        f in [0, 1), measured on answers known to be harmless.

    Raises
    ------
    InputError
        Lengths that differ, entries other than 0 and 1, a k beyond the samples, settings out of range.
    """
    if not 0 <= tau < 1 or (false_positive_rate is not None and not 0 <= false_positive_rate < 1):
        raise InputError(f"tau and false_positive_rate lie in [0, 1); got {tau} and {false_positive_rate}")
    tally = counts(sample_harm, "sample_harm")
    greedy = greedy_outcomes(greedy_harm, len(tally), "greedy_harm")
    share = np.array([h / n for h, n in tally])
    columns = {"mean": share}
    if greedy is not None:
        columns |= {"greedy": greedy, "concealed": (greedy == 0) & (share > tau)}
    for k in ks:
        columns[f"any {k}"] = any_at_k(sample_harm, k)
        if greedy is not None:
            columns[f"gap {k}"] = columns[f"any {k}"] - greedy
    # Where nothing harmful was seen at all, the gap has an upper bound and no sign to doubt.
    signed = [name for name in columns if name.startswith("gap")] if share.any() or (greedy is not None and greedy.any()) else []
    found = item_estimates(columns, ci=ci, clusters=clusters, signed=signed)
    unknown, no_greedy = (Estimate.undefined(why, n=len(tally)) for why in ("the grader's false-positive rate was not given", NO_GREEDY))
    level = as_ci(ci).level
    return TailRisk(
        greedy_harm_rate=found.get("greedy", no_greedy),
        mean_harm_probability=found["mean"],
        any_harm_at_k={k: found[f"any {k}"] for k in ks},
        risk_gap_at_k={k: found.get(f"gap {k}", no_greedy) for k in ks},
        corrected_any_harm_at_k={
            k: unknown if false_positive_rate is None else _without_false_alarms(found[f"any {k}"], (1 - false_positive_rate) ** k)
            for k in ks
        },
        concealed_risk=found.get("concealed", no_greedy),
        cvar=cvar(share, cvar_alpha, clusters=clusters, ci=ci),
        worst_prompt=int(share.argmax()),
        worst_probability=float(share.max()),
        per_prompt=tuple(clopper_pearson(h, n, level) for h, n in tally),
    )


def _without_false_alarms(seen: Estimate, quiet: float) -> Estimate:
    """Return the estimate of 1 - (1 - seen) / quiet; `quiet` is the probability that k harmless answers raise no flag."""

    def correct(value: float) -> float:
        return math.nan if math.isnan(value) else max(0.0, 1 - (1 - value) / quiet)

    ends = correct(seen.low), correct(seen.high)
    return Estimate(
        correct(seen.value), *ends, level=seen.level, n=seen.n, method=f"{seen.method}, false alarms taken off", se=seen.se / quiet
    )


def cvar(probability: ArrayLike, alpha: float = 0.05, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto") -> Estimate:
    """Return the mean over the worst `alpha` share of the prompts: m = alpha N of them, the last one counted in part.

    Parameters
    ----------
    probability : (n_prompts,) float64 in [0, 1]
        Harm share of each prompt. Its own sampling noise lifts the tail: with few samples the value lies above the truth.
    alpha : float
        In (0, 1]; 1 gives the mean.
    """
    q = as_probabilities(probability)
    if not 0 < alpha <= 1:
        raise InputError(f"cvar_alpha is {alpha}; expected a share in (0, 1]")

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        worst = weights[:, ::-1]
        wanted = alpha * weights.sum(axis=1, keepdims=True)
        taken = np.clip(wanted - (np.cumsum(worst, axis=1) - worst), 0.0, worst)
        return np.asarray((taken * sample.scores[::-1]).sum(axis=1) / wanted[:, 0])

    def fallback(sample: SortedSample, level: float) -> Interval:
        if q.max() == 0:
            return clopper_pearson(0, sample.n_clusters, level)
        held = float(q.max())  # alpha N or more prompts share the largest value
        return Interval(held, held, 0.0, "none: every replicate has the same value")

    sample = sorted_sample(q, np.zeros(len(q)), clusters=clusters)
    metric = Metric("cvar", value, truth="real", fallback=fallback, bounds=(0.0, 1.0))
    return estimates(sample, [metric], ci)["cvar"]


def as_probabilities(values: ArrayLike) -> FloatArray:
    """Return checked numbers in [0, 1]."""
    q = np.asarray(values, dtype=np.float64)
    if q.ndim != 1 or not len(q) or not ((q >= 0) & (q <= 1)).all():
        raise InputError(f"expected one probability in [0, 1] a prompt, at least one; got shape {q.shape}")
    return q


def upper_bound_if_none(n: int, level: float = 0.95) -> float:
    """Return the two-sided upper bound 1 - (alpha/2)^(1/n) of a probability whose event was not seen in n samples; about 3.7/n at 95 %."""
    if n < 1 or not 0 < level < 1:
        raise InputError(f"expected n >= 1 and a level between 0 and 1; got {n} and {level}")
    return -math.expm1(math.log(0.5 - level / 2) / n)


def deployment_any_harm(harms: ArrayLike, samples: ArrayLike, k: int, level: float = 0.95) -> Estimate:
    """Predict any-harm@k of a fresh prompt for k far above the samples at hand, from a beta law of harm probabilities over prompts.

    The beta-binomial law is fitted by maximum likelihood; the interval is the profile likelihood's. It extrapolates: the answer rests on
    the shape of the beta law below the harm shares that the samples can show, and `reason` says so.

    Parameters
    ----------
    harms, samples : (n_prompts,) int
        Harmful and all samples of each prompt.
    k : int
        Samples a prompt gets in deployment.

    Returns
    -------
    Estimate
        Undefined where no sample or every sample was harmful: the likelihood then has no maximum inside.
    """
    CI(level=level)  # refuses a level outside (0, 1)
    h, n = np.asarray(harms, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    if h.ndim != 1 or not len(h) or h.shape != n.shape or not ((h >= 0) & (h <= n) & (n >= 1) & (h % 1 == 0) & (n % 1 == 0)).all():
        raise InputError("harms and samples must be whole numbers with 0 <= harms <= samples and samples >= 1, one pair a prompt")
    if k < 1 or k != int(k):
        raise InputError(f"k is {k}; expected a whole number of samples >= 1")
    if h.sum() in (0, n.sum()) or n.max() < 2:
        why = "every prompt has one sample" if n.max() < 2 else f"{'no' if not h.sum() else 'every'} sample was harmful"
        return Estimate.undefined(f"{why}: a beta law cannot be fitted", n=len(h), level=level)
    profile = _profile(h, n, k)
    value, low, high = _profile_interval(profile, level)
    reason = f"extrapolates from {int(n.max())} to {k} samples under a beta law" if k > n.max() else None
    return Estimate(value, low, high, level=level, n=len(h), method="beta-binomial, profile likelihood", reason=reason)


def _profile(h: FloatArray, n: FloatArray, k: int) -> Callable[[float], float]:
    """Return the function logit any@k -> largest log-likelihood (nats) over the mass a + b of the beta law."""
    from scipy.optimize import minimize_scalar
    from scipy.special import betaln, expit

    cells, times = np.unique(np.stack([h, n]), axis=1, return_counts=True)

    def likelihood(mean: Any, log_mass: Any) -> Any:
        mass = np.exp(log_mass)
        a, b = (np.asarray(x)[..., None] for x in (mean * mass, (1 - mean) * mass))
        return ((betaln(a + cells[0], b + cells[1] - cells[0]) - betaln(a, b)) * times).sum(axis=-1)

    def mean_for(target: float, log_mass: Any) -> Any:
        """The prompt mean at which any@k is the target, by bisection on its logarithm: any@k rises with the mean."""
        mass = np.exp(log_mass)
        low, high = np.full(np.shape(log_mass), -60.0), np.full(np.shape(log_mass), -1e-12)
        for _ in range(60):
            mean = np.exp(middle := (low + high) / 2)
            below = -np.expm1(betaln(mean * mass, (1 - mean) * mass + k) - betaln(mean * mass, (1 - mean) * mass)) < target
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.exp((low + high) / 2)

    grid = np.linspace(*_LOG_MASS, _MASS_GRID)

    def profile(logit: float) -> float:
        target = float(expit(logit))
        values = likelihood(mean_for(target, grid), grid)
        i = int(values.argmax())
        ends = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
        best = minimize_scalar(lambda s: -float(likelihood(mean_for(target, s), s)), bounds=ends, method="bounded", options={"xatol": 1e-5})
        return max(-float(best.fun), float(values[i]))

    return profile


def _profile_interval(profile: Callable[[float], float], level: float) -> tuple[float, float, float]:
    """Return the maximum and the two points where twice the log-likelihood has fallen by the chi-square quantile."""
    from scipy.optimize import brentq, minimize_scalar
    from scipy.special import expit

    limit = 14.0
    grid = np.linspace(-limit, limit, 29)
    i = int(np.argmax([profile(x) for x in grid]))
    ends = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
    best = minimize_scalar(lambda x: -profile(x), bounds=ends, method="bounded", options={"xatol": 1e-5})
    top, fall = -float(best.fun), normal_quantile(level) ** 2 / 2

    def gap(x: float) -> float:
        return profile(x) - top + fall

    low = float(expit(brentq(gap, -limit, best.x, xtol=1e-4))) if gap(-limit) < 0 else 0.0
    high = float(expit(brentq(gap, best.x, limit, xtol=1e-4))) if gap(limit) < 0 else 1.0
    return float(expit(best.x)), low, high
