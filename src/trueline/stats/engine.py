"""The interval engine: one set of weighted replicates serves every metric of a call.

A replicate is a vector of row weights, never a copy of the rows: multinomial counts over rows (or over clusters, whose rows then share
the count), or Dirichlet weights. A metric is a function of (sorted sample, weights). Efron 1979/1987, Rubin 1981.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from trueline.errors import InputError
from trueline.stats.cells import Cells
from trueline.stats.draws import draws, generators
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval, basic, bca, percentile
from trueline.stats.jackknife import influence_skew
from trueline.stats.replicates import Replicates, point, replicate, replicates
from trueline.stats.sample import SortedSample
from trueline.stats.studentised import standard_errors, studentised

__all__ = [
    "CI", "Jackknife", "Kind", "Metric", "ValueFunction", "as_ci", "check", "estimates", "point", "replicate", "reported",
    "weight_chunks",
]  # fmt: skip

Kind = Literal["auto", "bca", "percentile", "basic", "centred", "studentised", "bayesian", "analytic", "none"]
ValueFunction = Callable[[SortedSample, FloatArray], FloatArray]
Jackknife = tuple[FloatArray, FloatArray]
_UNSTABLE = 0.05


@dataclass(frozen=True)
class CI:
    """How to make an interval.

    Attributes
    ----------
    kind : str
        ``"auto"`` uses exact theory where there is some (Wilson for proportions, DeLong for AUROC, Wald for a regression) and rows
        are independent, and otherwise the bootstrap that covers best for the metric: BCa, but basic or centred for calibration
        errors, whose replicates carry the sample's noise twice. ``"bayesian"`` is the percentile interval under Dirichlet weights;
        ``"studentised"`` the bootstrap-t interval, for means, ratios and AUROC: the best for few rows of a skewed loss.
        ``"none"`` makes no interval.
    level : float
        Nominal coverage, in (0, 1).
    n_boot, seed : int
        Number of replicates and the seed of their generator.
    keep : bool
        Keep the replicates in ``Estimate.samples``.
    """

    kind: Kind = "auto"
    level: float = 0.95
    n_boot: int = 2000
    seed: int = 0
    keep: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"interval kind {self.kind!r} is unknown; expected one of {', '.join(get_args(Kind))}")
        if not 0 < self.level < 1:
            raise InputError(f"level is {self.level}; expected a number between 0 and 1, such as 0.95")
        if self.n_boot < 2:
            raise InputError(f"n_boot is {self.n_boot}; at least 2 replicates are needed (2000 is the default)")


def as_ci(ci: CI | Kind | None) -> CI:
    """Return settings from settings, a kind, or None (no interval)."""
    if isinstance(ci, CI):
        return ci
    return CI("none" if ci is None else ci)


@dataclass(frozen=True)
class Metric:
    """What the engine needs to know about a metric.

    Attributes
    ----------
    name : str
    value : function (sample, weights (n_replicates, n_rows)) -> (n_replicates,) float64
        NaN where a replicate leaves it undefined.
    scores : {"real", "probability"}
        What the scores may be.
    truth : {"binary", "real"}
        What the truth may be.
    both_classes : bool
        Undefined without a zero and a one among the truths; single-class replicates are then redrawn.
    jackknife : function, optional
        Closed-form leave-one-unit-out values and how many units each stands for.
    analytic : function (sample, level) -> Interval or None, optional
        Interval from theory; only asked where rows are independent, or in clusters if `clustered`; never for strata.
    clustered : bool
        Whether `analytic` knows clusters.
    fallback : function (sample, level) -> Interval, optional
        Interval to use where every replicate is equal (all answers right, perfect separation): a bootstrap then knows nothing, and without
        one there is no interval.
    reason : function (sample) -> str, optional
        Why the value is NaN.
    bounds : (low, high)
        Range of the metric; ends are clipped to it.
    prefers : {"bca", "basic", "centred"}
        Kind of bootstrap interval under ``"auto"``.
    null : function like `value`, optional
        For an error that cannot be negative: the same error of the replicate's deviation from the sample, that is of noise alone. Where
        the value does not exceed its `level` quantile, zero is not excluded and the lower end of the preferred interval is 0.
    link : function, optional
        Increasing map from the scale of `value` to the reported scale; the interval is made before it.
    rough : function like `value`, optional
        Cheaper stand-in for replicates, its error far below their spread.
    influence : function (sample, weights (n_replicates, n_rows)) -> (n_replicates, n_rows) float64, optional
        Derivative of the value by each row's weight; for standard errors of replicates.
    little_from : int
        Rows (after merging) above which replicates come from a bag of little bootstraps.
    cells : function (sample) -> Cells or None, optional
        Merged neighbours on which the replicates of a long sample may be computed.
    """

    name: str
    value: ValueFunction
    scores: Literal["real", "probability"] = "real"
    truth: Literal["binary", "real"] = "binary"
    both_classes: bool = False
    jackknife: Callable[[SortedSample], Jackknife | None] | None = None
    analytic: Callable[[SortedSample, float], Interval | None] | None = None
    clustered: bool = False
    fallback: Callable[[SortedSample, float], Interval] | None = None
    reason: Callable[[SortedSample], str] | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    prefers: Literal["bca", "basic", "centred"] = "bca"
    null: ValueFunction | None = None
    link: Callable[[FloatArray], FloatArray] | None = None
    rough: ValueFunction | None = None
    influence: ValueFunction | None = None
    little_from: int = 200_000
    cells: Callable[[SortedSample], Cells | None] | None = None


def reported(metric: Metric, value: float) -> float:
    """Return a value on the reported scale."""
    return value if metric.link is None else float(metric.link(np.array([value]))[0])


def estimates(sample: SortedSample, metrics: Sequence[Metric], ci: CI | Kind | None = "auto") -> dict[str, Estimate]:
    """Return every metric with its interval, from one shared set of replicates."""
    ci = as_ci(ci)
    for metric in metrics:
        check(metric, sample)
    values = {m.name: point(m, sample) for m in metrics}
    exact = {m.name: _exact(m, sample, ci, values[m.name]) for m in metrics}
    drawn = [m for m in metrics if exact[m.name] is None and math.isfinite(values[m.name]) and _wants_replicates(ci)]
    nulls = [replace(m, name=_null_name(m), value=m.null, rough=None) for m in drawn if m.null is not None and ci.kind == "auto"]
    errors = []
    if ci.kind == "studentised":
        # A standard error needs its units, which cells have merged.
        drawn = [replace(m, cells=None) for m in drawn if m.influence is not None]
        errors = [replace(m, name=_error_name(m), value=partial(standard_errors, metric=m), rough=None) for m in drawn]
    samples = replicates(sample, [*drawn, *nulls, *errors], ci) if drawn else {}
    return {m.name: _assemble(m, sample, ci, values[m.name], exact[m.name], samples) for m in metrics}


def _null_name(metric: Metric) -> str:
    return f"{metric.name} of noise"


def _error_name(metric: Metric) -> str:
    return f"standard error of {metric.name}"


def check(metric: Metric, sample: SortedSample) -> None:
    """Raise `InputError`, naming the first offending input row, where scores or truth are not what the metric takes."""
    if metric.truth == "binary" and not sample.binary:
        bad = (sample.truth != 0) & (sample.truth != 1)
        i = sample.first_input(bad)
        raise InputError(f"{metric.name} needs truth 0 or 1; {int(bad.sum())} rows are neither, the first at index {i}")
    if metric.scores == "probability":
        bad = ~((sample.scores >= 0) & (sample.scores <= 1))
        if bad.any():
            i = sample.first_input(bad)
            raise InputError(
                f"{metric.name} needs probabilities in [0, 1]; {int(bad.sum())} rows lie outside, the first at index {i}. "
                "Turn a score into a confidence first (calibrated_confidence)"
            )


def weight_chunks(sample: SortedSample, ci: CI) -> Iterator[FloatArray]:
    """Yield (chunk, n_rows) replicate weights, n_boot rows in all; for curves, which are functions of whole weight vectors."""
    rng, _ = generators(ci.seed)
    return draws(sample, ci.kind == "bayesian", rng, ci.n_boot, sample.n)


def _wants_replicates(ci: CI) -> bool:
    return ci.kind not in ("none", "analytic")


def _exact(metric: Metric, sample: SortedSample, ci: CI, value: float) -> Interval | None:
    if metric.analytic is None or ci.kind not in ("auto", "analytic") or not math.isfinite(value):
        return None
    if sample.stratum is not None or (sample.cluster is not None and not metric.clustered):
        return None
    return metric.analytic(sample, ci.level)


def _assemble(
    metric: Metric, sample: SortedSample, ci: CI, value: float, exact: Interval | None, samples: Mapping[str, Replicates]
) -> Estimate:
    base: dict[str, Any] = {"level": ci.level, "n": sample.n, "n_missing": sample.n_missing, "n_effective": sample.n_effective}
    shown = reported(metric, value)
    if not math.isfinite(value):
        reason = metric.reason(sample) if metric.reason is not None else "undefined on these rows"
        return Estimate(shown, reason=reason, **base)
    if exact is not None:
        return Estimate(shown, exact.low, exact.high, se=exact.se, method=exact.method, **base)
    found = samples.get(metric.name)
    if found is None:
        unmade = None if ci.kind == "none" else f"no {ci.kind} interval for {metric.name} on these rows; use 'bca'"
        return Estimate(shown, reason=unmade, **base)
    own = found.values
    keep = (own if metric.link is None else metric.link(own)) if ci.keep else None
    errors, beside = (None if r is None else r.values for r in (samples.get(_error_name(metric)), samples.get(_null_name(metric))))
    usable = np.isfinite(own)
    if errors is not None and usable.any() and np.ptp(own[usable]) > 0:
        usable &= errors > 0
        beside = errors[usable]
    good = own[usable]
    if len(good) < 2 or sample.n_clusters < 2:
        why = "one independent unit only" if sample.n_clusters < 2 else "hardly any replicate was defined"
        return Estimate(shown, reason=f"no interval: {why}", samples=keep, **base)
    if metric.fallback is None and np.ptp(good) == 0:  # replicates that all agree say nothing about the rows not seen
        return Estimate(shown, reason="no interval: every replicate has the same value", samples=keep, **base)
    lost = 1 - len(good) / len(own)
    doubts = [f"unstable: {lost:.0%} of the replicates were undefined"] if lost > _UNSTABLE else []
    if sample.n_lone_strata:
        doubts.append(f"{sample.n_lone_strata} strata have one unit and add no variance")
    interval = _bootstrap_interval(metric, sample, ci, value, replace(found, values=good), beside)
    doubt = "; ".join(doubts) or None
    return Estimate(shown, interval.low, interval.high, se=interval.se, method=interval.method, reason=doubt, samples=keep, **base)


def _bootstrap_interval(
    metric: Metric, sample: SortedSample, ci: CI, value: float, found: Replicates, beside: FloatArray | None
) -> Interval:
    """`beside`: the replicates' standard errors for a studentised interval, else those of noise alone where the metric has them."""
    samples = found.values
    if metric.fallback is not None and np.ptp(samples) == 0:
        return metric.fallback(sample, ci.level)
    kind = metric.prefers if ci.kind == "auto" else ci.kind
    if kind == "bca":
        low, high = bca(samples, value, ci.level, influence_skew(metric, sample, ci.seed, found.cells))
    elif kind == "basic":
        low, high = basic(samples, value, ci.level)
    elif kind == "studentised" and beside is not None:
        error = float(standard_errors(sample, sample.weights[None, :], metric=metric)[0])
        low, high = studentised(samples, beside, value, error, ci.level)
    else:
        low, high = percentile(samples - samples.mean() + value if kind == "centred" else samples, ci.level)
    if beside is not None and kind != "studentised":
        # The plug-in value lies above the truth by the noise that basic takes off; the ends still have to hold what is shown.
        low, high = 0.0 if value <= float(np.quantile(beside, ci.level)) else min(low, value), max(high, value)
    low, high = max(low, metric.bounds[0]), min(high, metric.bounds[1])
    spread = samples
    if metric.link is not None:
        spread = metric.link(samples - samples.mean() + value if kind == "centred" else samples)
    return Interval(reported(metric, low), reported(metric, high), float(spread.std(ddof=1)), f"{kind}, {ci.n_boot} {found.unit}")
