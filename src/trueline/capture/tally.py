"""What a finished capture holds, counted from its shards."""

from __future__ import annotations

from typing import Any

from trueline.tasks.thinking import UNCLOSED
from trueline.traces.rundir import RunDirectory


def tally(directory: RunDirectory, n_items: int) -> tuple[dict[str, Any], list[str]]:
    """(counts for the manifest, ids of the items whose reasoning never ends).

    A sample without an end to its reasoning is one sample fewer, no failed item.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    failed: set[str] = set()
    unclosed: list[str] = []
    truncated = rows = 0
    kinds = pa.array(["greedy", "sample"])
    for path in directory.shards():
        table = directory.read_shard(path, columns=["item_id", "kind", "error", "finish_reason"])
        endless = pc.fill_null(pc.equal(table["error"], UNCLOSED), False)
        sampled = pc.equal(table["kind"], "sample")
        unclosed += table["item_id"].filter(pc.and_(endless, pc.equal(table["kind"], "greedy"))).to_pylist()
        broken = pc.and_(pc.is_valid(table["error"]), pc.invert(pc.and_(endless, sampled)))
        failed.update(table["item_id"].filter(broken).to_pylist())
        answers = table.filter(pc.is_in(table["kind"], value_set=kinds))
        rows += len(answers)
        truncated += int(pc.sum(pc.equal(answers["finish_reason"], "length")).as_py() or 0)
    counts: dict[str, Any] = {"items": n_items, "failed": len(failed), "generations": rows, "truncated": truncated}
    return (counts | {"unclosed": len(unclosed)} if unclosed else counts), unclosed
