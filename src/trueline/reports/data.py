"""What a report needs of a run, read once and aligned by item: plain arrays and records, so that the sections only write."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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
    def blocks(self, *, columns: Sequence[str] | None = None) -> Iterable[Trace]: ...
    def validate(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class RunView:
    """One run, aligned with ``item_ids``.

    correct: (n_items,) float64, verdict on the answer that is measured (1 right, 0 wrong, NaN not judged). probability: (n_items,)
    float64, true probability that this answer is right, NaN where unknown. truth: named true quantities, (n_items,) float64 each.
    scores: (n_items,) float64 an estimator, NaN missing. metrics: the metrics document, ``{}`` when there is none and ``problem`` says why.
    items, grades: data frames of n_items rows (a long run would not fit into memory as records); ``grades`` is null in a row whose answer
    was never graded.
    """

    name: str
    manifest: Mapping[str, Any]
    item_ids: list[str]
    items: Any
    clusters: list[str] | None
    truth: dict[str, Floats]
    scores: dict[str, Floats]
    score_info: Mapping[str, Any]
    answer: tuple[str, int]
    correct: Floats
    probability: Floats
    grades: Any
    failures: list[Mapping[str, Any]]
    metrics: Mapping[str, Any]
    problem: str | None

    @property
    def n_items(self) -> int:
        """How many items."""
        return len(self.item_ids)

    def question(self, i: int) -> str:
        """The question of one item, empty where it was not recorded."""
        return str(self.items["question"][i] or "")

    def references(self, i: int) -> list[str]:
        """The accepted answers of one item."""
        found = self.items["references"][i]
        return [] if found is None else [str(r) for r in found]

    def grade(self, i: int) -> Mapping[str, Any]:
        """The verdict on one item's answer; empty where there is none."""
        row: Mapping[str, Any] = self.grades.row(i, named=True)
        return row if row["kind"] is not None else {}

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
    directory = _directory(run)
    metrics, problem = _metrics(run, directory)
    items = run.items
    ids = [str(i) for i in items["item_id"].to_list()]
    answer, grades = _grades(run, items, str(metrics.get("answer") or ""))
    scores = _beside(items, run.scores) if directory.exists("scores.parquet") else None
    return RunView(
        name=directory.where.rstrip("/").rpartition("/")[2] or str(run.path),
        manifest=run.manifest,
        item_ids=ids,
        items=items,
        clusters=_clusters(items, ids),
        truth={name.removeprefix("truth_"): _floats(items[name]) for name in items.columns if name.startswith("truth_")},
        scores={} if scores is None else {name: _floats(scores[name]) for name in scores.columns if name != "item_id"},
        score_info=directory.read_json("scores.json") or {},
        answer=answer,
        correct=_floats(grades["correct"]),
        probability=_floats(grades["probability"]),
        grades=grades,
        failures=list(run.failures.to_dicts()),
        metrics=metrics,
        problem=problem,
    )


def _directory(run: RunLike) -> RunDirectory:
    """The run's own, which may lie at a URL."""
    own = getattr(run, "directory", None)
    return own if isinstance(own, RunDirectory) else RunDirectory(run.path)


def _metrics(run: RunLike, directory: RunDirectory) -> tuple[Mapping[str, Any], str | None]:
    found = directory.read_json("metrics.json")
    if found is not None:
        return found, None
    try:
        return run.validate(), None
    except TruelineError as error:
        # a run that cannot be validated (no references, nothing finished) still has a report, and the report says so
        return {}, str(error)


def _clusters(items: Any, ids: list[str]) -> list[str] | None:
    """A label an item, its own where it stands alone; None where no two items share one."""
    if "cluster" not in items.columns or items["cluster"].null_count() == len(items):
        return None
    labels = [f"\0{item}" if label is None else str(label) for label, item in zip(items["cluster"].to_list(), ids, strict=True)]
    return labels if len(set(labels)) < len(labels) else None


def _grades(run: RunLike, items: Any, stated: str) -> tuple[tuple[str, int], Any]:
    """Which answer is measured, and its verdicts beside the items."""
    import polars as pl

    columns = {"item_id": pl.String, "kind": pl.String, "draw": pl.Int32, "correct": pl.Boolean, "refused": pl.Boolean}
    none = pl.DataFrame(schema={**columns, "probability": pl.Float64, "reason": pl.String})
    found = run.grades if _directory(run).exists("grades.parquet") else none
    kind, draw = _answer(stated, set(found["kind"].unique()))
    own = found.filter((pl.col("kind") == kind) & (pl.col("draw").fill_null(0) == draw))
    return (kind, draw), _beside(items, own.unique("item_id", keep="last"))


def _beside(items: Any, frame: Any) -> Any:
    """Rows of a frame in the order of the items, null where an item has none."""
    return items.select("item_id").join(frame, on="item_id", how="left", maintain_order="left")


def _floats(column: Any) -> Floats:
    """Numbers of a column that may be written to; NaN for null."""
    return np.array(column.cast(float).to_numpy(), dtype=np.float64)


def _answer(stated: str, kinds: set[str]) -> tuple[str, int]:
    if stated == "greedy" or (not stated and "greedy" in kinds):
        return "greedy", 0
    if not stated:
        return ("sample", 0) if kinds else ("greedy", 0)
    kind, _, draw = stated.partition(" ")
    if not draw.isdigit():
        raise InputError(f"metrics.json names the answer {stated!r}; expected 'greedy' or 'sample N'")
    return kind, int(draw)
