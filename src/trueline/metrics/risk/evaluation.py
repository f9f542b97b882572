"""`evaluate_risk`: everything one wants to know about risk scores of a binary outcome, with intervals, overall and by group.

Cruz et al. 2024 (arXiv 2407.14614).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.ece import SIGNED_ECE, Bins, ece_metric
from trueline.metrics.proper import BRIER, NLL
from trueline.metrics.ranking import AUROC
from trueline.metrics.risk.calibration import RangeKind, confidence_metric, quantile_metric
from trueline.metrics.risk.fairness import LEAST_SHARE, Fairness, group_fairness
from trueline.metrics.risk.threshold import fit_threshold
from trueline.metrics.smooth_ece import SMOOTH_ECE
from trueline.stats.engine import CI, Kind, Metric, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval, wilson
from trueline.stats.sample import SortedSample, sorted_sample

#: Names in the order of a report; the engine's name of each metric, where it has another one.
_RENAMED = {"nll": "log_loss", "brier": "brier_score_loss", "auroc": "roc_auc", "signed_ece": "signed_error"}
Part = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class RiskReport:
    """Metrics of risk scores.

    Attributes
    ----------
    n, threshold
        Rows, and the threshold at or above which a score is a positive prediction.
    metrics : mapping of name to Estimate
        accuracy, balanced_accuracy, tpr, fpr, precision, ppr (share predicted positive), base_rate, mean_score, log_loss (nats),
        brier_score_loss, roc_auc, ece, ece_quantile, smooth_ece, confidence_bias (above 0: over-confident), signed_error (mean score less
        mean truth).
    groups : mapping of group to mapping
        The same for every group.
    fairness : Fairness or None
    warnings : tuple of str
    """

    n: int
    threshold: float
    metrics: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, Estimate]]
    fairness: Fairness | None
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.metrics:
            raise KeyError(f"no metric {name!r}; there are {', '.join(self.metrics)}")
        return self.metrics[name]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-safe record."""
        return {
            "n": self.n,
            "threshold": self.threshold,
            "metrics": {name: e.to_json() for name, e in self.metrics.items()},
            "groups": {g: {name: e.to_json() for name, e in found.items()} for g, found in self.groups.items()},
            "fairness": None if self.fairness is None else self.fairness.to_json(),
            "warnings": list(self.warnings),
        }


def evaluate_risk(
    y: ArrayLike,
    score: ArrayLike,
    group: ArrayLike | None = None,
    threshold: float | Literal["best"] = 0.5,
    bins: int | Literal["data_range"] = 10,
    bootstrap: int = 200,
    *,
    ci: Kind | None = "auto",
    level: float = 0.95,
    seed: int = 42,
    min_group_fraction: float = LEAST_SHARE,
) -> RiskReport:
    """Evaluate risk scores.

    Parameters
    ----------
    y : (n,) in {0, 1}
        Outcomes.
    score : (n,) float64 in [0, 1]
        Probability of outcome 1.
    group : (n,) any labels, optional
        Group of each row; None and NaN are a group ``missing``.
    threshold : float or "best"
        ``"best"``: the threshold of the highest balanced accuracy on these same rows, which flatters.
    bins : int or "data_range"
        Equal-width bins on [0, 1] of the ECE and the confidence bias; ``"data_range"``: 10, those of the confidence bias between the lowest
        and the highest score (the paper's notebook).
    bootstrap, ci, level, seed
        Replicates and kind of the intervals. ``"auto"``: Wilson and DeLong where they apply, else the bootstrap that covers best;
        ``"percentile"``: the paper's, for every metric; None: none.
    min_group_fraction : float
        Smaller groups stay out of the fairness comparison, not out of the table of groups.

    Raises
    ------
    InputError
        A score outside [0, 1] or NaN, an outcome that is neither 0 nor 1, lengths that differ, no rows.

    Examples
    --------
    >>> report = evaluate_risk([0, 0, 1, 1], [0.1, 0.6, 0.7, 0.9])
    >>> print(report["accuracy"])
    0.75 [0.3006, 0.9544] (n=4)
    """
    settings = CI("none" if ci is None else ci, level, bootstrap, seed)
    sample = sorted_sample(score, y)
    outcomes, scores = np.asarray(y, dtype=np.float64), np.asarray(score, dtype=np.float64)
    labels = None if group is None else group_labels(group, len(scores))
    notes: list[str] = []
    if threshold == "best":
        found = fit_threshold(scores, outcomes) if 0 < outcomes.mean() < 1 else None
        cut = 0.5 if found is None else found.threshold
        notes.append(
            "The threshold was chosen on the rows that it is judged on, which flatters." if found else "One class only: threshold 0.5."
        )
    else:
        cut = float(threshold)
        if math.isnan(cut):
            raise InputError("the threshold is NaN; give a number or 'best'")
    suite = _suite(cut, 10 if bins == "data_range" else bins, "data_range" if bins == "data_range" else "unit")
    metrics = _named(estimates(sample, suite, settings))
    notes += _doubts(sample, metrics)
    groups: dict[str, dict[str, Estimate]] = {}
    fairness = None
    if labels is not None:
        for name in sorted(set(labels)):
            rows = labels == name
            groups[name] = _named(estimates(sorted_sample(scores[rows], outcomes[rows]), suite, settings))
        fairness, more = _fairness(outcomes, scores >= cut, labels, min_group_fraction, settings)
        notes += more
    return RiskReport(len(scores), cut, metrics, groups, fairness, tuple(notes))


def group_labels(group: ArrayLike, n: int) -> Any:
    """Return groups as strings. Raises ``InputError`` unless there are `n`."""
    cells = list(group) if not isinstance(group, np.ndarray) else group.tolist()  # type: ignore[arg-type]
    if len(cells) != n:
        raise InputError(f"{n} scores but {len(cells)} groups; give one group a row")
    return np.array([_label(c) for c in cells])


def _label(cell: Any) -> str:
    if cell is None or cell != cell:
        return "missing"
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _fairness(y: FloatArray, predicted: Any, labels: Any, share: float, ci: CI) -> tuple[Fairness | None, list[str]]:
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    notes = []
    small = {name: n for name, n in counts.items() if n < share * len(y)}
    if small:
        listed = ", ".join(f"{name} ({n})" for name, n in list(small.items())[:8])
        notes.append(f"Groups with less than {share:.0%} of the rows are not compared: {listed}.")
    thin = {name: n for name, n in counts.items() if name not in small and n < 100}
    if thin:
        listed = ", ".join(f"{name} ({n})" for name, n in list(thin.items())[:8])
        notes.append(f"Groups of fewer than 100 rows: {listed}; read the intervals, not the values.")
    if len(counts) - len(small) < 2:
        return None, [*notes, "Fewer than two groups are large enough to be compared."]
    found = group_fairness(y, predicted.astype(np.float64), labels, min_group_fraction=share, ci=ci)
    return found, [*notes, *found.notes]


def _doubts(sample: SortedSample, metrics: Mapping[str, Estimate]) -> list[str]:
    notes = []
    if sample.truth.min() == sample.truth.max():
        text = f"All {sample.n} outcomes are {int(sample.truth[0])}: the AUC is undefined."
        warnings.warn(text, UserWarning, stacklevel=3)
        notes.append(text)
    if sample.scores[0] == sample.scores[-1]:
        notes.append(f"All scores are {sample.scores[0]:g}: they order nothing (AUC 0.5).")
    loss = metrics["log_loss"]
    if math.isinf(loss.value):
        notes.append(f"The log loss is {loss.reason}.")
    return notes


def _named(found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {_RENAMED.get(name, name): estimate for name, estimate in found.items()}


def _suite(cut: float, n_bins: int, kind: RangeKind) -> list[Metric]:
    def everything(p: FloatArray, y: FloatArray) -> FloatArray:
        return np.ones_like(y)

    return [
        _rate("accuracy", cut, lambda p, y: p * y + (1 - p) * (1 - y), everything),
        _balanced(cut),
        _rate("tpr", cut, lambda p, y: p * y, lambda p, y: y),
        _rate("fpr", cut, lambda p, y: p * (1 - y), lambda p, y: 1 - y),
        _rate("precision", cut, lambda p, y: p * y, lambda p, y: p),
        _rate("ppr", cut, lambda p, y: p, everything),
        _rate("base_rate", cut, lambda p, y: y, everything),
        Metric("mean_score", _mean_score, scores="probability", bounds=(0, 1)),
        NLL,
        BRIER,
        AUROC,
        ece_metric(Bins(n_bins, closed="left")),
        quantile_metric(n_bins),
        SMOOTH_ECE,
        confidence_metric(n_bins, kind),
        SIGNED_ECE,
    ]


def _mean_score(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray((weights @ sample.scores) / weights.sum(axis=1))


def _rate(name: str, cut: float, top: Part, bottom: Part) -> Metric:
    """A share of rows with Wilson's interval: sum of `top` over sum of `bottom`, functions of prediction and outcome."""

    def parts(sample: SortedSample) -> tuple[FloatArray, FloatArray]:
        predicted = (sample.scores >= cut).astype(np.float64)
        return top(predicted, sample.truth), bottom(predicted, sample.truth)

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        a, b = parts(sample)
        mass = weights @ b
        return np.asarray(np.divide(weights @ a, mass, out=np.full(len(weights), np.nan), where=mass > 0))

    def analytic(sample: SortedSample, level: float) -> Interval | None:
        a, b = parts(sample)
        return wilson(float(sample.weights @ a), float(sample.weights @ b), level)

    why = {"tpr": "no outcome is 1", "fpr": "no outcome is 0", "precision": "nothing is predicted positive"}.get(name, "undefined")
    return Metric(name, value, analytic=analytic, fallback=_exact_or_point(analytic), bounds=(0, 1), reason=lambda _: why)


def _exact_or_point(analytic: Callable[[SortedSample, float], Interval | None]) -> Callable[[SortedSample, float], Interval]:
    def fallback(sample: SortedSample, level: float) -> Interval:
        return analytic(sample, level) or Interval(math.nan, math.nan, math.nan, "none")

    return fallback


def _balanced(cut: float) -> Metric:
    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        right = ((sample.scores >= cut) == (sample.truth == 1)).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            sides = [(weights @ (right * side)) / (weights @ side) for side in (sample.truth, 1 - sample.truth)]
        return np.asarray(0.5 * (sides[0] + sides[1]))

    def fallback(sample: SortedSample, level: float) -> Interval:
        """For rows that are all right or all wrong on each side: the mean of the two sides' Wilson ends, which is wide enough."""
        right = (sample.scores >= cut) == (sample.truth == 1)
        counts = ((float(sample.weights @ (right * side)), float(sample.weights @ side)) for side in (sample.truth, 1 - sample.truth))
        ends = [wilson(k, n, level) for k, n in counts]
        low, high = (0.5 * (getattr(ends[0], e) + getattr(ends[1], e)) for e in ("low", "high"))
        return Interval(low, high, math.nan, "wilson of both sides")

    return Metric("balanced_accuracy", value, both_classes=True, fallback=fallback, bounds=(0, 1), reason=lambda _: "one class only")
