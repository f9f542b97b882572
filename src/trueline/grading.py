"""From answers to verdicts: the greedy answer of each item, or its first sample where there is no greedy decode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from trueline.tasks.graders import grade_all
from trueline.tasks.item import Grade, Grader, Item
from trueline.tasks.thinking import UNCLOSED
from trueline.traces.trace import Trace

SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("draw", pa.int32()),
        ("correct", pa.bool_()),
        ("refused", pa.bool_()),
        ("answer", pa.string()),
        ("probability", pa.float64()),
        ("score", pa.float64()),
        ("reason", pa.string()),
    ]
)


def answer_kind(trace: Trace) -> str:
    """``"greedy"`` when the trace has greedy answers, else ``"sample"`` (its draw 0 is the answer)."""
    return "greedy" if len(trace.greedy) else "sample"


def grade_blocks(blocks: Iterable[Trace], items: Mapping[str, Item], grader: Grader) -> pa.Table:
    """Grade the answer of every item; an item without an answer gets ``correct`` null and a reason."""
    tables: list[pa.Table] = [SCHEMA.empty_table()]
    for block in blocks:
        kind = answer_kind(block)
        generations = block.generations(kind)
        texts = generations.texts
        errors = generations.strings("error") if generations.has("error") else [None] * len(generations)
        endless = {int(i) for k, i in enumerate(generations.item) if errors[k] == UNCLOSED and generations.draw[k] == 0}
        answered = {int(i): texts[k] for k, i in enumerate(generations.item) if generations.draw[k] == 0}
        asked = [(item_id, text) for index, item_id in enumerate(block.item_ids) if (text := answered.get(index)) is not None]
        grades = grade_all(grader, [items[item_id] for item_id, _ in asked], [text for _, text in asked])
        found = {item_id: grade for (item_id, _), grade in zip(asked, grades, strict=True)}
        failed = Grade(None, reason="no answer: the generation failed")
        unended = Grade(None, reason=UNCLOSED)
        verdicts = [found.get(i, unended if k in endless else failed) for k, i in enumerate(block.item_ids)]
        columns = {"item_id": block.item_ids, "kind": [kind] * len(verdicts), "draw": [0] * len(verdicts)}
        said = {name: [getattr(verdict, name) for verdict in verdicts] for name in SCHEMA.names if name not in columns}
        tables.append(pa.table({**columns, **said}, schema=SCHEMA))
    return pa.concat_tables(tables)
