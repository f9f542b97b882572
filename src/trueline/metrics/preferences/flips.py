"""How often a preference flips under perturbation: mean, at least once, by family, with exact bounds; and from which margin on it does not.

delta-robustness after Sahoo et al. (arXiv 2511.19504): the failure probability under perturbations is at most delta. A bound holds for the
distribution that the perturbations were drawn from, and says nothing about one that nobody tried.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.preferences._checks import open_unit
from trueline.metrics.preferences.planner import failure_upper, trials_without_failure
from trueline.metrics.ranking import auroc
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import clopper_pearson
from trueline.stats.multiplicity import holm

_STEPS = 20


@dataclass(frozen=True)
class FamilyFlips:
    """One family of perturbations.

    rate: share of pairs that at least one of its perturbations flips, exact two-sided interval. upper: one-sided bound at confidence
    1 - eta / families, so that all hold at once. p, p_holm: exact test against the tolerated rate, and Holm's over the families.
    """

    family: str
    rate: Estimate
    upper: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class Flips:
    """Flips of n pairs under m perturbations.

    Attributes
    ----------
    mean : Estimate
        Share of (pair, perturbation) that flip; the interval draws pairs.
    any : Estimate
        Share of pairs that at least one flips.
    upper_any : float
        One-sided Clopper-Pearson bound of it, confidence 1 - eta.
    families : tuple of FamilyFlips
    margin_auroc : Estimate
        How well a small |margin| foretells a flip; undefined without margins.
    safe_margin : float
        Least |margin| from which on, with confidence 1 - eta, at most the tolerated share of pairs flips; NaN where none is shown.
    safe_share : float
        Share of the pairs with at least that margin.
    """

    mean: Estimate
    any: Estimate
    upper_any: float
    families: tuple[FamilyFlips, ...]
    margin_auroc: Estimate
    safe_margin: float
    safe_share: float


def flip_robustness(
    flip: ArrayLike,
    families: Sequence[str] | None = None,
    *,
    margin: ArrayLike | None = None,
    eta: float = 0.05,
    tolerated: float = 0.02,
    level: float = 0.95,
) -> Flips:
    """Return how often perturbations flip the preferences of a model.

    Parameters
    ----------
    flip : (n_pairs, m) float64
        1 where perturbation j flips pair i, 0 where not, NaN where it was not tried or there is no preference. "At least one" of a pair
        is missing where none flips and some are missing.
    families : m names, optional
        Several perturbations may be of one family; by default each is its own.
    margin : (n_pairs,) float64, optional
        |reward difference| before perturbation.
    eta : float
        One minus the confidence of the one-sided bounds.
    tolerated : float
        Flip rate that is still accepted.
    level : float
        Coverage of the two-sided intervals.

    Raises
    ------
    InputError
        For an empty table, entries other than 0, 1 and NaN, families that do not fit, numbers out of range.
    """
    table = _table(flip)
    names = [str(j) for j in range(table.shape[1])] if families is None else [str(f) for f in families]
    if len(names) != table.shape[1]:
        raise InputError(f"{len(names)} families for {table.shape[1]} perturbations; name one each (the same name for kin)")
    for value, name in ((eta, "eta"), (tolerated, "tolerated"), (level, "level")):
        open_unit(value, name)
    once = _at_least_once(table)
    kinds = list(dict.fromkeys(names))
    parts = [_family(_at_least_once(table[:, [n == kind for n in names]]), eta / len(kinds), tolerated, level) for kind in kinds]
    tested = [i for i, (_, _, p) in enumerate(parts) if not math.isnan(p)]
    adjusted = np.full(len(kinds), np.nan)
    if tested:
        adjusted[tested] = holm([parts[i][2] for i in tested])
    auc, safe, share = _margin(once, margin, eta, tolerated)
    return Flips(
        mean=_mean(table, level),
        any=_share(once, level),
        upper_any=_upper(once, eta),
        families=tuple(FamilyFlips(kind, *part, float(a)) for kind, part, a in zip(kinds, parts, adjusted, strict=True)),
        margin_auroc=auc,
        safe_margin=safe,
        safe_share=share,
    )


def scenario_delta(values: ArrayLike, floor: float, *, eta: float = 0.05, level: float = 0.95) -> tuple[Estimate, float]:
    """Return the share of perturbations whose mean value falls below a floor, and its one-sided upper bound (confidence 1 - eta).

    Parameters
    ----------
    values : (n_perturbations,) float64
        Mean value over items (and people) under each; NaN is missing. The perturbations must be drawn from what the claim is about.
    floor : float
        Least acceptable value, V_min.

    Raises
    ------
    InputError
        Without a value, or for a floor that is no number.
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1 or not len(v) or not math.isfinite(floor):
        raise InputError(f"values has shape {v.shape} and the floor is {floor}; expected one number a perturbation, and a finite floor")
    open_unit(level, "level")
    below = np.where(np.isnan(v), np.nan, v < floor)
    return _share(below, level), _upper(below, eta)


def _table(flip: ArrayLike) -> FloatArray:
    table = np.asarray(flip, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise InputError(f"flip has shape {table.shape}; expected pairs x perturbations, one of each at least")
    bad = np.argwhere(~np.isin(table, (0.0, 1.0)) & ~np.isnan(table))
    if len(bad):
        i, j = bad[0]
        raise InputError(f"flip[{i}, {j}] is {table[i, j]}; expected 1, 0 or NaN")
    return table


def _at_least_once(table: FloatArray) -> FloatArray:
    return np.where((table == 1).any(axis=1), 1.0, np.where(np.isnan(table).any(axis=1), np.nan, 0.0))


def _counted(once: FloatArray) -> tuple[int, int]:
    known = once[~np.isnan(once)]
    return int(known.sum()), len(known)


def _upper(once: FloatArray, eta: float) -> float:
    failures, trials = _counted(once)
    return failure_upper(failures, trials, eta) if trials else math.nan


def _share(once: FloatArray, level: float) -> Estimate:
    failures, trials = _counted(once)
    if not trials:
        return Estimate.undefined("nothing was tried on every pair", level=level, n_missing=len(once))
    ends = clopper_pearson(failures, trials, level)
    return Estimate(failures / trials, ends.low, ends.high, level, trials, len(once) - trials, ends.method, float(trials), ends.se)


def _mean(table: FloatArray, level: float) -> Estimate:
    """Mean over all that was tried; a pair's perturbations hang together, so the interval is that of a ratio of sums over pairs."""
    flips, tried = np.nansum(table, axis=1), (~np.isnan(table)).sum(axis=1)
    n = int((tried > 0).sum())
    if not n:
        return Estimate.undefined("no perturbation was tried", level=level, n_missing=len(table))
    value = float(flips.sum() / tried.sum())
    if value in (0.0, 1.0) or n < 2:
        ends = clopper_pearson(value * n, n, level)
        return Estimate(value, ends.low, ends.high, level, n, len(table) - n, f"{ends.method} on pairs", float(n), ends.se)
    se = math.sqrt(float(((flips - value * tried) ** 2).sum()) * n / (n - 1)) / float(tried.sum())
    # An effective number of independent trials turns the ratio's standard error into an exact interval that stays in [0, 1].
    effective = max(float(n) if se == 0 else min(value * (1 - value) / se**2, float(tried.sum())), 1.0)
    ends = clopper_pearson(value * effective, effective, level)
    return Estimate(value, ends.low, ends.high, level, n, len(table) - n, "clopper-pearson, effective number of trials", effective, se)


def _family(once: FloatArray, eta: float, tolerated: float, level: float) -> tuple[Estimate, float, float]:
    from scipy.special import betainc

    failures, trials = _counted(once)
    # P(at least k of n) at the tolerated rate
    p = math.nan if not trials else 1.0 if not failures else float(betainc(failures, trials - failures + 1, tolerated))
    return _share(once, level), _upper(once, eta), p


def _margin(once: FloatArray, margin: ArrayLike | None, eta: float, tolerated: float) -> tuple[Estimate, float, float]:
    if margin is None:
        return Estimate.undefined("no margins were given", n_missing=len(once)), math.nan, math.nan
    size = np.abs(np.asarray(margin, dtype=np.float64))
    if size.shape != once.shape:
        raise InputError(f"margin has shape {size.shape}; expected one number a pair, {once.shape}")
    good = np.isfinite(size) & ~np.isnan(once)
    size, flipped = size[good], once[good]
    if not len(size):
        return Estimate.undefined("no pair has a margin and was tried", n_missing=len(once)), math.nan, math.nan
    foretold = auroc(-size, flipped)
    safe = math.nan
    least = trials_without_failure(tolerated, eta)
    # From the largest margins down (fixed-sequence testing): the first step that is not shown ends it, so all shown ones hold together.
    # Where there are enough, it starts with pairs for two, so that one unlucky flip does not end it at once.
    for at in np.unique(np.quantile(size, np.arange(_STEPS) / _STEPS, method="lower"))[::-1]:
        kept = flipped[size >= at]
        if len(kept) < (2 * least if len(size) >= 2 * least else least):
            continue
        if failure_upper(int(kept.sum()), len(kept), eta) > tolerated:
            break
        safe = float(at)
    return foretold, safe, float((size >= safe).mean()) if math.isfinite(safe) else 0.0
