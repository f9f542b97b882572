"""`Run`: a run directory as one object. Everything after the capture (score, grade, validate, report) only reads and adds files here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from trueline.errors import InputError
from trueline.estimators.base import Estimator
from trueline.tasks.item import Task
from trueline.tasks.item_table import ItemTable, release_unused
from trueline.traces.questions import Questions
from trueline.traces.rundir import RunDirectory
from trueline.traces.trace import Trace

if TYPE_CHECKING:
    import polars as pl

    from trueline.estimators.equivalence.base import Equivalence
    from trueline.estimators.similarity import Similarity
    from trueline.scoring import Truncated

#: Rows held in memory at once while scoring and grading.
BLOCK_ROWS = 50_000
#: Shards held apart at most: the columns of a small one take five times its bytes.
_JOINED_SHARDS = 64
_LATER = "captured after this score was computed"
_IDENTITY = ("item_id", "item_index", "kind", "draw")


class Run:
    """What was measured, and what was made of it.

    ``path``: the run directory. ``manifest``: the content of ``run.json``.
    """

    def __init__(self, directory: RunDirectory, task: Task | None = None) -> None:
        self.directory = directory
        self._task = task

    def __repr__(self) -> str:
        manifest = self.manifest
        return f"Run({self.directory.where!r}: {manifest['model']['uri']} on {manifest['task']['name']}, {manifest['status']})"

    @property
    def path(self) -> Path:
        """The run directory; of a run at a URL, the folder of this machine with what cannot lie there (``directory.where`` is the URL)."""
        return self.directory.path

    @property
    def manifest(self) -> dict[str, Any]:
        """Model, task, law, seeds, versions, status."""
        return self.directory.manifest()

    @property
    def task(self) -> Task:
        """The task; its truth is at hand again where it is a known one."""
        if self._task is None:
            from trueline.items import task_from

            self._task = task_from(self.manifest, self.directory.read_table("items.parquet"))
        return self._task

    # -- tables -----------------------------------------------------------------------------------------------------

    @property
    def items(self) -> pl.DataFrame:
        """item_id, question, references, cluster, metadata (JSON), and one ``truth_*`` column for each known true quantity."""
        return self.item_columns()

    def item_columns(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """``items`` with these of its columns alone (those that there are); ``truth`` stands for its ``truth_*`` columns."""
        import polars as pl

        wanted = None if columns is None else [c for c in self.directory.column_names("items.parquet") if c in columns]
        frame = _frame(self.directory.read_table("items.parquet", wanted))
        if "truth" not in frame.columns:
            return frame
        if not (set(frame["truth"].unique()) - {"{}", None}):
            return frame.drop("truth")
        truths = [json.loads(t or "{}") for t in frame["truth"]]
        names = sorted({name for truth in truths for name in truth})
        known = [pl.Series(f"truth_{name}", [t.get(name) for t in truths], dtype=pl.Float64) for name in names]
        return frame.drop("truth").with_columns(known)

    @property
    def scores(self) -> pl.DataFrame:
        """item_id and one column an estimator, higher = less certain, NaN where missing. Raises ``InputError`` before ``score``."""
        return _frame(self._need("scores.parquet", "score"))

    @property
    def grades(self) -> pl.DataFrame:
        """item_id, kind, draw, correct, refused, answer, probability, score, reason."""
        return _frame(self._need("grades.parquet", "grade"))

    @property
    def failures(self) -> pl.DataFrame:
        """item_id, kind, draw, error of every generation that failed."""
        import polars as pl

        parts = [_failed(block) for block in self.blocks(columns=["error"])]
        return pl.concat([_frame(p) for p in parts]) if parts else _frame(_failed_none())

    @property
    def score_info(self) -> dict[str, Any]:
        """``scores.json``: per estimator its judge, settings, n_missing and reasons."""
        return self.directory.read_json("scores.json") or {}

    @property
    def metrics(self) -> dict[str, Any] | None:
        """``metrics.json``, or None before ``validate``."""
        found: dict[str, Any] | None = self.directory.read_json("metrics.json")
        return found

    # -- trace ------------------------------------------------------------------------------------------------------

    def blocks(self, rows: int = BLOCK_ROWS, columns: Sequence[str] | None = None) -> Iterator[Trace]:
        """The trace in pieces of whole items, about ``rows`` generations each, in order.

        columns: what is read beside the identity of each row (``item_id``, ``item_index``, ``kind``, ``draw``); default: all. A small part
        of a trace is often all that is needed, and Parquet reads it alone.
        """
        questions = Questions(self.directory)
        wanted = None if columns is None else list(dict.fromkeys([*_IDENTITY, *columns]))
        pending: list[pa.Table] = []
        size = 0
        for path in self.directory.shards():
            table = self.directory.read_shard(path, wanted)
            pending.append(table)
            size += len(table)
            if len(pending) == _JOINED_SHARDS or size >= rows:
                pending = [_joined(pending).combine_chunks()]
            if size >= rows:
                yield questions.trace(pending.pop())
                size = 0
        if pending:
            yield questions.trace(_joined(pending).combine_chunks())

    def trace(self) -> Trace:
        """The whole trace in memory."""
        parts = [self.directory.read_shard(path) for path in self.directory.shards()]
        if not parts:
            raise InputError(f"{self.directory.where} holds no captured rows yet")
        return Questions(self.directory).trace(_joined(parts))

    # -- steps ------------------------------------------------------------------------------------------------------

    def score(
        self,
        estimators: str | Sequence[str] = "all",
        *,
        equivalence: str | Equivalence | None = None,
        similarity: str | Similarity | None = None,
        truncated: Truncated = "keep",
        replace: bool = False,
    ) -> pl.DataFrame:
        """Compute scores from the stored trace, without the model, and add them to ``scores.parquet``.

        estimators: ``"all"`` (what the trace cannot serve is left out with its reason) or names, which must all be served.
        equivalence: judge of same meaning, by name or loaded; default: the run's own, else ``oracle`` on a known world and ``normalised``
        elsewhere. similarity: ``char3``, ``cross:DIR``, ``encoder:DIR``, ``bertscore:DIR``, or loaded; default: the run's own, else
        ``char3``. truncated: what becomes of an answer that was cut at the limit of tokens where an estimator reads the probability of a
        whole one: ``keep`` (the score of its beginning; warned of above 1 %), ``nan`` (a missing score with the reason), ``refuse`` (the
        estimator, with the reason). replace: forget earlier scores first.
        """
        from trueline.estimators.base import AsksPairs
        from trueline.estimators.equivalence.base import PairJudge
        from trueline.estimators.equivalence.cache import PairCache
        from trueline.estimators.loading import load_equivalence, load_estimators, load_similarity
        from trueline.estimators.similarity import SimilarityCache
        from trueline.items import canonical_of
        from trueline.scoring import score_blocks

        chosen = load_estimators(estimators)
        with self.directory.lock():
            judge = None
            if any(e.needs.equivalence for e in chosen.values()):
                asked = equivalence or self.manifest.get("judge") or default_judge(self.task)
                judge = load_equivalence(asked, canonical=canonical_of(self.task)) if isinstance(asked, str) else asked
            alike = None
            if any(e.needs.similarity for e in chosen.values()):
                named = similarity or self.manifest.get("similarity") or "char3"
                alike = load_similarity(named) if isinstance(named, str) else named
            own = any(isinstance(e, AsksPairs) and e.asks_pairs for e in chosen.values())
            whole = any(getattr(e, "whole_run", False) for e in chosen.values())  # a score that depends on the other items
            blocks = [self.trace()] if whole else self.blocks()
            with (
                PairCache(self.path / "judgements.sqlite" if own or isinstance(judge, PairJudge) else None) as cache,
                SimilarityCache(self.path / "similarities.sqlite" if alike is not None and alike.kept else None) as kept,
            ):
                scores = score_blocks(
                    blocks, chosen, judge, cache, similarity=alike, kept=kept, strict=estimators != "all", truncated=truncated
                )
            self._store_scores(scores, chosen, judge.name if judge else None, alike.name if alike else None, replace, truncated)
        release_unused()
        return self.scores

    def grade(self, grader: str | None = None, *, allow_exec: bool = False) -> pl.DataFrame:
        """Judge the answers again (default: by the task's own grader) and replace ``grades.parquet``.

        allow_exec: programs that a model wrote may be run, each isolated from this machine (``code_quality``).
        """
        from trueline.grading import grade_blocks
        from trueline.tasks.graders import load_grader

        spec = grader or self.task.grader
        held = self.task.items
        items = held.by_id() if isinstance(held, ItemTable) else {item.id: item for item in held}
        with self.directory.lock():
            table = grade_blocks(self.blocks(columns=["text", "error"]), items, load_grader(spec, self.task, allow_exec=allow_exec))
            self.directory.write_table("grades.parquet", table)
            manifest = self.manifest
            manifest["task"]["grader"] = spec if isinstance(spec, str) else getattr(spec, "__qualname__", "custom")
            self.directory.write_manifest(manifest)
        release_unused()
        return self.grades

    def validate(self, *, level: float = 0.95, n_boot: int = 1000, seed: int = 0) -> dict[str, Any]:
        """How good the scores are: metrics with intervals for every estimator; written to ``metrics.json`` and returned."""
        from trueline.validation import validate_run

        document = validate_run(self, level=level, n_boot=n_boot, seed=seed)
        with self.directory.lock():
            self.directory.write_json("metrics.json", document)
        return document

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the self-contained HTML report (default: ``report.html`` in the run directory)."""
        from trueline.reports import write_report

        return write_report(self, Path(path) if path is not None else None)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _need(self, name: str, step: str) -> pa.Table:
        if not self.directory.exists(name):
            raise InputError(f"{self.directory.where} has no {name} yet; run `trueline {step}` (Python: run.{step}()) first")
        return self.directory.read_table(name)

    def _store_scores(
        self, scores: Any, chosen: dict[str, Estimator], judge: str | None, alike: str | None, replace: bool, truncated: str
    ) -> None:
        old = None if replace or not self.directory.exists("scores.parquet") else self.directory.read_table("scores.parquet")
        table, info = scores.table(old), {} if replace else self.score_info
        added = 0 if old is None else pc.sum(pc.invert(pc.is_in(table["item_id"], value_set=old["item_id"].combine_chunks()))).as_py()
        for name in set(table.column_names) - {"item_id", *scores.columns} if added else ():
            entry = info.setdefault(name, {"n_missing": 0, "reasons": {}})
            entry["n_missing"] += added
            entry["reasons"][_LATER] = entry["reasons"].get(_LATER, 0) + added
        for name in scores.columns:
            reasons = scores.reasons.get(name, {})
            info[name] = {
                "settings": _settings(chosen[name]),
                "judge": judge if chosen[name].needs.equivalence else None,
                "similarity": alike if chosen[name].needs.similarity else None,
                "n_missing": int(sum(reasons.values())),
                "reasons": reasons,
                **({"n_truncated": cut, "truncated": truncated} if (cut := scores.truncated.get(name, 0)) else {}),
                **({"notes": list(notes)} if (notes := getattr(chosen[name], "notes", ())) else {}),
            }
        for name, reason in scores.left_out.items():
            info[name] = {"left_out": reason}
        self.directory.write_table("scores.parquet", table)
        self.directory.write_json("scores.json", info)


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run directory. Raises ``InputError`` when there is none."""
    return Run(RunDirectory.open(path))


def default_judge(task: Task) -> str:
    """``oracle`` where the task knows what its answers mean, else ``normalised``."""
    return "oracle" if task.canonical is not None else "normalised"


def _joined(tables: list[pa.Table]) -> pa.Table:
    """Shards as one table; columns that an older version did not write are null."""
    return pa.concat_tables(tables, promote_options="default")


def _frame(table: pa.Table) -> pl.DataFrame:
    import polars as pl

    return cast(pl.DataFrame, pl.from_arrow(table))


def _failed(trace: Trace) -> pa.Table:
    import pyarrow.compute as pc

    return trace.table.filter(pc.is_valid(trace.table["error"])).select(["item_id", "kind", "draw", "error"])


def _failed_none() -> pa.Table:
    from trueline.traces.schema import SCHEMA

    return SCHEMA.empty_table().select(["item_id", "kind", "draw", "error"])


def _settings(estimator: Any) -> dict[str, Any]:
    import dataclasses

    if not dataclasses.is_dataclass(estimator):
        return {}
    values: dict[str, Any] = {f.name: getattr(estimator, f.name) for f in dataclasses.fields(estimator) if not f.name.startswith("_")}
    return {k: v if isinstance(v, str | int | float | bool | None) else repr(v) for k, v in values.items()}
