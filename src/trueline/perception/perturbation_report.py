"""What rising perturbation does to a classifier: accuracy, signed calibration and how well it still finds its errors."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics._items import weights_by_item
from trueline.metrics.accuracy import accuracy
from trueline.metrics.multiclass import top_label_signed_ece
from trueline.metrics.ranking import AUROC, auroc
from trueline.metrics.scaling import check_logits, log_softmax
from trueline.perception.failure_scores import max_softmax
from trueline.perception.shift import Shift
from trueline.stats.engine import Metric, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray, SortedSample, sorted_sample, weighted_sum

QUANTITIES = ("accuracy", "signed_level", "failure_auroc")
Weighted = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Perturbed:
    """A classifier under one shift at one severity (0: clean).

    values: accuracy, signed_level (mean confidence minus accuracy) and failure_auroc (errors found by the score). changes: the same less
    clean, paired by item; empty for the clean inputs.
    """

    shift: str
    severity: int
    level: float
    values: Mapping[str, Estimate]
    changes: Mapping[str, Estimate]


@dataclass(frozen=True)
class PerturbationReport:
    """What `perturbation_report` found.

    clean: without a shift. perturbed: one record a shift and severity. areas: shift -> quantity -> mean height of its curve over
    severities, clean included (trapezoids).
    """

    clean: Perturbed
    perturbed: tuple[Perturbed, ...]
    areas: Mapping[str, Mapping[str, Estimate]]

    def rows(self) -> list[dict[str, Any]]:
        """One flat record a shift, severity and quantity, with its interval and its change from clean."""
        return [
            {
                "shift": p.shift,
                "severity": p.severity,
                "level": p.level,
                "quantity": q,
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "n": e.n,
            }
            | {f"change{part}": getattr(p.changes.get(q), name, None) for part, name in (("", "value"), ("_low", "low"), ("_high", "high"))}
            for p in (self.clean, *self.perturbed)
            for q, e in p.values.items()
        ]

    def __str__(self) -> str:
        lines = [f"{p.shift} {p.severity}: " + "; ".join(f"{q} {e}" for q, e in p.values.items()) for p in (self.clean, *self.perturbed)]
        return "\n".join(lines)


def perturbation_report(
    predict: Callable[[Any], ArrayLike],
    inputs: Any,
    labels: ArrayLike,
    shifts: Sequence[Shift],
    *,
    seed: int,
    score: Callable[[FloatArray], FloatArray] | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> PerturbationReport:
    """Ask a classifier about its inputs as they are, and under every shift at every severity.

    Parameters
    ----------
    predict : function of inputs -> (n, K) float64
        Logits, not probabilities; called 1 + (number of shifts and severities) times.
    inputs : sequence or array
        What `predict` takes, n of it; images for `IMAGE_SHIFTS`, texts for `TEXT_SHIFTS`.
    labels : (n,) int64 in 0..K-1
    shifts : sequence of Shift
    seed : int
        Each shift and severity draws from its own stream, so leaving one out changes no other.
    score : function of logits (n, K) -> (n,), optional
        Uncertainty that should find the errors; `max_softmax` by default.
    clusters, ci
        As in `auroc`. Changes and areas are from replicates of the items, shared by all severities.

    Raises
    ------
    InputError
        On shifts with one name, logits that are not finite or not of one shape, or labels outside 0..K-1.
    """
    names = [shift.name for shift in shifts]
    if not names or len(set(names)) != len(names):
        raise InputError(f"expected shifts with distinct names; got {names or 'none'}")

    def ask(given: Any) -> Predictions:
        z, y = check_logits(predict(given), labels)
        return Predictions(np.exp(log_softmax(z)), y, max_softmax(logits=z) if score is None else np.asarray(score(z), dtype=np.float64))

    clean, curves = ask(inputs), {}
    for shift in shifts:
        streams = [np.random.default_rng([seed, zlib.crc32(shift.name.encode()), k]) for k in range(1, len(shift.levels) + 1)]
        curves[shift.name] = [(level, ask(shift.apply(inputs, level, rng))) for level, rng in zip(shift.levels, streams, strict=True)]
    return compare_predictions(clean, curves, clusters=clusters, ci=ci)


def compare_predictions(
    clean: Predictions,
    curves: Mapping[str, Sequence[tuple[float, Predictions]]],
    *,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> PerturbationReport:
    """Return the report on predictions made already: shift -> (level, predictions of the same items in the same order) by severity."""
    perturbed: list[Perturbed] = []
    areas = {}
    for name, curve in curves.items():
        found = _paired([clean, *(made for _, made in curve)], clusters, ci)
        areas[name] = {q: found[f"{q} area"] for q in QUANTITIES}
        for k, (level, made) in enumerate(curve, start=1):
            perturbed.append(Perturbed(name, k, level, made.values(clusters, ci), {q: found[f"{q} {k}"] for q in QUANTITIES}))
    return PerturbationReport(Perturbed("clean", 0, 0.0, clean.values(clusters, ci), {}), tuple(perturbed), areas)


class Predictions:
    """What a classifier said about a set of items: the three quantities as estimates and as functions of replicate weights.

    probabilities: (n, K) float64; labels: (n,) int64; score: (n,) float64, uncertainty. Raises ``InputError`` where the score does not fit.
    """

    def __init__(self, probabilities: FloatArray, labels: IntArray, score: FloatArray) -> None:
        if score.shape != labels.shape:
            raise InputError(f"score must return {labels.shape} numbers; got shape {score.shape}")
        self.p, self.y, self.score = probabilities, labels, score
        self.right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
        ranked = sorted_sample(score, 1 - self.right, merge=False)
        off = probabilities.max(axis=1) - self.right
        self.of: dict[str, Weighted] = {
            "accuracy": _Held(lambda w: weighted_sum(w, self.right) / w.sum(axis=1)),
            "signed_level": _Held(lambda w: weighted_sum(w, off) / w.sum(axis=1)),
            "failure_auroc": _Held(lambda w: AUROC.value(ranked, w[:, ranked.order])),
        }

    def values(self, clusters: ArrayLike | None, ci: CIArgument) -> dict[str, Estimate]:
        """Return the three quantities with intervals of their own."""
        return {
            "accuracy": accuracy(self.right, clusters=clusters, ci=ci),
            "signed_level": top_label_signed_ece(self.p, self.y, clusters=clusters, ci=ci),
            "failure_auroc": auroc(self.score, 1 - self.right, clusters=clusters, ci=ci),
        }


@dataclass
class _Held:
    """A function of weights that remembers its last result: changes and areas ask for the same ones."""

    function: Weighted
    last: tuple[FloatArray, FloatArray] | None = field(default=None)

    def __call__(self, weights: FloatArray) -> FloatArray:
        if self.last is None or self.last[0] is not weights:
            self.last = weights, np.asarray(self.function(weights))
        return self.last[1]


def _paired(curve: Sequence[Predictions], clusters: ArrayLike | None, ci: CIArgument) -> dict[str, Estimate]:
    """Changes from clean and areas under the curve, from one set of replicates of the items."""
    n = len(curve[0].y)
    sample = sorted_sample(np.arange(n), np.zeros(n), clusters=clusters)  # rows stay in the order of the items
    height = np.r_[0.5, np.ones(len(curve) - 2), 0.5] / (len(curve) - 1)
    metrics = []
    for q in QUANTITIES:
        at = [one.of[q] for one in curve]
        metrics += [_metric(f"{q} {k}", _mix(at, np.eye(len(at))[k] - np.eye(len(at))[0]), n) for k in range(1, len(at))]
        metrics.append(_metric(f"{q} area", _mix(at, height), n))
    return estimates(sample, metrics, ci)


def _mix(functions: Sequence[Weighted], shares: FloatArray) -> Weighted:
    used = [(share, f) for share, f in zip(shares, functions, strict=True) if share]
    return lambda weights: np.sum([share * f(weights) for share, f in used], axis=0)


def _metric(name: str, function: Weighted, n_items: int) -> Metric:
    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        return function(weights_by_item(sample, weights, n_items))

    return Metric(name, value, truth="real", bounds=(-1, 1), reason=lambda _: "all answers are right, or all are wrong")
