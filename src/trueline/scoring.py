"""From a stored trace to scores: block by block, no model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trueline.capture.needs import Needs, union
from trueline.errors import InputError, LawError, MissingTraceField, NotFitted, TruncatedAnswers
from trueline.estimators.base import AsksPairs, Estimator
from trueline.traces.trace import Trace

if TYPE_CHECKING:
    from trueline.estimators.equivalence.base import Equivalence
    from trueline.estimators.equivalence.cache import PairCache
    from trueline.estimators.similarity import Similarity, SimilarityCache


Truncated = Literal["keep", "nan", "refuse"]
#: Why a score of a whole answer is missing.
CUT = "the answer was cut at the token limit: the probability of a whole one is not known"
_REFUSED = (
    "{n} of {total} items have an answer that was cut at the token limit ({first!r} is the first), and it reads the probability of whole "
    "answers; capture with more tokens, or choose truncated='nan' (--truncated nan) for a missing score, 'keep' for that of the beginning"
)


@dataclass
class Scores:
    """Scores of a run. columns: name -> (n_items,) float64. left_out: name -> why it could not be computed at all.

    truncated: name -> items whose score would need an answer that was cut at the limit of tokens.
    """

    item_ids: list[str]
    columns: dict[str, NDArray[np.float64]]
    left_out: dict[str, str]
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    truncated: dict[str, int] = field(default_factory=dict)

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
    truncated: Truncated = "keep",
) -> Scores:
    """Score every block with every estimator.

    equivalence: judge for those that need verdicts; cache: its verdicts on disk. similarity, kept: the same for similarities.
    strict: raise when an estimator cannot be computed instead of leaving it out
    with its reason. truncated: what becomes of answers that were cut at the limit of tokens, for estimators that read the probability of
    whole answers (``Needs.whole``): "keep" their scores, "nan" (missing, with the reason), or "refuse" such an estimator.
    """
    from trueline.estimators.engine import cut_items, missing_reasons, score_trace

    check_truncated(truncated)
    live = {name: e.with_cache(cache) if isinstance(e, AsksPairs) else e for name, e in estimators.items()}
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in live}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in live}
    lacking: dict[str, InputError] = {}
    served: set[str] = set()
    ids: list[str] = []
    cut_of: Counter[str] = Counter()
    for block in blocks:
        ids += block.item_ids
        judged = _judged(block, union(e.needs for e in live.values()), equivalence, cache, similarity, kept)
        for name in list(live):
            cut = cut_items(block, live[name].needs.whole)
            try:
                _refuse_cut(cut, block, truncated)
                values = score_trace(judged, {name: live[name]})[name]
                served.add(name)
            except MissingTraceField as error:
                # a block whose items all failed lacks what the others have: missing there, left out only if no block has it
                lacking[name] = error
                values = np.full(block.n_items, np.nan)
            except (LawError, NotFitted, TruncatedAnswers) as error:
                lacking[name] = error
                served.discard(name)
                del live[name]
                continue
            reasons[name].update(missing_reasons(judged, live[name], values))
            parts[name].append(_without_cut(values, cut, reasons[name]) if truncated == "nan" else values)
            cut_of[name] += int(cut.sum())
    left_out = {name: error for name, error in lacking.items() if name not in served}
    if strict and left_out:
        raise next(iter(left_out.values()))
    columns = {name: np.concatenate(parts[name]) if parts[name] else np.zeros(0) for name in live if name not in left_out}
    why = {name: dict(reasons[name]) for name in columns}
    return Scores(ids, columns, {name: str(e) for name, e in left_out.items()}, why, dict(cut_of))


def check_truncated(truncated: str) -> None:
    """Refuse what is not one of ``Truncated``."""
    if truncated not in get_args(Truncated):
        raise InputError(f"truncated is {truncated!r}; expected one of {', '.join(get_args(Truncated))}")


def _judged(
    block: Trace,
    needs: Needs,
    equivalence: Equivalence | None,
    cache: PairCache | None,
    similarity: Similarity | None,
    kept: SimilarityCache | None,
) -> Trace:
    """The block with the verdicts and similarities that its estimators need."""
    from trueline.estimators.engine import judge_trace
    from trueline.estimators.similarity import compare_trace

    judged = block
    wanted = needs.equivalence if len(block.samples) else needs.equivalence - {"samples", "greedy_samples"}
    if equivalence is not None and wanted:
        judged = block.with_judgements(judge_trace(block, equivalence, cache, wanted=wanted))
    if similarity is not None and needs.similarity:
        judged = judged.with_similarities(compare_trace(block, similarity, kept, wanted=needs.similarity))
    return judged


def _refuse_cut(cut: NDArray[np.bool_], block: Trace, truncated: Truncated) -> None:
    if truncated == "refuse" and cut.any():
        first = block.item_ids[int(cut.argmax())]
        raise TruncatedAnswers(_REFUSED.format(n=int(cut.sum()), total=block.n_items, first=first))


def _without_cut(values: NDArray[np.float64], cut: NDArray[np.bool_], reasons: Counter[str]) -> NDArray[np.float64]:
    """The scores without those of cut answers, which are counted."""
    if lost := int((cut & ~np.isnan(values)).sum()):
        reasons[CUT] += lost
    return np.where(cut, np.nan, values)
