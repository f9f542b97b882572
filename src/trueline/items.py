"""Items of a run on disk: ``items.parquet`` and the task built back from it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from trueline.errors import InputError
from trueline.tasks.item import Item, Task
from trueline.tasks.item_table import BLOCK, ItemTable, item_of_columns

SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("item_index", pa.int64()),
        ("question", pa.string()),
        ("references", pa.list_(pa.string())),
        ("cluster", pa.string()),
        ("metadata", pa.string()),  # JSON object
        ("truth", pa.string()),  # JSON object of numbers
    ]
)


def items_table(items: Iterable[Item]) -> pa.Table:
    """``items.parquet`` of a task; columns ``annotations`` (JSON) and ``images`` (names) where any item has some."""
    held = items if isinstance(items, ItemTable) else ItemTable(items)
    table = held.columns()
    table = table.add_column(1, SCHEMA.field("item_index"), pa.array(range(len(table)), pa.int64()))
    annotations = table["annotations"]
    table = table.drop_columns("annotations")
    if annotations.null_count < len(annotations):
        table = table.append_column("annotations", annotations.fill_null("[]"))
    if held.images:
        names = [[picture.name for picture in held.images.get(place, ())] for place in range(len(held))]
        table = table.append_column("images", pa.array(names, pa.list_(pa.string())))
    return table


def task_from(manifest: Mapping[str, Any], table: pa.Table) -> Task:
    """The task of a run: asked for again by URI where its truth is needed (known world), else rebuilt from the stored items."""
    stored = manifest["task"]
    scheme = str(stored["name"]).split(":", 1)[0]
    if scheme == "world":
        from trueline.tasks.loading import load_task

        task = load_task(stored["name"])
        wanted = set(table["item_id"].to_pylist())
        kept = [item for item in task.items if item.id in wanted]
        if len(kept) != len(wanted):
            raise InputError(f"{stored['name']} no longer has all items of this run: it was made by another version of trueline")
        return _replace(task, kept)
    names = ("item_id", "question", "references", "cluster", "metadata", "truth", "annotations")
    stored_rows = (row for batch in table.to_batches(BLOCK) for row in batch.to_pylist())
    items = ItemTable(item_of_columns(*(row.get(name) for name in names)) for row in stored_rows)
    return Task(name=stored["name"], items=items, grader=stored.get("grader") or "normalised")


def canonical_of(task: Task) -> Callable[[str, str], str] | None:
    """The task's oracle key as a function of item id and answer, or None where its truth is not known."""
    canonical = task.canonical
    if canonical is None:
        return None
    items = {item.id: item for item in task.items}
    return lambda item_id, text: canonical(items[item_id], text)


def choose(task: Task, limit: int | None, seed: int = 0) -> Task:
    """A fixed pseudo-random sample of ``limit`` items in the task's own order; the whole task when ``limit`` is None or no smaller.

    Wordings of one question stay together: questions are added until ``limit`` items are reached.
    """
    if limit is None or limit >= len(task.items):
        return task
    if limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    import numpy as np

    group = [item.metadata.get("wording_group", item.id) for item in task.items]
    names = list(dict.fromkeys(group))
    if len(names) == len(group):
        picked = np.sort(np.random.default_rng(seed).choice(len(task.items), size=limit, replace=False))
        return _replace(task, [task.items[int(k)] for k in picked])
    sizes = Counter(group)
    kept: set[str] = set()
    for k in np.random.default_rng(seed).permutation(len(names)):
        kept.add(names[int(k)])
        if sum(sizes[name] for name in kept) >= limit:
            break
    return _replace(task, [item for item, name in zip(task.items, group, strict=True) if name in kept])


def task_hash(task: Task) -> str:
    """SHA-256 over all that the model is shown and the answers are graded by."""
    digest = hashlib.sha256()
    head = [task.template, task.system, list(task.stop), sorted(task.prompts.items()), task.version]
    digest.update(json.dumps(head, ensure_ascii=True).encode())
    for item in task.items:
        row = [item.id, item.question, item.prompt_text, item.messages, item.references, item.cluster]
        row += [picture.digest() for picture in item.images]
        digest.update(json.dumps(row, ensure_ascii=True).encode())
    return digest.hexdigest()


def _replace(task: Task, items: list[Item]) -> Task:
    import dataclasses

    return dataclasses.replace(task, items=items)
