"""From a trace to verdicts and from verdicts to scores: the two passes every run takes after capture."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.estimators.base import Estimator
from trueline.estimators.equivalence.base import Equivalence, KeyJudge, PairJudge, Verdicts
from trueline.estimators.equivalence.cache import PairCache
from trueline.estimators.inputs import OnEmpty, generations
from trueline.estimators.pairs import JUDGED, Pair, flat_pairs
from trueline.tasks.thinking import UNCLOSED
from trueline.traces.insides import INSIDE_COLUMNS
from trueline.traces.judgements import ItemJudgement, Judgements
from trueline.traces.trace import Generations, Trace

Progress = Callable[[int, int], None]

_BOTH = frozenset({"samples", "greedy_samples"})


def score_trace(trace: Trace, estimators: Mapping[str, Estimator], on_empty: OnEmpty | None = "nan") -> dict[str, NDArray[np.float64]]:
    """Scores of every estimator: name -> (n_items,) float64, higher = less certain, NaN where an item lacks a need.

    ``on_empty`` overrides the setting of every estimator that has one: by default one answer without tokens is a missing value and
    does not end a run over thousands of items; None leaves each estimator as it was made. Raises what the estimators raise
    (``MissingTraceField``, ``LawError``, ``InputError``), with the estimator's name in front.
    """
    scores: dict[str, NDArray[np.float64]] = {}
    for name, estimator in estimators.items():
        try:
            score = _with_empty(estimator, on_empty).score(trace)
        except InputError as error:
            raise type(error)(f"{name}: {error}") from error
        if score.shape != (trace.n_items,):
            raise InputError(f"{name} returned scores of shape {score.shape}; expected ({trace.n_items},)")
        scores[name] = score
    return scores


def _with_empty(estimator: Any, on_empty: OnEmpty | None) -> Estimator:
    has = dataclasses.is_dataclass(estimator) and "on_empty" in {f.name for f in dataclasses.fields(estimator)}
    ready: Estimator = dataclasses.replace(estimator, on_empty=on_empty) if has and on_empty is not None else estimator
    return ready


def missing_reasons(trace: Trace, estimator: Estimator, scores: NDArray[np.float64]) -> dict[str, int]:
    """Why items have no score: reason -> number of items. The counts add up to the NaN in ``scores`` (n_items,)."""
    needs = estimator.needs
    missing = np.isnan(scores)
    kinds = [
        kind
        for kind, wanted in (("greedy", needs.greedy or "greedy_samples" in needs.equivalence), *((p, True) for p in sorted(needs.probes)))
        if wanted
    ]
    reason = np.full(trace.n_items, "the score is undefined for this item", dtype=object)
    if needs.samples:
        rows = trace.samples
        column = next((c for c in ("hidden_last", "hidden_mean", "token_logprobs") if c in needs.sample_columns), "text")
        usable = np.bincount(rows.item[_filled(rows, column)], minlength=trace.n_items)
        reason[usable < needs.samples] = f"fewer than {needs.samples} usable samples"
    for kind in kinds:
        rows = trace.generations(kind)
        there = np.zeros(trace.n_items, dtype=bool)
        there[rows.item] = True
        failed = np.zeros(trace.n_items, dtype=bool)
        if rows.has("text") or rows.has("error"):
            failed[rows.item[~_filled(rows, "text") & _filled(rows, "error")]] = True
        if kind == "greedy" and "token_logprobs" in needs.greedy:
            empty = np.zeros(trace.n_items, dtype=bool)
            empty[rows.item[~_filled(rows, "token_logprobs")]] = True
            reason[empty] = "empty answer, or no log-probs"
        for column in sorted(needs.greedy & set(INSIDE_COLUMNS)) if kind == "greedy" else ():
            reason[rows.item[~_filled(rows, column)]] = f"no {column}: the answer has no text, or does not fit the context"
        if kind.startswith("verbalized"):
            reason[there & ~failed] = "no confidence could be read from the reply"
        reason[failed] = f"the {kind} generation failed"
        if kind == "greedy" and rows.has("error"):
            endless = np.array([error == UNCLOSED for error in rows.strings("error")], dtype=bool)
            reason[rows.item[endless]] = UNCLOSED
        reason[~there] = f"no {kind} generation"
    return dict(Counter(str(r) for r in reason[missing]))


def cut_items(trace: Trace, kinds: Iterable[str]) -> NDArray[np.bool_]:
    """(n_items,) bool: items with an answer of these kinds that was cut at the limit of tokens (any of its samples)."""
    found = np.zeros(trace.n_items, dtype=bool)
    for kind in kinds:
        rows = trace.generations(kind)
        if len(rows) and rows.has("finish_reason"):
            found[rows.item[np.array([reason == "length" for reason in rows.strings("finish_reason")], dtype=bool)]] = True
    return found


def _filled(rows: Generations, column: str) -> NDArray[np.bool_]:
    """(n_rows,) bool: neither null nor an empty list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column not in rows.table.column_names:
        return np.zeros(len(rows), dtype=bool)
    values = rows.table[column]
    if pa.types.is_list(values.type):
        return np.asarray(pc.fill_null(pc.greater(pc.list_value_length(values), 0), False).to_numpy(), dtype=bool)
    return np.asarray(values.is_valid().to_numpy(), dtype=bool)


def judge_trace(
    trace: Trace,
    equivalence: Equivalence,
    cache: PairCache | Path | str | None = None,
    *,
    wanted: Iterable[str] = _BOTH,
    progress: Progress | None = None,
) -> Judgements:
    """Verdicts between the answers of every item; attach them with ``trace.with_judgements``.

    ``wanted``: "samples" (among them), "greedy_samples" (greedy against each), and the pairs of ``pairs.JUDGED``: usually
    ``union(needs).equivalence``. A judge that names
    classes is asked once per answer. A judge of pairs is asked once per distinct ordered pair over the whole run, longest apart from
    shortest, and never about a pair that ``cache`` holds; an answer entails itself unless ``judge.self_pairs``. ``progress(done, total)``.
    Raises ``MissingTraceField`` without samples, ``ModelError`` when the judge fails.
    """
    asked = set(wanted)
    if unknown := asked - _BOTH - set(JUDGED):
        raise InputError(f"no pairs are called {sorted(unknown)[0]!r}; known: {', '.join(sorted(_BOTH | set(JUDGED)))}")
    if asked & _BOTH:
        generations(trace, "sample")
    if isinstance(equivalence, KeyJudge):
        return _judge_by_key(trace, equivalence, asked)
    if isinstance(cache, PairCache):
        return _judge_pairs(trace, equivalence, cache, asked, progress)
    with PairCache(cache) as opened:
        return _judge_pairs(trace, equivalence, opened, asked, progress)


def _judge_by_key(trace: Trace, judge: KeyJudge, wanted: set[str]) -> Judgements:
    items: list[ItemJudgement | None] = []
    for i, texts, greedy in _answers(trace, wanted):
        classes: dict[str, int] = {}
        keys: dict[str, int] = {}
        for text in (*texts, greedy):
            if text is not None and text not in keys:
                keys[text] = classes.setdefault(judge.key(trace.item_ids[i], text), len(classes))
        items.append(_item(texts, greedy, keys, _hard_verdicts(len(classes))) if keys else None)
    pairs: dict[str, tuple[NDArray[np.float64] | None, ...]] = {}
    for name in sorted(wanted - _BOTH):
        found = enumerate(flat_pairs(trace, name, JUDGED))
        pairs[name] = tuple(None if part is None else _hard_pairs(judge, trace.item_ids[i], part) for i, part in found)
    return Judgements(judge.name, tuple(items), hard=True, settings={}, pairs=pairs)


def _hard_pairs(judge: KeyJudge, item_id: str, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """(n, 3) float64: a pair of one class entails, any other one contradicts."""
    keys = {text: judge.key(item_id, text) for text in {text for pair in pairs for text in pair}}
    same = np.array([keys[a] == keys[b] for a, b in pairs])
    return np.where(same[:, None], (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


@lru_cache(maxsize=256)
def _hard_verdicts(n: int) -> NDArray[np.float64]:
    """(n, n, 3) float64: a class entails itself and contradicts every other one. Shared between items, so it is read only."""
    probs = np.zeros((n, n, 3))
    probs[..., 2] = 1.0
    probs[np.arange(n), np.arange(n)] = (1.0, 0.0, 0.0)
    probs.flags.writeable = False
    return probs


def _judge_pairs(trace: Trace, judge: PairJudge, cache: PairCache, wanted: set[str], progress: Progress | None) -> Judgements:
    answers = list(_answers(trace, wanted))
    texts = [list(dict.fromkeys(t for t in (*samples, greedy) if t is not None)) for _, samples, greedy in answers]
    pairs: dict[Pair, int] = {}
    where: list[NDArray[np.int64]] = []
    for (i, _, _), distinct in zip(answers, texts, strict=True):
        question = trace.questions[i] if trace.questions else ""
        index = np.full((len(distinct), len(distinct)), -1, dtype=np.int64)
        for a, premise in enumerate(distinct):
            for b, hypothesis in enumerate(distinct):
                if a != b or judge.self_pairs:
                    index[a, b] = pairs.setdefault(judge.render(question, premise, hypothesis), len(pairs))
        where.append(index)
    more = {name: _pair_index(trace, judge, flat_pairs(trace, name, JUDGED), pairs) for name in sorted(wanted - _BOTH)}
    verdicts, n_asked = ask_pairs(judge, list(pairs), cache, progress)
    items = []
    table = np.concatenate([verdicts.probs, [[1.0, 0.0, 0.0]]])  # index -1: an answer entails itself
    for (_, samples, greedy), distinct, index in zip(answers, texts, where, strict=True):
        positions = {text: k for k, text in enumerate(distinct)}
        items.append(_item(samples, greedy, positions, table[index]) if distinct else None)
    settings: dict[str, object] = {
        "fingerprint": judge.fingerprint(),
        "pairs": len(pairs),
        "asked": n_asked,
        "truncated": int(verdicts.truncated.sum()),
        "self_pairs": judge.self_pairs,
    }
    found = {name: tuple(None if index is None else table[index] for index in part) for name, part in more.items()}
    return Judgements(judge.name, tuple(items), hard=False, settings=settings, pairs=found)


def _pair_index(
    trace: Trace, judge: PairJudge, asked: Sequence[Sequence[Pair] | None], pairs: dict[Pair, int]
) -> list[NDArray[np.int64] | None]:
    """Where the verdicts on each item's pairs will stand; new pairs are added to ``pairs``. -1: a text against itself."""
    found: list[NDArray[np.int64] | None] = []
    for i, part in enumerate(asked):
        question = trace.questions[i] if trace.questions else ""
        index = [pairs.setdefault(judge.render(question, a, b), len(pairs)) if a != b or judge.self_pairs else -1 for a, b in part or ()]
        found.append(None if part is None else np.array(index, dtype=np.int64))
    return found


def ask_pairs(judge: PairJudge, pairs: Sequence[Pair], cache: PairCache, progress: Progress | None = None) -> tuple[Verdicts, int]:
    """Verdicts on distinct rendered pairs, asking only those that ``cache`` does not hold, and how many were asked."""
    fingerprint = judge.fingerprint()
    known = cache.get(fingerprint, pairs)
    probs = np.full((len(pairs), 3), np.nan)
    truncated = np.zeros(len(pairs), dtype=bool)
    for k, pair in enumerate(pairs):
        if pair in known:
            probs[k], truncated[k] = known[pair][:3], known[pair][3]
    # similar lengths together: little padding
    open_pairs = sorted((k for k, pair in enumerate(pairs) if pair not in known), key=lambda k: len(pairs[k][0]) + len(pairs[k][1]))
    for start in range(0, len(open_pairs), judge.batch_size):
        batch = open_pairs[start : start + judge.batch_size]
        asked = [pairs[k] for k in batch]
        verdicts = judge.judge(asked)
        if verdicts.probs.shape != (len(batch), 3) or np.isnan(verdicts.probs).any():
            raise InputError(f"the judge {judge.name} returned {verdicts.probs.shape} verdicts (or NaN) for {len(batch)} pairs")
        cache.put(fingerprint, asked, verdicts)
        probs[batch], truncated[batch] = verdicts.probs, verdicts.truncated
        if progress is not None:
            progress(start + len(batch), len(open_pairs))
    return Verdicts(probs, truncated), len(open_pairs)


def _answers(trace: Trace, wanted: set[str]) -> Iterable[tuple[int, list[str | None], str | None]]:
    """(item position, texts of its samples in draw order, text of its greedy answer), as far as ``wanted``."""
    rows = trace.samples
    texts: list[str | None] = _texts(rows) if wanted & _BOTH else [None] * len(rows)
    greedy: list[str | None] = [None] * trace.n_items
    if "greedy_samples" in wanted and len(trace.greedy):
        for i, text in zip(trace.greedy.item, _texts(trace.greedy), strict=True):
            greedy[int(i)] = text
    for i in range(trace.n_items):
        yield i, texts[rows.offsets[i] : rows.offsets[i + 1]], greedy[i]


def _texts(rows: Generations) -> list[str | None]:
    """The texts; all None where every generation failed."""
    return rows.texts if rows.has("text") else [None] * len(rows)


def _item(samples: list[str | None], greedy: str | None, positions: Mapping[str, int], probs: NDArray[np.float64]) -> ItemJudgement:
    index = np.array([-1 if text is None else positions[text] for text in samples], dtype=np.int64)
    return ItemJudgement(index, -1 if greedy is None else positions[greedy], probs)
