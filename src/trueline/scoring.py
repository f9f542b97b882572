"""From a stored trace to scores: block by block, no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import LawError, MissingTraceField
from trueline.estimators.base import Estimator
from trueline.traces.trace import Trace


@dataclass
class Scores:
    """Scores of a run. columns: name -> (n_items,) float64. left_out: name -> why it could not be computed at all."""

    item_ids: list[str]
    columns: dict[str, NDArray[np.float64]]
    left_out: dict[str, str]
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)

    def table(self) -> pa.Table:
        """``scores.parquet``: item_id and one float64 column an estimator."""
        return pa.table({"item_id": pa.array(self.item_ids, pa.string()), **{k: pa.array(v) for k, v in self.columns.items()}})


def score_blocks(
    blocks: Iterable[Trace],
    estimators: Mapping[str, Estimator],
    equivalence: Any = None,
    cache: Any = None,
    *,
    strict: bool = False,
) -> Scores:
    """Score every block with every estimator.

    equivalence: judge for those that need verdicts. strict: raise when an estimator cannot be computed instead of leaving it out
    with its reason.
    """
    from trueline.estimators.engine import judge_trace, score_trace

    live = dict(estimators)
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in live}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in live}
    left_out: dict[str, str] = {}
    ids: list[str] = []
    for block in blocks:
        ids += block.item_ids
        judged = block
        if equivalence is not None and any(e.needs.equivalence for e in live.values()):
            judged = block.with_judgements(judge_trace(block, equivalence, cache))
        for name in list(live):
            try:
                values = score_trace(judged, {name: live[name]})[name]
            except (MissingTraceField, LawError) as error:
                if strict:
                    raise
                left_out[name] = str(error)
                del live[name], parts[name], reasons[name]
                continue
            parts[name].append(values)
            reasons[name].update(missing_reasons(judged, live[name].needs, values))
    columns = {name: np.concatenate(parts[name]) if parts[name] else np.zeros(0) for name in live}
    return Scores(ids, columns, left_out, {name: dict(c) for name, c in reasons.items()})


def missing_reasons(trace: Trace, needs: Needs, values: NDArray[np.float64]) -> Counter[str]:
    """Why items have no score, as reason -> count."""
    missing = np.flatnonzero(np.isnan(values))
    counter: Counter[str] = Counter()
    if not missing.size:
        return counter
    usable = _usable(trace, "sample") if needs.samples else None
    greedy = _usable(trace, "greedy") if needs.greedy else None
    probes = {name: _usable(trace, name) for name in needs.probes}
    for i in missing:
        if greedy is not None and greedy[i] == 0:
            counter["the greedy answer failed"] += 1
        elif usable is not None and usable[i] < needs.samples:
            counter[f"fewer than {needs.samples} usable samples"] += 1
        elif any(rows[i] == 0 for rows in probes.values()):
            counter["the probe failed"] += 1
        elif probes:
            counter["the reply to the probe could not be read"] += 1
        else:
            counter["undefined for this answer (empty, or values missing)"] += 1
    return counter


def _usable(trace: Trace, kind: str) -> NDArray[np.int64]:
    """(n_items,) int64: rows of this kind that did not fail."""
    rows = trace.generations(kind)
    fine = np.asarray(rows.table["error"].is_null().combine_chunks().to_numpy(zero_copy_only=False), dtype=bool)
    return np.bincount(rows.item[fine], minlength=trace.n_items).astype(np.int64)
