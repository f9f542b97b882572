"""What a report needs of a run, read once and aligned by item: plain arrays and records, so that the sections only write."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, TruelineError
from trueline.stats.estimate import Estimate
from trueline.traces.rundir import RunDirectory
from trueline.traces.trace import Trace

Floats = NDArray[np.float64]


class RunLike(Protocol):
    """The part of a run that a report reads."""

    @property
    def path(self) -> Path: ...
    @property
    def manifest(self) -> Mapping[str, Any]: ...
    @property
    def items(self) -> Any: ...
    @property
    def scores(self) -> Any: ...
    @property
    def grades(self) -> Any: ...
    @property
    def failures(self) -> Any: ...
    def blocks(self) -> Iterable[Trace]: ...
    def validate(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class RunView:
    """One run, aligned with ``item_ids``.

    correct: (n_items,) float64, verdict on the answer that is measured (1 right, 0 wrong, NaN not judged). probability: (n_items,)
    float64, true probability that this answer is right, NaN where unknown. truth: named true quantities, (n_items,) float64 each.
    scores: (n_items,) float64 an estimator, NaN missing. metrics: the metrics document, ``{}`` when there is none and ``problem`` says why.
    """

    name: str
    manifest: Mapping[str, Any]
    item_ids: list[str]
    questions: list[str]
    references: list[list[str]]
    clusters: list[str] | None
    truth: dict[str, Floats]
    scores: dict[str, Floats]
    score_info: Mapping[str, Any]
    answer: tuple[str, int]
    correct: Floats
    probability: Floats
    grades: list[Mapping[str, Any]]
    failures: list[Mapping[str, Any]]
    metrics: Mapping[str, Any]
    problem: str | None

    @property
    def n_items(self) -> int:
        """How many items."""
        return len(self.item_ids)

    @property
    def wrong(self) -> Floats:
        """(n_items,) float64 loss: 1 wrong, 0 right, NaN not judged."""
        return 1 - self.correct

    @property
    def level(self) -> float:
        """Nominal coverage of the intervals."""
        return float(self.metrics.get("level", 0.95))

    def setting(self, *keys: str) -> Any:
        """A value deep in the manifest, or None."""
        found: Any = self.manifest
        for key in keys:
            if not isinstance(found, Mapping):
                return None
            found = found.get(key)
        return found

    def estimate(self, estimator: str | None, metric: str) -> Estimate:
        """A metric of one estimator, or a headline number (``estimator`` None); undefined with the reason when it is not there."""
        part = (
            self.metrics.get("headline", {})
            if estimator is None
            else self.metrics.get("estimators", {}).get(estimator, {}).get("metrics", {})
        )
        record = part.get(metric)
        if record is None:
            return Estimate.undefined(self.problem or "not in metrics.json; validate the run again")
        return Estimate.from_json(record)

    def ranked(self, metric: str = "auroc") -> list[str]:
        """Names of estimators, best value of the metric first, undefined ones last."""
        names = list(dict.fromkeys([*self.scores, *self.metrics.get("estimators", {})]))
        values = {n: self.estimate(n, metric).value for n in names}
        return sorted(names, key=lambda n: (math.isnan(values[n]), -values[n] if not math.isnan(values[n]) else 0.0, n))

    @property
    def best(self) -> str | None:
        """The estimator of highest AUROC, or None where no AUROC is defined."""
        ranked = self.ranked()
        return ranked[0] if ranked and self.estimate(ranked[0], "auroc").defined else None

    def missing(self, estimator: str) -> tuple[int, dict[str, int]]:
        """How many items have no score, and why."""
        for source in (self.score_info.get(estimator), self.metrics.get("estimators", {}).get(estimator)):
            if source is not None and "n_missing" in source:
                return int(source["n_missing"]), dict(source.get("reasons") or {})
        return int(np.isnan(self.scores[estimator]).sum()) if estimator in self.scores else self.n_items, {}

    @property
    def left_out(self) -> dict[str, str]:
        """Estimators that this run could not serve, and why."""
        return {name: str(info["left_out"]) for name, info in self.score_info.items() if isinstance(info, Mapping) and "left_out" in info}


def read_run(run: RunLike) -> RunView:
    """Read a run for its report. Metrics come from ``metrics.json``; without one the run is validated now."""
    directory = RunDirectory(run.path)
    metrics, problem = _metrics(run, directory)
    items = _records(run.items)
    ids = [str(row["item_id"]) for row in items]
    position = {item: i for i, item in enumerate(ids)}
    graded = _records(run.grades) if (run.path / "grades.parquet").exists() else []
    scores = run.scores if (run.path / "scores.parquet").exists() else None
    answer = _answer(str(metrics.get("answer") or ""), graded)
    grades: list[Mapping[str, Any]] = [{} for _ in ids]
    for row in graded:
        if (row.get("kind"), int(row.get("draw") or 0)) == answer and row["item_id"] in position:
            grades[position[row["item_id"]]] = row
    return RunView(
        name=run.path.name,
        manifest=run.manifest,
        item_ids=ids,
        questions=[str(row.get("question") or "") for row in items],
        references=[[str(r) for r in row.get("references") or []] for row in items],
        clusters=_clusters(items),
        truth=_truth(items),
        scores={} if scores is None else _scores(scores, position),
        score_info=directory.read_json("scores.json") or {},
        answer=answer,
        correct=_column(grades, "correct"),
        probability=_column(grades, "probability"),
        grades=grades,
        failures=_records(run.failures),
        metrics=metrics,
        problem=problem,
    )


def _metrics(run: RunLike, directory: RunDirectory) -> tuple[Mapping[str, Any], str | None]:
    found = directory.read_json("metrics.json")
    if found is not None:
        return found, None
    try:
        return run.validate(), None
    except TruelineError as error:
        # a run that cannot be validated (no references, nothing finished) still has a report, and the report says so
        return {}, str(error)


def _records(frame: Any) -> list[Mapping[str, Any]]:
    return list(frame.to_dicts())


def _clusters(items: list[Mapping[str, Any]]) -> list[str] | None:
    """A label an item, its own where it stands alone; None where no two items share one."""
    labels = [f"\0{row['item_id']}" if row.get("cluster") is None else str(row["cluster"]) for row in items]
    return labels if len(set(labels)) < len(labels) else None


def _answer(stated: str, grades: list[Mapping[str, Any]]) -> tuple[str, int]:
    if stated == "greedy" or (not stated and any(row.get("kind") == "greedy" for row in grades)):
        return "greedy", 0
    if not stated:
        return ("sample", 0) if grades else ("greedy", 0)
    kind, _, draw = stated.partition(" ")
    if not draw.isdigit():
        raise InputError(f"metrics.json names the answer {stated!r}; expected 'greedy' or 'sample N'")
    return kind, int(draw)


def _column(rows: list[Mapping[str, Any]], name: str) -> Floats:
    return np.array([math.nan if row.get(name) is None else float(row[name]) for row in rows], dtype=np.float64)


def _truth(items: list[Mapping[str, Any]]) -> dict[str, Floats]:
    names = [name for name in (items[0] if items else {}) if name.startswith("truth_")]
    return {name.removeprefix("truth_"): _column(items, name) for name in names}


def _scores(frame: Any, position: Mapping[str, int]) -> dict[str, Floats]:
    index = [position.get(str(i), -1) for i in frame["item_id"].to_list()]
    out = {}
    for name in frame.columns:
        if name == "item_id":
            continue
        column = np.full(len(position), np.nan)
        for i, value in zip(index, frame[name].to_list(), strict=True):
            if i >= 0 and value is not None:
                column[i] = value
        out[name] = column
    return out
