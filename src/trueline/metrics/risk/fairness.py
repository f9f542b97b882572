"""Rates by group: largest difference and smallest ratio of accuracy, true- and false-positive rate and predicted-positive rate.

Cruz et al. 2024 (arXiv 2407.14614); equalized odds: Hardt, Price and Srebro 2016 (arXiv 1610.02413). A difference between the best and
worst of several groups is above 0 by chance alone, the more so the smaller the groups: each comes with what shuffled groups would give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate, FloatArray

#: Share of the rows below which a group is left out.
LEAST_SHARE = 0.04
RATES = ("accuracy", "tpr", "fpr", "ppr")


@dataclass(frozen=True)
class Fairness:
    """Differences and ratios between groups.

    Attributes
    ----------
    values : mapping
        ``RATE_diff`` (max - min) and ``RATE_ratio`` (min / max; 0 where it is 0/0) of accuracy, tpr, fpr, tnr, fnr, ppr, with
        ``equalized_odds_diff`` (the larger of the tpr and fpr differences) and ``equalized_odds_ratio`` (the smaller of the fnr and fpr
        ratios). A rate that is undefined in some group leaves those of the others.
    p_values : mapping
        Of each difference: share of shuffles of the groups that give as large a one.
    chance : mapping
        Mean of each difference over the shuffles.
    groups, left_out : mapping
        Group -> rows; those below the least share.
    notes : tuple of str
    """

    values: Mapping[str, Estimate]
    p_values: Mapping[str, float]
    chance: Mapping[str, float]
    groups: Mapping[str, int]
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-safe record."""
        finite = {name: None if math.isnan(v) else v for name, v in self.chance.items()}
        return {
            "values": {name: e.to_json() for name, e in self.values.items()},
            "p_values": {name: None if math.isnan(v) else v for name, v in self.p_values.items()},
            "chance": finite,
            "groups": dict(self.groups),
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }


def group_fairness(
    truth: ArrayLike,
    predicted: ArrayLike,
    group: ArrayLike,
    *,
    min_group_fraction: float = LEAST_SHARE,
    ci: CI | None = None,
    n_shuffles: int = 200,
) -> Fairness:
    """Compare the rates of groups.

    Parameters
    ----------
    truth, predicted : (n,) in {0, 1}
    group : (n,) any labels
    min_group_fraction : float
        Groups with a smaller share of the rows are left out, and named.
    ci : CI, optional
        Level, replicates and seed: rows are redrawn within their group; the interval is mirrored (basic), which takes off that a
        replicate's largest difference lies above the sample's. A difference that shuffled groups reach in more than 1 - level of the
        shuffles has the lower end 0.
    n_shuffles : int
        Shuffles behind `p_values` and `chance`.

    Raises
    ------
    InputError
        On bad input; fewer than two groups that are large enough.
    """
    y, p, g = _checked(truth, predicted, group)
    ci = ci or CI(n_boot=200, seed=42)
    names, codes, counts = np.unique(g, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts >= min_group_fraction * len(y))
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} of {len(names)} groups hold {min_group_fraction:.0%} of the {len(y)} rows or more; fairness compares at least two"
        )
    rows = np.isin(codes, kept)
    cell = (2 * y + p).astype(np.int64)[rows]
    code = np.searchsorted(kept, codes[rows])
    table = np.bincount(code * 4 + cell, minlength=4 * len(kept)).reshape(1, len(kept), 4).astype(np.float64)
    rng = np.random.default_rng(ci.seed)
    sizes = table[0].sum(axis=1).astype(np.int64)
    drawn = np.stack([rng.multinomial(n, row / n, ci.n_boot) for n, row in zip(sizes, table[0], strict=True)], axis=1)
    shuffled = np.stack([np.bincount(rng.permutation(code) * 4 + cell, minlength=table[0].size) for _ in range(n_shuffles)])
    found, samples = _compared(table), _compared(drawn.astype(np.float64))
    null = _compared(shuffled.reshape(n_shuffles, len(kept), 4).astype(np.float64))
    values, p_values, chance = {}, {}, {}
    for name, own in found.items():
        is_diff = name.endswith("_diff")
        usual = null[name][np.isfinite(null[name])]
        if is_diff:
            reached = usual >= own[0] - 1e-12
            p_values[name] = float((1 + reached.sum()) / (1 + len(usual))) if math.isfinite(own[0]) else math.nan
            chance[name] = float(usual.mean()) if len(usual) else math.nan
        values[name] = _estimate(float(own[0]), samples[name], ci, int(rows.sum()), p_values.get(name))
    left = {str(names[k]): int(counts[k]) for k in range(len(names)) if k not in kept}
    notes = tuple(_notes(table[0], [str(names[k]) for k in kept]))
    return Fairness(values, p_values, chance, {str(names[k]): int(counts[k]) for k in kept}, left, notes)


def _checked(truth: ArrayLike, predicted: ArrayLike, group: ArrayLike) -> tuple[FloatArray, FloatArray, Any]:
    y, p, g = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64), np.asarray(group)
    if y.ndim != 1 or not len(y) == len(p) == len(g) or not len(y):
        raise InputError(f"truth, predicted and group must be equally long and not empty; got {y.shape}, {p.shape} and {g.shape}")
    for what, values in (("truth", y), ("predicted", p)):
        bad = (values != 0) & (values != 1)
        if bad.any():
            raise InputError(f"{what} must be 0 or 1; row {int(np.argmax(bad))} is {values[bad][0]}")
    if g.dtype.kind == "O":
        g = np.array([str(x) for x in g])
    return y, p, g


def _compared(tables: FloatArray) -> dict[str, FloatArray]:
    """Differences and ratios of (.., n_groups, 4) counts of (tn, fp, fn, tp)."""
    tn, fp, fn, tp = np.moveaxis(tables, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = tn + fp + fn + tp
        rates = {
            "accuracy": (tp + tn) / total,
            "tpr": tp / (tp + fn),
            "fpr": fp / (fp + tn),
            "tnr": tn / (fp + tn),
            "fnr": fn / (tp + fn),
            "ppr": (tp + fp) / total,
        }
    found: dict[str, FloatArray] = {}
    for name, rate in rates.items():
        most, least = (_extreme(rate, how) for how in (np.fmax, np.fmin))
        found[f"{name}_diff"] = most - least
        found[f"{name}_ratio"] = np.where(np.isnan(most), np.nan, np.divide(least, most, out=np.zeros_like(most), where=most > 0))
    found["equalized_odds_diff"] = np.maximum(found["tpr_diff"], found["fpr_diff"])
    found["equalized_odds_ratio"] = np.minimum(found["fnr_ratio"], found["fpr_ratio"])
    return found


def _extreme(rate: FloatArray, how: Any) -> FloatArray:
    return np.asarray(how.reduce(rate, axis=-1))


def _estimate(value: float, samples: FloatArray, ci: CI, n: int, p_value: float | None) -> Estimate:
    if not math.isfinite(value):
        return Estimate.undefined("no group has rows of the class that the rate is about", n=n, level=ci.level)
    good = samples[np.isfinite(samples)]
    low, high = np.quantile(2 * value - good, [0.5 - ci.level / 2, 0.5 + ci.level / 2])
    low, high = max(0.0, min(float(low), value)), min(1.0, max(float(high), value))
    if p_value is not None and p_value > 1 - ci.level:
        low = 0.0
    method = f"basic, {ci.n_boot} replicates within groups"
    return Estimate(value, low, high, ci.level, n=n, method=method, n_effective=float(n), se=float(good.std(ddof=1)))


def _notes(table: FloatArray, names: list[str]) -> list[str]:
    tn, fp, fn, tp = table.T
    lacking = [
        (name, what) for name, ones, zeros in zip(names, tp + fn, tn + fp, strict=True) for what, n in (("1", ones), ("0", zeros)) if not n
    ]
    return [f"group {name} has no row of label {label}: its rates of that class are undefined and left out" for name, label in lacking]
