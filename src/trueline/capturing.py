"""Ask a model what a plan says, into one run directory that can be taken up again at any point."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueline.capture.cluster import ClusterModel
from trueline.capture.engine import SHARD_ITEMS, capture
from trueline.capture.planner import N_ALTERNATIVES, Plan
from trueline.capture.progress import capture_progress
from trueline.capture.tally import tally
from trueline.errors import InputError
from trueline.items import items_table, task_hash
from trueline.models.base import Model
from trueline.run import Run
from trueline.tasks.item import Task
from trueline.traces.rundir import RunDirectory, check_same
from trueline.traces.schema import PERTURBATIONS

Progress = Callable[[str, int, int], None]


def capture_run(
    model: Model,
    task: Task,
    made: Plan,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 64,
    max_cost: float | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Run:
    """The capture alone: ask the model what the plan says, in a run directory that can be taken up again; nothing is scored or graded.

    Arguments and errors as in `measure`; ``limit`` only stands in the manifest.
    """
    check_cost(model, max_cost)
    directory = RunDirectory(out if out is not None else default_out(model.uri, task.name))
    identity = _identity(model, task, made, seed, limit)
    with directory.lock():
        made = _open(directory, task, made, identity, retry_failed=retry_failed)
        shared: dict[str, Any] = {"seed": seed, "retry_failed": retry_failed, "progress": capture_progress(progress)}
        _capture(model, task, made, directory, batch_size, max_cost, shared)
        _finish(directory, len(task.items), model)
    return Run(directory, task)


def default_out(model_uri: str, task_uri: str) -> Path:
    """``runs/<model>-<task>`` with the characters of a file name."""
    return Path("runs") / "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", Path(u).name or u).strip("-") for u in (model_uri, task_uri))


def _identity(model: Model, task: Task, made: Plan, seed: int, limit: int | None) -> dict[str, Any]:
    """What decides the content of the trace; two runs with the same identity hold the same answers."""
    fingerprint = {k: v for k, v in model.fingerprint().items() if k != "versions"}
    law = made.law
    return {
        "model": {"uri": model.uri, "fingerprint": fingerprint},
        "task": {"name": task.name, "items": len(task.items), "limit": limit, "hash": task_hash(task)},
        "settings": {
            "samples": made.n_samples,
            "law": {"temperature": law.temperature, "top_p": law.top_p, "top_k": law.top_k},
            "seed": seed,
            "max_new_tokens": made.max_new_tokens,
            "shard_items": SHARD_ITEMS,
            **({} if made.reasoning == "auto" else {"reasoning": made.reasoning}),  # runs made before it was known go on
        },
    }


def _open(directory: RunDirectory, task: Task, made: Plan, identity: dict[str, Any], *, retry_failed: bool) -> Plan:
    """Begin the run, or check that the one that is there is the same; returns the plan in force."""
    directory.prepare()
    old = directory.read_json("run.json")
    if old is None:
        directory.write_table("items.parquet", items_table(task.items))
        directory.write_manifest(_manifest(task, made, identity))
        return made
    if old.get("status") == "imported":
        raise InputError(f"{directory.where} holds imported generations; give another --out to measure a model")
    wanted = {**identity, "captured": made.captured()}
    found = {**{k: old.get("identity", {}).get(k) for k in identity}, "captured": old["captured"]}
    if _covers(old["captured"], made.captured()):
        found["captured"] = wanted["captured"]
        if made.n_samples == 0:  # nothing sampled is asked for: any number of samples will do
            wanted["settings"] = {**wanted["settings"], "samples": found["settings"]["samples"]}
    check_same(found, wanted, directory.where)
    if retry_failed and old["status"] == "complete":
        directory.write_manifest({**old, "status": "running"})
    return _as_captured(made, old["captured"])


def _covers(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    lists = ("greedy_columns", "sample_columns", "probes", "hidden_depths")  # runs of older versions lack the last one
    if _perturbs(new) and new.get("n_alternatives", N_ALTERNATIVES) > old.get("n_alternatives", N_ALTERNATIVES):
        return False
    return all(set(new.get(k, ())) <= set(old.get(k, ())) for k in lists) and new["samples"] in (0, old["samples"])


def _perturbs(captured: Mapping[str, Any]) -> bool:
    return bool(set(captured.get("probes", ())) & set(PERTURBATIONS))


def _as_captured(made: Plan, captured: Mapping[str, Any]) -> Plan:
    """The plan widened to what the run set out to capture, so that all its shards hold the same columns."""
    needs = dataclasses.replace(
        made.needs,
        greedy=made.needs.greedy | frozenset(captured["greedy_columns"]),
        sample_columns=made.needs.sample_columns | frozenset(captured["sample_columns"]),
        probes=made.needs.probes | frozenset(captured["probes"]),
        depths=made.needs.depths | frozenset(captured.get("hidden_depths", ())),
        alternatives=captured.get("n_alternatives", N_ALTERNATIVES),
    )
    top_k = captured.get("top_k_alternatives") or made.top_k_alternatives
    return dataclasses.replace(made, needs=needs, n_samples=captured["samples"], top_k_alternatives=top_k)


def _manifest(task: Task, made: Plan, identity: dict[str, Any]) -> dict[str, Any]:
    from importlib.metadata import version

    import trueline

    names = ("numpy", "torch", "transformers", "pyarrow")
    return {
        "status": "running",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "trueline": trueline.__version__,
        "model": identity["model"],
        "task": {**identity["task"], "grader": _grader_name(task)},
        "notes": list(task.notes),
        "settings": {**identity["settings"], "stop": list(task.stop)},
        "judge": made.judge,
        "similarity": made.similarity,
        "identity": identity,
        "captured": made.captured(),
        "plan": made.to_json(),
        "versions": {name: version(name) for name in names},
    }


def _grader_name(task: Task) -> str:
    return task.grader if isinstance(task.grader, str) else getattr(task.grader, "__qualname__", "custom")


def check_cost(model: Model, max_cost: float | None) -> None:
    """Raise `InputError` for a limit that cannot be kept: no server, no prices, not above 0."""
    if max_cost is None:
        return
    price = getattr(model, "price", None)
    if price is None:
        raise InputError(f"max_cost is for models behind a server; {model.uri} costs nothing")
    if not price.prompt and not price.completion:
        raise InputError("max_cost needs the prices: give price_prompt and price_completion, per million tokens")
    if not max_cost > 0:
        raise InputError(f"max_cost must be above 0, got {max_cost}")


def _capture(
    model: Model,
    task: Task,
    made: Plan,
    run: RunDirectory,
    batch_size: int,
    max_cost: float | None,
    shared: Mapping[str, Any],
) -> None:
    """The engine that fits the model: batches for one in this process, many requests in flight for one behind a server, or a cluster."""
    from trueline.models.server import ServerModel

    if isinstance(model, ClusterModel):
        from trueline.capture.distributed import capture_cluster

        capture_cluster(model, task, made, run, batch_size=batch_size, max_cost=max_cost, **shared)
        return
    if isinstance(model, ServerModel):
        from trueline.capture.remote import capture_remote

        capture_remote(model, task, made, run, max_cost=max_cost, **shared)
        return
    capture(model, task, made, run, batch_size=batch_size, **shared)


def _finish(directory: RunDirectory, n_items: int, model: Model) -> None:
    manifest = directory.manifest()
    manifest["status"] = "complete"
    manifest["counts"], unclosed = tally(directory, n_items)
    if unclosed:
        manifest["unclosed"] = unclosed
    if (directory.path / "usage.jsonl").exists():
        manifest["counts"] |= _usage(directory, model)
    directory.write_manifest(manifest)


def _usage(directory: RunDirectory, model: Model) -> dict[str, Any]:
    from trueline.capture.journal import Ledger

    total = Ledger(directory).total()
    price = getattr(model, "price", None)
    paid = {"requests": total.requests, "prompt_tokens": total.prompt_tokens, "completion_tokens": total.completion_tokens}
    return paid | ({"cost": price.of(total)} if price is not None and price.of(total) else {})
