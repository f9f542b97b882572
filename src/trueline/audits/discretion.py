"""Discretion audit: given written principles, how often do they decide, who goes against all of them, and which wins when two collide?

Buyl et al. 2025, AI Alignment at Your Discretion (arXiv 2502.10441). Build: a judge model labels every pair of responses under every
principle. Grade: annotators (columns of labels, reward models, judges, policies) say whom they prefer. Summarise: `discretion_summary`.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from trueline.audits.preferring import Likelihood, RewardModel, likelihood_preferences, reward_preferences
from trueline.audits.principle_oracle import Judged, Progress, judge_pairs
from trueline.audits.principles import Principle
from trueline.errors import InputError
from trueline.estimators.equivalence.cache import PairCache
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import accuracy
from trueline.metrics.discretion import score_preferences
from trueline.metrics.discretion_summary import discretion_summary
from trueline.models.base import Model
from trueline.stats.estimate import Estimate, FloatArray
from trueline.tasks.preferences import PreferencePair, PreferenceTable, load_preferences
from trueline.tasks.tables import pick_column

#: Prefix of the columns that hold preferences under a principle.
PREFIX = "principle_"

#: A column of signs, two columns of scores, a judge, a policy (`Likelihood`) or a reward model.
Annotator: TypeAlias = str | tuple[str, str] | Model | Likelihood | RewardModel


@dataclass(frozen=True, eq=False)
class DiscretionReport:
    """Outcome of an audit.

    document : the record of `discretion_summary`, JSON-ready, with `oracle` (what the judge was and how it answered) and `items` added.
    P : (n, k) float64 preferences under each principle. preferences : annotator -> (n,) float64.
    """

    document: dict[str, Any]
    P: FloatArray
    preferences: dict[str, FloatArray]
    table: PreferenceTable

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one HTML file that opens offline; return its path."""
        from trueline.reports.discretion import write_discretion_report

        return write_discretion_report(self.document, path, title=self.table.name)

    def write_table(self, path: str | os.PathLike[str]) -> Path:
        """Write the table with a column ``principle_NAME`` a principle and one an annotator, so that a later audit needs no judge.

        Raises ``InputError`` unless the path ends in ``.jsonl``, ``.csv`` or ``.parquet``.
        """
        target = Path(path)
        added = {f"{PREFIX}{name}": self.P[:, c] for c, name in enumerate(self.document["principles"])} | self.preferences
        rows = [
            {"item_id": identity, **row, **{name: _cell(values[i]) for name, values in added.items()}}
            for i, (identity, row) in enumerate(zip(self.table.item_ids(), self.table.rows, strict=True))
        ]
        writer = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}.get(target.suffix.lower())
        if writer is None:
            raise InputError(f"{target} ends in {target.suffix or 'nothing'!r}; tables are written to .jsonl, .csv or .parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
        writer(rows, target)
        return target


@dataclass(frozen=True)
class DiscretionAudit:
    """An audit of a preference table.

    Parameters
    ----------
    principles : sequence of Principle or of names
        What the oracle judges by (`load_principles`). Without an oracle: names of the columns ``principle_NAME`` to use; empty takes all.
    oracle : Model, optional
        Judge of every pair under every principle. None: the table holds the ``principle_NAME`` columns already.
    annotators : mapping of name to annotator
        A column of signs, a pair of columns of scores, a `Model` (asked which response is better), a `Likelihood` or a `RewardModel`.
    both_orders, draws, seed, cache, progress
        As in `judge_pairs`.
    prior : float
        As in `principle_priority`.
    cluster, weight : str, optional
        Columns; by default ``cluster_id`` and ``weight`` where they are there.
    ci
        As in `discretion_arbitrariness`.
    """

    principles: Sequence[Principle | str] = ()
    oracle: Model | None = None
    annotators: Mapping[str, Annotator] = field(default_factory=dict)
    both_orders: bool = True
    draws: int = 10
    seed: int = 0
    prior: float = 0.0
    cluster: str | None = None
    weight: str | None = None
    oracle_name: str | None = None
    ci: CIArgument = "auto"
    cache: PairCache | None = None
    progress: Progress | None = None

    def calls(self, n: int) -> int:
        """How many answers `run` asks models for, for n pairs: the cost of the audit."""
        judges = sum(_is_judge(a) for a in self.annotators.values())
        per_pair = (2 if self.both_orders else 1) * len(self.principles) * (self.oracle is not None) + 2 * judges
        return n * (per_pair + sum(2 for a in self.annotators.values() if isinstance(a, Likelihood)))

    def run(self, task: PreferenceTable | str | Path) -> DiscretionReport:
        """Judge, grade and summarise.

        Raises
        ------
        InputError
            A table, column, principle or annotator that cannot be used; the message names it.
        """
        table = task if isinstance(task, PreferenceTable) else load_preferences(task)
        table.item_ids()
        needs_texts = self.oracle is not None or any(not isinstance(a, str | tuple) for a in self.annotators.values())
        pairs = table.pairs() if needs_texts else []
        roles = {role: name for role, name in (("cluster", self.cluster), ("weight", self.weight)) if name}
        cluster = pick_column("cluster", ("cluster_id",), table.columns, roles, table.name)
        weight = pick_column("weight", ("weight",), table.columns, roles, table.name)
        labels = None if cluster is None else table.labels(cluster)
        # first: a model that cannot be used is found before the many calls of the oracle
        preferences, notes = self._preferences(table, pairs)
        P, names, judged = self._principles(table, pairs)
        document = discretion_summary(
            P,
            preferences,
            names,
            oracle=self._own_judge(),
            prior=self.prior,
            weights=None if weight is None else table.numbers(weight),
            clusters=labels,
            ci=self.ci,
        )
        document["oracle"] = None if judged is None else self._about(judged, labels)
        document["warnings"] += [*notes, *([table.note] if table.note else []), *_judge_warnings(document["oracle"])]
        return DiscretionReport(document, P, preferences, table)

    def _principles(self, table: PreferenceTable, pairs: Sequence[PreferencePair]) -> tuple[FloatArray, list[str], Judged | None]:
        """Preferences under each principle, its names, and how the oracle answered."""
        if self.oracle is None:
            columns = [p if isinstance(p, str) else f"{PREFIX}{p.name}" for p in self.principles]
            columns = columns or [name for name in table.columns if name.startswith(PREFIX)]
            if not columns:
                listing = ", ".join(map(repr, table.columns))
                raise InputError(
                    f"{table.name} has no column that starts with {PREFIX!r}; name them, or give a judge; columns found: {listing}"
                )
            if len(set(columns)) < len(columns):
                raise InputError(f"the principle {next(n for n in columns if columns.count(n) > 1)!r} is named twice")
            signs = np.array([table.signs(table.has("a principle", name)) for name in columns]).T
            return signs, [name.removeprefix(PREFIX) for name in columns], None
        listed = [p if isinstance(p, Principle) else Principle(p, p) for p in self.principles]
        if len(listed) < 2:
            raise InputError(f"{len(listed)} principles are given; conflicts need at least two")
        judged = judge_pairs(self.oracle, pairs, [p.text for p in listed], **self._judging())
        return judged.preferences, [p.name for p in listed], judged

    def _judging(self) -> dict[str, Any]:
        names = ("both_orders", "draws", "seed", "cache", "progress")
        return {name: getattr(self, name) for name in names}

    def _preferences(self, table: PreferenceTable, pairs: Sequence[PreferencePair]) -> tuple[dict[str, FloatArray], list[str]]:
        """Preferences by annotator, and remarks on what some of them could not answer."""
        found: dict[str, FloatArray] = {}
        notes: list[str] = []
        for name, annotator in self.annotators.items():
            if isinstance(annotator, str):
                found[name] = np.array(table.signs(table.has(f"annotator {name}", annotator)))
            elif isinstance(annotator, tuple):
                found[name] = score_preferences(*(table.numbers(table.has(f"annotator {name}", column)) for column in annotator))
            elif isinstance(annotator, Likelihood):
                found[name], errors = likelihood_preferences(annotator.model, pairs)
                notes += [f"{name} could not score some pairs: {error}" for error in errors[:3]]
            elif _is_judge(annotator):
                # an annotator is asked both orders in any case: of one alone, a bias for a position would look like a preference
                judged = judge_pairs(annotator, pairs, None, **(self._judging() | {"both_orders": True}))  # type: ignore[arg-type]
                found[name] = judged.preferences[:, 0]
                if judged.failed + judged.invalid:
                    notes.append(f"{name}: {judged.failed} of {judged.calls} calls failed, {judged.invalid} gave no valid answer.")
            else:
                found[name] = reward_preferences(annotator, pairs)  # type: ignore[arg-type]
        return found, notes

    def _own_judge(self) -> str | None:
        """The annotator that is the oracle too: named so, or a judge with the oracle's fingerprint."""
        if self.oracle_name is not None or self.oracle is None:
            return self.oracle_name
        mark = dict(self.oracle.fingerprint())
        return next((n for n, a in self.annotators.items() if _is_judge(a) and dict(a.fingerprint()) == mark), None)  # type: ignore[union-attr]

    def _about(self, judged: Judged, labels: Sequence[str] | None) -> dict[str, Any]:
        """What the oracle is, and how it answered."""
        model = self.oracle
        n, per_item = len(judged.preferences), judged.first_shown[0].size
        units = np.unique(labels, return_inverse=True)[1] if labels is not None else np.arange(n)
        chosen = judged.first_shown.reshape(n, -1)
        decided = ~np.isnan(chosen)
        if decided.any():
            first = accuracy(chosen[decided], clusters=np.repeat(units[:, None], per_item, axis=1)[decided], ci=self.ci)
        else:
            first = Estimate.undefined("the judge never chose a response")
        return {
            "uri": None if model is None else model.uri,
            "reading": "log-probs" if model is not None and "score" in model.capabilities else f"up to {self.draws} sampled answers",
            "both_orders": self.both_orders,
            "calls": judged.calls,
            "failed": judged.failed,
            "invalid": judged.invalid,
            "errors": list(judged.errors[:3]),
            "mean_mass": None if judged.failed == judged.calls else float(np.nanmean(judged.mass)),
            "first_shown": first.to_json(),
        }


def _is_judge(annotator: object) -> bool:
    return isinstance(annotator, Model)


def _judge_warnings(oracle: Mapping[str, Any] | None) -> list[str]:
    if oracle is None:
        return []
    found = []
    calls = oracle["calls"]
    if oracle["failed"]:
        found.append(f"The judge failed in {oracle['failed']} of {calls} calls: {'; '.join(oracle['errors'])}.")
    if oracle["invalid"] > 0.01 * calls:
        found.append(f"In {oracle['invalid']} of {calls} calls the judge would rather say something else than A, B or NA: no judgement.")
    if not oracle["both_orders"]:
        found.append("The judge saw one order of the responses only: a bias for a position would look like a principle.")
    return found


def _cell(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def _write_jsonl(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=True, default=str) + "\n" for row in rows), encoding="utf-8")


def _write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, names)
        writer.writeheader()
        writer.writerows({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()} for row in rows)


def _write_parquet(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for row in rows for name in row))
    try:
        pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    except pa.ArrowException as error:
        raise InputError(f"the table cannot be written as Parquet ({error}); write .jsonl") from error
