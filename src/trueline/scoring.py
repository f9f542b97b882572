"""From a stored trace to scores: block by block, no model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trueline.capture.needs import union
from trueline.errors import LawError, MissingTraceField, NotFitted
from trueline.estimators.base import AsksPairs, Estimator
from trueline.traces.trace import Trace

if TYPE_CHECKING:
    from trueline.estimators.equivalence.base import Equivalence
    from trueline.estimators.equivalence.cache import PairCache
    from trueline.estimators.similarity import Similarity, SimilarityCache


@dataclass
class Scores:
    """Scores of a run. columns: name -> (n_items,) float64. left_out: name -> why it could not be computed at all."""

    item_ids: list[str]
    columns: dict[str, NDArray[np.float64]]
    left_out: dict[str, str]
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)

    def table(self, earlier: pa.Table | None = None) -> pa.Table:
        """``scores.parquet``: item_id and one float64 column an estimator.

        earlier: a table of before, whose other columns are kept, NaN for items that it does not have. A column of what is left out now
        goes: it belongs to a trace that is no longer this one.
        """
        columns = {"item_id": pa.array(self.item_ids, pa.string()), **{k: pa.array(v) for k, v in self.columns.items()}}
        if earlier is not None:
            kept = [c for c in earlier.column_names if c not in columns and c not in self.left_out]
            at = pc.index_in(columns["item_id"], value_set=earlier["item_id"].combine_chunks())
            columns |= {name: pc.fill_null(earlier[name].combine_chunks().take(at), math.nan) for name in kept}
        return pa.table(columns)


def score_blocks(
    blocks: Iterable[Trace],
    estimators: Mapping[str, Estimator],
    equivalence: Equivalence | None = None,
    cache: PairCache | None = None,
    *,
    similarity: Similarity | None = None,
    kept: SimilarityCache | None = None,
    strict: bool = False,
) -> Scores:
    """Score every block with every estimator.

    equivalence: judge for those that need verdicts; cache: its verdicts on disk. similarity, kept: the same for similarities.
    strict: raise when an estimator cannot be computed instead of leaving it out
    with its reason.
    """
    from trueline.estimators.engine import judge_trace, missing_reasons, score_trace
    from trueline.estimators.similarity import compare_trace

    live = {name: e.with_cache(cache) if isinstance(e, AsksPairs) else e for name, e in estimators.items()}
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in live}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in live}
    lacking: dict[str, MissingTraceField | LawError | NotFitted] = {}
    served: set[str] = set()
    ids: list[str] = []
    for block in blocks:
        ids += block.item_ids
        judged = block
        needs = union(e.needs for e in live.values())
        wanted = needs.equivalence if len(block.samples) else needs.equivalence - {"samples", "greedy_samples"}
        if equivalence is not None and wanted:
            judged = block.with_judgements(judge_trace(block, equivalence, cache, wanted=wanted))
        if similarity is not None and needs.similarity:
            judged = judged.with_similarities(compare_trace(block, similarity, kept, wanted=needs.similarity))
        for name in list(live):
            try:
                values = score_trace(judged, {name: live[name]})[name]
                served.add(name)
            except MissingTraceField as error:
                # a block whose items all failed lacks what the others have: missing there, left out only if no block has it
                lacking[name] = error
                values = np.full(block.n_items, np.nan)
            except (LawError, NotFitted) as error:
                lacking[name] = error
                served.discard(name)
                del live[name]
                continue
            parts[name].append(values)
            reasons[name].update(missing_reasons(judged, live[name], values))
    left_out = {name: error for name, error in lacking.items() if name not in served}
    if strict and left_out:
        raise next(iter(left_out.values()))
    columns = {name: np.concatenate(parts[name]) if parts[name] else np.zeros(0) for name in live if name not in left_out}
    return Scores(ids, columns, {name: str(e) for name, e in left_out.items()}, {name: dict(reasons[name]) for name in columns})
