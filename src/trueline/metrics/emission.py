"""Does a model mean the markers that it emits? Share, accuracy and probability of the answers of each emitted class, with intervals.

Zhou, Jurafsky and Hashimoto 2023 (arXiv 2302.13439), who let a model learn to emit markers from examples in its prompt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.marker_contrasts import LEAST_ITEMS, class_contrast
from trueline.stats.clusters import cluster_rate
from trueline.stats.differences import independent_difference
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import wilson
from trueline.stats.sample import as_vector, check_length, cluster_codes

KINDS = ("weakener", "strengthener", "none")
#: Classes that are compared, the first less the second.
GAPS = (("strengthener", "weakener"), ("none", "weakener"), ("strengthener", "none"))
_NEVER = "never emitted"


@dataclass(frozen=True)
class Emission:
    """What comes with each emitted class.

    classes : class -> ``share``, ``accuracy``, ``probability`` and further values -> Estimate
    gaps : ``"first_minus_second"`` -> value -> Estimate, of the classes in ``GAPS``
    """

    classes: Mapping[str, Mapping[str, Estimate]]
    gaps: Mapping[str, Mapping[str, Estimate]]

    def to_json(self) -> dict[str, Any]:
        """JSON-safe record."""
        return {
            part: {name: {key: e.to_json() for key, e in row.items()} for name, row in getattr(self, part).items()}
            for part in ("classes", "gaps")
        }


def emission(
    emitted: Sequence[str],
    correct: ArrayLike,
    probability: ArrayLike,
    *,
    more: Mapping[str, ArrayLike] | None = None,
    clusters: Sequence[str] | None = None,
    level: float = 0.95,
) -> Emission:
    """Sum up answers by the class of the marker that each carries.

    Parameters
    ----------
    emitted : n of ``"weakener"``, ``"strengthener"``, ``"none"``
    correct : (n,) in {0, 1}, or NaN where it could not be judged
    probability : (n,) float64 in [0, 1], of the answer; NaN where unknown
    more : name -> (n,) float64, further values of an answer, such as its entropy
    clusters : n labels, optional
        Answers that share one are not independent.

    Shares and accuracies have Wilson's interval (over clusters, where there are any), means a normal one; below 20 answers in all there
    are point values alone. A gap's interval is put together from those of its classes, which share no answer (but may share clusters).

    Raises
    ------
    InputError
        No answer, lengths that differ, an unknown class, values out of range.

    Examples
    --------
    >>> found = emission(["weakener", "none"] * 10, [0, 1] * 10, [0.2, 0.9] * 10)
    >>> print(found.gaps["none_minus_weakener"]["accuracy"])
    1 [0.6075, 1] (n=20)
    """
    columns = _columns(emitted, correct, probability, more or {})
    n = len(emitted)
    codes = None if clusters is None else cluster_codes(clusters, n)
    kinds = np.asarray(emitted, dtype=object)
    classes: dict[str, dict[str, Estimate]] = {}
    for kind in KINDS:
        mask = kinds == kind
        row = {"share": _rate(mask.astype(np.float64), codes, n, level)}
        for name, values in columns.items():
            if not mask.any():
                row[name] = Estimate(math.nan, level=level, reason=_NEVER)
            elif name == "accuracy":
                row[name] = _rate(values[mask], None if codes is None else codes[mask], n, level)
            else:
                row[name] = _mean(values[mask], None if codes is None else [str(c) for c in codes[mask]], level)
        classes[kind] = row
    gaps = {f"{a}_minus_{b}": {name: _gap(classes[a][name], classes[b][name]) for name in columns} for a, b in GAPS}
    return Emission(classes, gaps)


def _columns(emitted: Sequence[str], correct: ArrayLike, probability: ArrayLike, more: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
    if not len(emitted):
        raise InputError("there is no answer; expected at least one")
    if strange := [e for e in emitted if e not in KINDS]:
        raise InputError(f"{str(strange[0])[:40]!r} is no class of markers; expected one of {', '.join(KINDS)}")
    columns = {"accuracy": as_vector(correct, "correct"), "probability": as_vector(probability, "probability")}
    columns |= {name: as_vector(values, name) for name, values in more.items()}
    for name, values in columns.items():
        check_length(len(values), len(emitted), name)
    right, p = columns["accuracy"], columns["probability"]
    if not np.isin(right[~np.isnan(right)], (0.0, 1.0)).all():
        raise InputError("correct holds a value other than 0, 1 and NaN")
    if ((p < 0) | (p > 1 + 1e-9)).any():
        raise InputError("probability holds a value outside [0, 1]")
    return columns


def _rate(values: FloatArray, codes: Any, n_all: int, level: float) -> Estimate:
    known = np.isfinite(values)
    lost = int((~known).sum())
    if not known.any():
        return Estimate(math.nan, level=level, n_missing=lost, reason="no answer could be judged")
    rate, n = float(values[known].mean()), int(known.sum())
    if n_all < LEAST_ITEMS:
        return Estimate(rate, level=level, n=n, n_missing=lost, reason=f"{n_all} items: no interval below {LEAST_ITEMS}")
    if codes is None:
        ends = wilson(float(values[known].sum()), n, level)
        return Estimate(rate, ends.low, ends.high, level, n, lost, ends.method, se=ends.se)
    own = np.unique(codes[known], return_inverse=True)[1]
    found = cluster_rate(np.bincount(own, weights=values[known]), np.bincount(own), level=level).rate
    return replace(found, n_missing=lost)


def _mean(values: FloatArray, clusters: Sequence[str] | None, level: float) -> Estimate:
    return class_contrast(values, np.zeros(len(values)), clusters=clusters, level=level, n_boot=2).estimate


def _gap(first: Estimate, second: Estimate) -> Estimate:
    if math.isfinite(first.low + first.high + second.low + second.high):
        return independent_difference(first, second)
    reason = first.reason or second.reason or "one of the two has no interval"
    return Estimate(first.value - second.value, level=first.level, n=first.n + second.n, reason=reason)
