r"""What representative and robust preference data would cost: labels, trials, context cells, and what a budget reaches.

Preference rates are to lie within epsilon of the truth for every group and context cell at once, with probability 1 - eta; a model is to
fail under a perturbation with probability at most delta, shown with confidence 1 - eta. These are standard bounds (Hoeffding 1963, Maurer
and Pontil 2009, Clopper and Pearson 1934, Kish 1965). `paper_order` alone is from the RLHF trilemma (Sahoo et al., arXiv 2511.19504):
a worst-case order of growth whose constant the paper leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.preferences._checks import open_unit, positive_count

ORDER_NOTE = "order of growth, constant unknown"
POPULATION_NOTE = "the population stands in the denominator: a larger one looks cheaper"
Bound = Literal["hoeffding", "normal", "bernstein"]
_MAX_CONTEXT = 4096  # features; beyond it nothing is affordable, and integers of thousands of digits help nobody
_MOST = 2**60


def labels_needed(
    epsilon: float,
    eta: float = 0.05,
    groups: int = 1,
    cells: int = 1,
    *,
    bound: Bound = "hoeffding",
    variance: float | Literal["worst"] = "worst",
) -> tuple[int, int]:
    r"""Return the labels a group and cell, and in all, that put every rate within epsilon at once with probability 1 - eta.

    Parameters
    ----------
    epsilon, eta : float in (0, 1)
    groups, cells : int
        G groups of people and C context cells; a union bound over the G C rates.
    bound : {"hoeffding", "normal", "bernstein"}
        :math:`\lceil \ln(2GC/\eta) / (2\epsilon^2) \rceil`; the normal approximation :math:`z^2 p(1-p)/\epsilon^2` with z at
        :math:`1 - \eta/(2GC)`; or the empirical Bernstein bound, which holds exactly when the sample variance is p(1-p).
    variance : float or "worst"
        The rate p that a pilot suggests; "worst" is one half. Hoeffding's bound does not use it.

    Raises
    ------
    InputError
        For numbers out of range, or an unknown bound.
    """
    open_unit(epsilon, "epsilon")
    open_unit(eta, "eta")
    rates = positive_count(groups, "groups") * positive_count(cells, "cells")
    p = 0.5 if variance == "worst" else variance
    if not 0 <= p <= 1:
        raise InputError(f"variance is {variance!r}; expected the rate p of a pilot, from 0 to 1, or 'worst'")
    log_rates = math.log(2) + math.log(rates) - math.log(eta)
    if bound == "hoeffding":
        per_cell = math.ceil(log_rates / (2 * epsilon**2))
    elif bound == "normal":
        per_cell = max(1, math.ceil(_tail_quantile(log_rates) ** 2 * p * (1 - p) / epsilon**2))
    elif bound == "bernstein":
        per_cell = _bernstein(epsilon, p * (1 - p), log_rates + math.log(2))
    else:
        raise InputError(f"bound {bound!r} is unknown; expected hoeffding, normal or bernstein")
    return per_cell, per_cell * rates


def _tail_quantile(log_inverse: float) -> float:
    """Return z with P(Z > z) = exp(-log_inverse), also where that tail is below what a float holds."""
    if log_inverse < 700:
        return -NormalDist().inv_cdf(math.exp(-log_inverse))
    from scipy.special import ndtri_exp

    return -float(ndtri_exp(-log_inverse))


def _bernstein(epsilon: float, variance: float, log_term: float) -> int:
    """Return the least m with sqrt(2 V L / m) + 7 L / (3 (m - 1)) <= epsilon (Maurer and Pontil 2009, theorem 4, both sides)."""

    def wide(m: int) -> bool:
        return math.sqrt(2 * variance * log_term / m) + 7 * log_term / (3 * (m - 1)) > epsilon

    return 1 + _last(lambda m: wide(m), 2)


def _last(holds: Callable[[int], bool], first: int, most: int = _MOST) -> int:
    """Return the largest m >= first at which a condition that fails from some point on still holds; first - 1 where it never does."""
    if not holds(first):
        return first - 1
    step = 1
    while first + step <= most and holds(first + step):
        step *= 2
    low, high = first + step // 2, min(first + step, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def trials_without_failure(delta: float, eta: float = 0.05, families: int = 1) -> int:
    r"""Return how many trials without a failure show a failure probability of at most delta: :math:`\lceil \ln\eta / \ln(1-\delta) \rceil`.

    With several families of perturbations each is shown at eta / families, so that all hold at once.
    """
    open_unit(delta, "delta")
    return math.ceil(math.log(open_unit(eta, "eta") / positive_count(families, "families")) / math.log1p(-delta))


def failure_upper(failures: int, trials: int, eta: float = 0.05) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a failure probability, confidence 1 - eta; 1 where all trials failed."""
    from trueline.stats.intervals import clopper_pearson

    open_unit(eta, "eta")
    positive_count(trials, "trials")
    positive_count(failures, "failures", 0)
    return clopper_pearson(failures, trials, 1 - 2 * eta).high if eta < 0.5 else _upper_of_any_level(failures, trials, eta)


def _upper_of_any_level(failures: int, trials: int, eta: float) -> float:
    from scipy.special import betaincinv

    if failures > trials:
        raise InputError(f"{failures} failures in {trials} trials")
    return 1.0 if failures == trials else float(betaincinv(failures + 1, trials - failures, 1 - eta))


def context_cells(d_context: int, max_interaction: int | None = None) -> int:
    r"""Return the cells of d binary features: all :math:`2^d`, or those of order up to k, :math:`\sum_{j \le k} \binom{d}{j} 2^j`."""
    d = positive_count(d_context, "d_context", 0)
    if d > _MAX_CONTEXT:
        raise InputError(f"d_context is {d}; expected at most {_MAX_CONTEXT} binary features")
    if max_interaction is None:
        return 1 << d
    k = positive_count(max_interaction, "max_interaction", 0)
    return sum(math.comb(d, j) << j for j in range(min(k, d) + 1))


def kish(weights: ArrayLike) -> tuple[float, float]:
    r"""Return the effective number :math:`(\sum w)^2 / \sum w^2` and the design effect, the number of weights over it."""
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or not len(w) or not ((w >= 0) & np.isfinite(w)).all() or not w.sum() > 0:
        raise InputError("weights must be one or more finite numbers of at least 0, not all 0")
    scaled = w / w.max()
    n_eff = float(scaled.sum() ** 2 / (scaled**2).sum())
    return n_eff, len(w) / n_eff


def correlation_design_effect(icc: float, items_per_annotator: float) -> float:
    """Return 1 + (b - 1) ICC for b labels of each annotator (Kish 1965)."""
    if not 0 <= icc <= 1 or not items_per_annotator >= 1:
        raise InputError(f"icc is {icc} and items_per_annotator {items_per_annotator}; expected 0 to 1, and at least 1")
    return 1 + (items_per_annotator - 1) * icc


def paper_order(d_context: float, epsilon: float, delta: float, n: float, kappa: float = 1.0) -> float:
    r"""Return :math:`\log_{10}(\kappa 2^d / (\epsilon^2 n \delta))`, the order of growth of Sahoo et al.; its constant kappa is unknown.

    n is the population; it stands in the denominator, so a larger population looks cheaper. Read differences, not the number.
    """
    open_unit(epsilon, "epsilon")
    open_unit(delta, "delta")
    if not (d_context >= 0 and n > 0 and kappa > 0 and math.isfinite(d_context + n + kappa)):
        raise InputError(f"d_context is {d_context}, n {n}, kappa {kappa}; expected at least 0, above 0, above 0")
    return math.log10(kappa) + d_context * math.log10(2) - 2 * math.log10(epsilon) - math.log10(n) - math.log10(delta)


def paper_context(log10_budget: float, epsilon: float, delta: float, n: float, kappa: float = 1.0) -> float:
    """Return the d_context at which `paper_order` equals a budget of 10^log10_budget operations; below 0: not even without context."""
    return (log10_budget - paper_order(0, epsilon, delta, n, kappa)) / math.log10(2)


@dataclass(frozen=True)
class Plan:
    """What representative and robust preference data would cost.

    Attributes
    ----------
    epsilon, delta, eta, groups, cells : as given
    design_effect : float
        Labels that one independent label takes, by correlation within annotators.
    labels : mapping of bound to {"per_cell", "total", "log10_total", "cost", "log10_cost"}
        The design effect is in them; costs are None without a price.
    trials : int
        Trials without failure a family that show delta.
    relaxations : list of {"relaxation", "total", "saves"}
        What giving something up saves: the factor by which Hoeffding's total (or the trials) shrinks.
    """

    epsilon: float
    delta: float
    eta: float
    groups: int
    cells: int
    families: int
    design_effect: float
    labels: dict[str, dict[str, Any]]
    trials: int
    relaxations: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as one JSON-ready record."""
        return dict(vars(self))


def label_plan(
    epsilon: float,
    delta: float,
    eta: float = 0.05,
    *,
    groups: int = 1,
    cells: int = 1,
    d_context: int | None = None,
    max_interaction: int | None = None,
    label_cost: float | None = None,
    variance: float | Literal["worst"] = "worst",
    icc: float = 0.0,
    items_per_annotator: float = 1.0,
    families: int = 1,
) -> Plan:
    """Return the labels, trials and costs of epsilon and delta, by three bounds, and what each relaxation would save.

    Parameters
    ----------
    epsilon, delta, eta, groups, cells, variance
        As in `labels_needed` and `trials_without_failure`.
    d_context, max_interaction : int, optional
        Binary context features instead of `cells`: all combinations, or those of at most that many features.
    label_cost : float, optional
        Price of a label.
    icc, items_per_annotator : float
        Correlation of the labels of one annotator, and how many each gives.
    families : int
        Families of perturbations that must hold at once.

    Raises
    ------
    InputError
        For numbers out of range, or both `cells` and `d_context`.
    """
    if d_context is not None and cells != 1:
        raise InputError("give cells or d_context, not both")
    if label_cost is not None and not (label_cost > 0 and math.isfinite(label_cost)):
        raise InputError(f"label_cost is {label_cost}; expected a price above 0")
    cells = cells if d_context is None else context_cells(d_context, max_interaction)
    deff = correlation_design_effect(icc, items_per_annotator)
    labels: dict[str, dict[str, Any]] = {}
    bounds: tuple[Bound, ...] = ("hoeffding", "normal", "bernstein")
    for bound in bounds:
        per_cell, _ = labels_needed(epsilon, eta, groups, cells, bound=bound, variance=variance)
        labels[bound] = _priced(math.ceil(per_cell * deff), groups * cells, label_cost)
    trials = trials_without_failure(delta, eta, families)
    settings = {"epsilon": epsilon, "eta": eta, "groups": groups, "cells": cells}
    return Plan(
        epsilon,
        delta,
        eta,
        groups,
        cells,
        families,
        deff,
        labels,
        trials,
        _relaxations(settings, delta, families, d_context, max_interaction),
    )


def _priced(per_cell: int, rates: int, label_cost: float | None) -> dict[str, Any]:
    total = per_cell * rates
    log10_cost = None if label_cost is None else math.log10(total) + math.log10(label_cost)
    cost = None if log10_cost is None or log10_cost > 300 else total * (label_cost or 0.0)
    return {"per_cell": per_cell, "total": total, "log10_total": math.log10(total), "cost": cost, "log10_cost": log10_cost}


def _times(more: int, fewer: int) -> float:
    """Return more / fewer, infinity where that is beyond what a float holds."""
    log = math.log(more) - math.log(fewer)
    return math.inf if log > 700 else more / fewer if more < 2**1000 else math.exp(log)


def _relaxations(
    settings: dict[str, Any], delta: float, families: int, d_context: int | None, max_interaction: int | None
) -> list[dict[str, Any]]:
    _, total = labels_needed(**settings)
    rows = []

    def label_row(name: str, **changed: Any) -> None:
        _, fewer = labels_needed(**(settings | changed))
        if fewer < total:
            rows.append({"relaxation": name, "unit": "labels", "total": fewer, "saves": _times(total, fewer)})

    label_row("twice the epsilon", epsilon=min(2 * settings["epsilon"], 0.999))
    if settings["groups"] > 1:
        label_row(f"half the groups ({math.ceil(settings['groups'] / 2)})", groups=math.ceil(settings["groups"] / 2))
    if d_context is not None and max_interaction is None and d_context > 2:
        label_row("interactions of at most two context features", cells=context_cells(d_context, 2))
    elif settings["cells"] > 30:
        label_row("a core of 30 context cells", cells=30)
    label_row("twice the eta", eta=min(2 * settings["eta"], 0.999))
    trials = trials_without_failure(delta, settings["eta"], families)
    weaker = {"ten times the delta": (min(10 * delta, 0.999), families)}
    if families > 1:
        weaker["one family of perturbations"] = (delta, 1)
    for name, (rate, count) in weaker.items():
        fewer = trials_without_failure(rate, settings["eta"], count)
        # each family needs its own trials
        rows.append({"relaxation": name, "unit": "trials", "total": fewer * count, "saves": trials * families / (fewer * count)})
    return rows


def frontier(
    budget: float,
    epsilon: float,
    eta: float = 0.05,
    *,
    groups: int = 1,
    cells: int = 1,
    max_interaction: int | None = None,
    label_cost: float = 1.0,
    design_effect: float = 1.0,
) -> dict[str, float]:
    """Return what a budget reaches when one thing is varied and the rest held, by Hoeffding's bound.

    Returns
    -------
    dict
        ``epsilon``: the smallest (above 1: nothing is learnt); ``groups``: the most (0: not even one); ``d_context``: the most binary
        features, in all combinations or up to `max_interaction` (-1: not even none).

    Raises
    ------
    InputError
        For numbers out of range.
    """
    if not (budget > 0 and label_cost > 0 and design_effect >= 1 and math.isfinite(budget * label_cost * design_effect)):
        raise InputError(
            f"budget is {budget}, label_cost {label_cost}, design_effect {design_effect}; expected above 0, above 0, at least 1"
        )
    labels = budget / label_cost

    def affordable(g: int, c: int) -> bool:
        per_cell, _ = labels_needed(epsilon, eta, g, c)
        return math.ceil(per_cell * design_effect) * g * c <= labels

    rates = positive_count(groups, "groups") * positive_count(cells, "cells")
    return {
        "labels": labels,
        "epsilon": math.sqrt(math.log(2 * rates / open_unit(eta, "eta")) * rates * design_effect / (2 * labels)),
        "groups": _last(lambda g: affordable(g, cells), 1),
        "d_context": _last(lambda d: affordable(groups, context_cells(d, max_interaction)), 0, _MAX_CONTEXT),
    }


def epsilon_reached(labels_per_cell: float, eta: float = 0.05, groups: int = 1, cells: int = 1, design_effect: float = 1.0) -> float:
    """Return the epsilon that so many labels in the smallest group and cell show, by Hoeffding's bound; infinite without a label."""
    if not labels_per_cell >= 0 or not design_effect >= 1:
        raise InputError(f"labels_per_cell is {labels_per_cell}, design_effect {design_effect}; expected at least 0, and at least 1")
    rates = positive_count(groups, "groups") * positive_count(cells, "cells")
    if not labels_per_cell:
        return math.inf
    return math.sqrt(math.log(2 * rates / open_unit(eta, "eta")) * design_effect / (2 * labels_per_cell))
