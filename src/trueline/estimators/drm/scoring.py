"""DRM over groups of candidates: a table of its parts, one score a candidate, and preference pairs for DPO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import EmptySequenceError, InputError
from trueline.estimators.drm.rewards import EPS, DRMWeights, best_and_worst, confidence, group_z, relevance_total, repetition_share
from trueline.estimators.drm.scorers import Coherence, Relevance
from trueline.traces.trace import Trace

if TYPE_CHECKING:
    import polars as pl

COMPLETION = "<think>{reasoning}</think>{answer}"
DIMENSIONS = ("confidence", "relevance", "coherence")


@dataclass(frozen=True)
class Candidate:
    """One output. log-probs: (t,) nats of the tokens of each part, tags and end of sequence left out, under the policy that wrote it."""

    reasoning: str
    answer: str
    reasoning_logprobs: Sequence[float] | NDArray[np.float64] = ()
    answer_logprobs: Sequence[float] | NDArray[np.float64] = ()


@dataclass(frozen=True)
class DRMItem:
    """A prompt with its candidates. question: what it asks; context: supporting documents, if any."""

    item_id: str
    prompt: str
    candidates: tuple[Candidate, ...]
    question: str = ""
    context: str | None = None


@dataclass(frozen=True)
class DRM:
    """Confidence, relevance and coherence of each candidate's reasoning, and their weighted sum; higher = better reasoning.

    relevance(reasoning, text) in [0, 1]. coherence(question, reasoning, context), never shown the answer; None leaves it out. normalise:
    ``group`` takes z-scores within the candidates of a prompt, ``none`` adds the raw numbers, which can be compared between prompts.
    allow_empty: a candidate without reasoning or answer is left out of its group (NaN) instead of refused.

    Trap: no probability, and no confidence in an answer. Mean log-probs favour text that repeats itself: look at ``repetition``.
    """

    relevance: Relevance
    coherence: Coherence | None = None
    weights: DRMWeights = field(default_factory=DRMWeights)
    normalise: str = "group"
    eps: float = EPS
    answer_reduction: str = "sum"
    part_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    allow_empty: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown normalisation."""
        if self.normalise not in ("group", "none"):
            raise InputError(f"normalise={self.normalise!r} must be group or none")

    def components(self, items: Sequence[DRMItem]) -> pl.DataFrame:
        """One row a candidate: item_id, candidate, confidence (and _reasoning, _answer), relevance (and _q, _d, _a), coherence, repetition.

        Raises ``EmptySequenceError`` (unless ``allow_empty``) and ``InputError`` naming the item.
        """
        import polars as pl

        rows = [self._row(item, k) for item in items for k in range(len(item.candidates))]
        return pl.DataFrame(rows, schema=_SCHEMA)

    def dimensions(self, items: Sequence[DRMItem]) -> list[NDArray[np.float64]]:
        """(K, 3) of each item, in the order confidence, relevance, coherence (0 where left out), z-scored in the group if so set."""
        table = self.components(items).select(DIMENSIONS).to_numpy()
        found, start = [], 0
        for item in items:
            values = np.array(table[start : start + len(item.candidates)], dtype=np.float64)
            start += len(item.candidates)
            if self.coherence is None:
                values[:, 2] = np.where(np.isnan(values[:, 0]), np.nan, 0.0)
            if self.normalise == "group":
                values = np.stack([group_z(column, self.eps) for column in values.T], axis=1)
            found.append(values)
        return found

    def score(self, items: Sequence[DRMItem]) -> list[NDArray[np.float64]]:
        """(K,) of each item: the weighted sum; NaN for a candidate that was left out."""
        weights = np.array(self.weights.values)
        return [values[:, weights > 0] @ weights[weights > 0] for values in self.dimensions(items)]

    def pairs(self, items: Sequence[DRMItem], min_margin: float = 0.0, completion: str = COMPLETION) -> list[dict[str, Any]]:
        """Rows of TRL's DPO format, ``prompt``, ``chosen``, ``rejected``, and ``margin``: the best and the worst reasoning of each prompt.

        A prompt without a margin above ``min_margin``, or whose two texts are the same, gives no row. completion: how the text is put
        together again from ``{reasoning}`` and ``{answer}``.
        """
        rows = []
        for item, scores in zip(items, self.score(items), strict=True):
            texts = [_completed(completion, candidate) for candidate in item.candidates]
            found = best_and_worst(scores, min_margin, texts)
            if found is not None:
                best, worst = found
                margin = float(scores[best] - scores[worst])
                rows.append({"prompt": item.prompt, "chosen": texts[best], "rejected": texts[worst], "margin": margin})
        return rows

    def idle_groups(self, items: Sequence[DRMItem]) -> list[str]:
        """Items whose candidates all score alike: they teach nothing, and their advantages are 0."""
        scored = zip(items, self.score(items), strict=True)
        return [item.item_id for item, scores in scored if not np.nanmax(scores, initial=0) > np.nanmin(scores, initial=0)]

    def _row(self, item: DRMItem, k: int) -> dict[str, Any]:
        candidate = item.candidates[k]
        row: dict[str, Any] = {"item_id": item.item_id, "candidate": k}
        try:
            sure = confidence(candidate.reasoning_logprobs, candidate.answer_logprobs, self.answer_reduction)
        except EmptySequenceError as error:
            if self.allow_empty:
                return row | dict.fromkeys([name for name in _SCHEMA if name not in row], float("nan"))
            raise EmptySequenceError(f"item {item.item_id!r}, candidate {k}: {error}") from error
        except InputError as error:
            raise InputError(f"item {item.item_id!r}, candidate {k}: {error}") from error
        reasoning = candidate.reasoning
        parts = {
            "q": self.relevance(reasoning, item.question),
            "d": None if item.context is None else self.relevance(item.context, reasoning),
            "a": self.relevance(reasoning, candidate.answer),
        }
        coherent = float("nan") if self.coherence is None else self.coherence(item.question, reasoning, item.context)
        return row | {
            "confidence": sure.total,
            "confidence_reasoning": sure.reasoning,
            "confidence_answer": sure.answer,
            "relevance": relevance_total(parts["q"] or 0.0, parts["d"], parts["a"] or 0.0, self.part_weights),
            **{f"relevance_{name}": float("nan") if value is None else value for name, value in parts.items()},
            "coherence": coherent,
            "repetition": repetition_share(reasoning.split()),
        }


_NUMBERS = ("confidence", "confidence_reasoning", "confidence_answer", "relevance", "relevance_q", "relevance_d", "relevance_a")
_SCHEMA: dict[str, Any] = {"item_id": str, "candidate": int, **dict.fromkeys((*_NUMBERS, "coherence", "repetition"), float)}


def _completed(template: str, candidate: Candidate) -> str:
    head, _, tail = template.partition("{reasoning}")
    return head + candidate.reasoning + tail.replace("{answer}", candidate.answer)


def items_of(trace: Trace, n_samples: int | None = None) -> dict[int, DRMItem]:
    """Item position -> the item with its greedy output first and its samples after it, from a trace that keeps reasoning apart.

    Outputs without an answer, or whose tokens do not show where the reasoning lies, are left out; items without a greedy one too.
    Raises ``MissingTraceField`` when log-probs or reasoning were not captured.
    """
    found: dict[int, list[Candidate]] = {}
    for kind in ("greedy", "sample"):
        rows = trace.generations(kind)
        if not len(rows):
            if kind == "greedy":
                rows.require("reasoning")
            continue
        rows.require("reasoning")
        inside = trace.within("reasoning").generations(kind).ragged("token_logprobs")
        answers = trace.within("answer").generations(kind).ragged("token_logprobs")
        ended = rows.strings("finish_reason") if rows.has("finish_reason") else [None] * len(rows)
        for row, (text, reasoning) in enumerate(zip(rows.texts, rows.strings("reasoning"), strict=True)):
            i = int(rows.item[row])
            if text is None or reasoning is None or not inside.valid[row] or not answers.valid[row]:
                continue
            if kind == "sample" and (i not in found or (n_samples is not None and len(found[i]) > n_samples)):
                continue
            answer = answers[row][:-1] if ended[row] == "eos" else answers[row]
            found.setdefault(i, []).append(Candidate(reasoning, text, inside[row], answer))
    questions = trace.questions or ("",) * trace.n_items
    return {i: DRMItem(trace.item_ids[i], questions[i], tuple(c), questions[i]) for i, c in found.items()}
