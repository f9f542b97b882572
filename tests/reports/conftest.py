"""Synthetic run directories: written by hand, so that a report can be tested on any content without a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueline.run import Run, open_run
from trueline.traces import make_trace
from trueline.traces.rundir import RunDirectory

TOWNS = ("Veloria", "Tamberwick", "Oskarin", "Lumeth", "Pardisel", "Quonby", "Sarnholt")
PEOPLE = ("Mirela Tosk", "Doran Velt", "Ysa Brennick", "Kolm Radish")
MakeRun = Callable[..., Run]


def manifest(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "status": "complete",
        "created": "2026-03-04T10:11:12+00:00",
        "trueline": "0.1.0",
        "model": {"uri": "world:chat", "fingerprint": {"weights": "9f3ab17c22dd0192aa"}},
        "task": {"name": "questions.csv", "items": n, "hash": "b17e55aa01929384", "grader": "normalised"},
        "settings": {"samples": 5, "law": {"temperature": 1.0, "top_p": 1.0, "top_k": 0}, "seed": 0, "max_new_tokens": 16, "stop": ["\n"]},
        "counts": {"items": n, "failed": 0},
        "versions": {"numpy": "2.3.1", "torch": "2.13.0"},
    } | changes


def rows_of_item(i: int, item: str, chance: float, rng: np.random.Generator, n_samples: int) -> list[dict[str, Any]]:
    town = TOWNS[i % len(TOWNS)]
    logprobs = [float(x) for x in -rng.gamma(1 + 3 * (1 - chance), 0.25, 3)]
    greedy = {
        "item_id": item,
        "kind": "greedy",
        "text": f"{town}.",
        "token_texts": [f" {town[:3]}", town[3:], "."],
        "token_logprobs": logprobs,
    }
    rows = [greedy | {"finish_reason": "eos"}]
    for draw in range(n_samples):
        text = f"{town}." if rng.random() < chance else f"{TOWNS[int(rng.integers(len(TOWNS)))]}."
        rows.append({"item_id": item, "kind": "sample", "draw": draw, "text": text, "token_logprobs": logprobs, "finish_reason": "eos"})
    return rows


def scores_of(names: tuple[str, ...], chance: Any, rng: np.random.Generator) -> dict[str, list[float]]:
    found = {}
    for j, name in enumerate(names):
        noisy = (1 - chance) * (0.5 + j % 5 * 0.3) + rng.normal(0, 0.35 + 0.08 * (j % 7), len(chance))
        if name.startswith("verbalized") or name in ("p_true", "self_consistency"):
            noisy = np.clip(0.15 + 0.1 * rng.normal(size=len(chance)) - 0.05 * chance, 0, 1).round(1)
        found[name] = [float(x) for x in noisy]
    return found


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Returns a function that writes a run; see `build`."""
    counter = iter(range(1000))
    return lambda **options: build(tmp_path / f"run{next(counter)}", **options)


def build(
    path: Path,
    *,
    n: int = 60,
    seed: int = 0,
    names: tuple[str, ...] = ("mean_nll", "semantic_entropy", "verbalized_1s"),
    known: bool = False,
    n_samples: int = 5,
    correct: list[bool | None] | None = None,
    question: str = "Where was {person} born?",
    changes: Callable[[list[dict[str, Any]]], None] | None = None,
    scored: bool = True,
    validated: bool = True,
    **manifest_changes: Any,
) -> Run:
    """Write a run of ``n`` items with trace, scores and grades. ``changes`` edits the trace rows in place before they are written."""
    rng = np.random.default_rng(seed)
    exposure = rng.choice([0, 1, 4, 16, 48], n)
    chance = np.array([0.1, 0.2, 0.7, 0.97, 0.99])[np.searchsorted([0, 1, 4, 16, 48], exposure)]
    if known and seed:
        chance = rng.beta(2, 1.2, n)
    verdicts = correct if correct is not None else [bool(x) for x in rng.random(n) < chance]
    ids = [f"q{i:05d}" for i in range(n)]
    rows = [row for i, item in enumerate(ids) for row in rows_of_item(i, item, float(chance[i]), rng, n_samples)]
    if changes is not None:
        changes(rows)
    entropy = -(chance * np.log(chance) + (1 - chance) * np.log1p(-chance))
    truth = [{"exposure": float(x), "aleatoric": float(h)} if known else {} for x, h in zip(exposure, entropy, strict=True)]
    directory = RunDirectory(path)
    directory.prepare()
    directory.write_manifest(manifest(n, **manifest_changes))
    items = [
        {
            "item_id": item,
            "item_index": i,
            "question": question.format(person=f"{PEOPLE[i % 4]} {i}"),
            "references": [TOWNS[i % 7]],
            "cluster": None,
        }
        | {"metadata": "{}", "truth": json.dumps(truth[i])}
        for i, item in enumerate(ids)
    ]
    kinds = {"item_id": pa.string(), "item_index": pa.int64(), "question": pa.string(), "references": pa.list_(pa.string())}
    schema = pa.schema([*kinds.items(), *((k, pa.string()) for k in ("cluster", "metadata", "truth"))])
    directory.write_table("items.parquet", pa.Table.from_pylist(items, schema=schema))
    directory.write_shard(0, make_trace(rows, item_ids=ids).table)
    if scored:
        directory.write_table("scores.parquet", pa.table({"item_id": pa.array(ids, pa.string()), **scores_of(names, chance, rng)}))
        directory.write_json(
            "scores.json", {name: {"judge": "exact" if "semantic" in name else None, "n_missing": 0, "reasons": {}} for name in names}
        )
    grades = [
        {"item_id": item, "kind": "greedy", "draw": 0, "correct": v, "refused": False, "answer": None, "score": None}
        | {"probability": float(p) if known else None, "reason": None if v is not None else "not judged"}
        for item, v, p in zip(ids, verdicts, chance, strict=True)
    ]
    directory.write_table("grades.parquet", pa.Table.from_pylist(grades, schema=_grade_schema()))
    run = open_run(path)
    if scored and validated and n:
        run.validate(n_boot=50)
    return run


def _grade_schema() -> pa.Schema:
    from trueline.grading import SCHEMA

    return SCHEMA
