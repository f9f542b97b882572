"""Risk audit: do a model's probabilities of an uncertain outcome mean anything, for whom, and do they depend on how one asks?

Cruz, Hardt and Mendler-Duenner 2024 (arXiv 2407.14614). Build: rows of a table as questions. Grade: the outcome of each row. Summarise:
`evaluate_risk`, with the curves of a report.
"""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, ModelError
from trueline.metrics._items import item_estimates
from trueline.metrics.curves import Reliability, reliability, roc_curve_band
from trueline.metrics.risk import RiskReport, evaluate_risk, fit_threshold
from trueline.models.base import Model
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate, FloatArray
from trueline.tabular.cache import AnswerCache
from trueline.tabular.importance import feature_importance
from trueline.tabular.prompting import PromptStyle
from trueline.tabular.questions import Choices, asked_as
from trueline.tabular.scoring import Progress, RiskScores, risk_scores
from trueline.tabular.task import Split, TabularRiskTask

#: Quantile bins of a calibration curve, bins of a histogram, groups that are drawn.
_CURVE_BINS, _HISTOGRAM_BINS, _MOST_GROUPS = 5, 20, 5


@dataclass(frozen=True, eq=False)
class RiskAudit:
    """Outcome of an audit.

    document : JSON-ready record. scores : what the model answered, one entry a row. positions : (n,) int64 rows of the task's table.
    """

    document: dict[str, Any]
    scores: RiskScores
    positions: NDArray[np.int64]
    task: TabularRiskTask
    report: RiskReport

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one HTML file that opens offline; return its path."""
        from trueline.reports.risk import write_risk_report

        return write_risk_report(self.document, path)

    def write_scores(self, path: str | os.PathLike[str]) -> Path:
        """Write a CSV table with row, label, group, score and the score under each order of the options."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        groups = self.task.groups(self.positions) or [""] * len(self.positions)
        names = [f"score_order_{k}" for k in range(self.scores.by_order.shape[1])]
        with target.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(["row", "label", "group", "score", *names])
            for i, group, score, orders in zip(self.positions, groups, self.scores.scores, self.scores.by_order, strict=True):
                cells = ["" if math.isnan(v) else repr(float(v)) for v in (score, *orders)]
                writer.writerow([int(i), int(self.task.y[int(i)]), group, *cells])
        return target


def audit_risk(
    model: Model,
    task: TabularRiskTask,
    *,
    split: Split = "test",
    limit: int | None = None,
    question: str | None = None,
    style: PromptStyle | None = None,
    order_average: bool = True,
    threshold: float | Literal["best", "fit"] = 0.5,
    fit_rows: int = 100,
    costs: tuple[float, float] = (1.0, 1.0),
    bins: int = 10,
    importance: bool = False,
    cache: AnswerCache | None = None,
    truncate: bool = False,
    ci: CI | None = None,
    progress: Progress | None = None,
) -> RiskAudit:
    """Ask a model about the rows of a table and judge its probabilities.

    Parameters
    ----------
    model, task
    split, limit
        Which rows, and how many at most.
    question : {"choices", "numeric", "reasoned"}, optional
        Ask in another form than the task's.
    style : PromptStyle, optional
    order_average : bool
        Ask a choice in every order of its options.
    threshold : float, "best" or "fit"
        ``"fit"``: found on `fit_rows` rows of the train split by `costs` (of a false positive, of a false negative).
    bins : int
        Of ECE and confidence bias.
    importance : bool
        Shuffle one column after the other, 5 times each: 5 more scores a row and column.
    cache, truncate, progress
        As in `risk_scores`.
    ci : CI, optional
        Of all intervals; default 200 replicates, seed 42.

    Raises
    ------
    InputError
        A task, question or setting that cannot be used.
    ModelError
        Every call failed.
    """
    task = task if question is None else task.with_(question=asked_as(task.question, question))
    task = task if style is None else task.with_(style=style)
    ci = ci or CI(n_boot=200, seed=42)
    positions = task.rows(split, limit)
    asking: dict[str, Any] = {"order_average": order_average, "cache": cache, "truncate": truncate}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the document says them all
        found = risk_scores(model, task, positions, progress=progress, **asking)
        known = ~np.isnan(found.scores)
        if not known.any():
            raise ModelError(f"the model answered for none of {len(positions)} rows: {'; '.join(found.errors[:3])}")
        cut, fitted = _threshold(model, task, split, threshold, fit_rows, costs, asking)
        rows, scores = positions[known], found.scores[known]
        groups = task.groups(rows)
        numbers: dict[str, Any] = {"ci": ci.kind, "level": ci.level, "seed": ci.seed, "bootstrap": ci.n_boot}
        report = evaluate_risk(task.y[rows], scores, groups, cut, bins, **numbers)
        matter = _importance(model, task, rows, asking, ci) if importance else {}
    document = {
        "audit": "risk",
        "model": model.uri,
        "task": _about(task, split, positions),
        "asked": _asked(found, task, order_average, ci),
        "fitted": fitted,
        "level": ci.level,
        "report": report.to_json(),
        "importance": {name: e.to_json() for name, e in matter.items()},
        "curves": _curves(task.y[rows], scores, groups, ci),
        "warnings": [*task.remarks, *found.warnings, *report.warnings],
    }
    return RiskAudit(document, found, positions, task, report)


def _threshold(
    model: Model, task: TabularRiskTask, split: Split, threshold: Any, fit_rows: int, costs: tuple[float, float], asking: Mapping[str, Any]
) -> tuple[Any, dict[str, Any] | None]:
    """The threshold, and how it was found where it was fitted."""
    if threshold != "fit":
        return threshold, None
    if split in ("train", "all"):
        raise InputError(f"a threshold is fitted on the train split and cannot be judged on {split!r}; take the test split")
    rows = task.rows("train", fit_rows)
    scores = risk_scores(model, task, rows, **asking)
    known = ~np.isnan(scores.scores)
    found = fit_threshold(scores.scores[known], task.y[rows][known], false_pos_cost=costs[0], false_neg_cost=costs[1])
    return found.threshold, {**asdict(found), "false_pos_cost": costs[0], "false_neg_cost": costs[1]}


def _importance(model: Model, task: TabularRiskTask, rows: NDArray[np.int64], asking: Mapping[str, Any], ci: CI) -> dict[str, Estimate]:
    if not 0 < task.y[rows].mean() < 1:
        return {}

    def score(table: Any) -> FloatArray:
        return np.where(np.isnan(s := risk_scores(model, task, table, **asking).scores), 0.5, s)

    return feature_importance(score, task.df.take(rows), task.y[rows], [c.name for c in task.features], ci=ci)


def _about(task: TabularRiskTask, split: str, positions: NDArray[np.int64]) -> dict[str, Any]:
    question = task.question
    example = task.ask(task.df.row(int(positions[0])))
    return {
        "name": task.name,
        "split": split,
        "n": len(positions),
        "n_table": len(task),
        "target": task.target if task.threshold is None else f"{task.target} {task.threshold}",
        "population": task.population,
        "group": task.group,
        "features": [column.name for column in task.features],
        "question": {"kind": type(question).__name__.lower(), "text": question.text},
        "style": asdict(task.style),
        "prompt": example.text(),
    }


def _asked(found: RiskScores, task: TabularRiskTask, order_average: bool, ci: CI) -> dict[str, Any]:
    gaps = found.order_gaps
    moved = item_estimates({"gap": gaps}, ci=ci)["gap"] if len(gaps) else None
    mass = found.mass[~np.isnan(found.mass)]
    return {
        "calls": found.calls,
        "failed": found.failed,
        "errors": list(found.errors[:3]),
        "parse_failures": found.parse_failures,
        "orders": found.by_order.shape[1],
        "order_average": order_average and isinstance(task.question, Choices),
        "order_sensitivity": None if moved is None else moved.to_json(),
        "mean_mass": float(mass.mean()) if len(mass) else None,
    }


# -- what a report draws ------------------------------------------------------------------------------------------------


def _curves(y: NDArray[np.int8], scores: FloatArray, groups: list[str] | None, ci: CI) -> dict[str, Any]:
    band = roc_curve_band(scores, y, ci=ci)
    counts = [np.histogram(scores[y == label], _HISTOGRAM_BINS, (0, 1))[0].tolist() for label in (0, 1)]
    calibration = {"all": _bins(reliability(scores, y, n_bins=_CURVE_BINS, bins="mass", ci=ci))}
    if groups is not None:
        names, sizes = np.unique(groups, return_counts=True)
        drawn = [str(n) for n, size in sorted(zip(names, sizes, strict=True), key=lambda p: -p[1]) if size >= 0.04 * len(y)]
        for name in drawn[:_MOST_GROUPS]:
            rows = np.array([g == name for g in groups])
            calibration[name] = _bins(reliability(scores[rows], y[rows], n_bins=_CURVE_BINS, bins="mass", ci=ci))
    return {
        "roc": {key: _listed(getattr(band, key)) for key in ("x", "y", "low", "high")},
        "calibration": calibration,
        "histogram": {"label_0": counts[0], "label_1": counts[1]},
    }


def _bins(found: Reliability) -> dict[str, Any]:
    names = {"x": found.confidence, "y": found.accuracy, "low": found.low, "high": found.high}
    return {**{key: _listed(values) for key, values in names.items()}, "n": found.count.tolist()}


def _listed(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(v) else round(float(v), 6) for v in values]
