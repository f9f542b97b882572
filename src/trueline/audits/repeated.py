"""The repeated answers of a run, graded one by one and grouped by meaning: what every audit of repeated answers starts from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, MissingTraceField
from trueline.run import Run, default_judge
from trueline.tasks.graders import grade_all, load_grader
from trueline.tasks.item import Grader, Item
from trueline.tasks.wordings import GROUP

if TYPE_CHECKING:
    from trueline.estimators.equivalence.base import Equivalence
    from trueline.estimators.equivalence.cache import PairCache
    from trueline.traces.judgements import ItemJudgement
    from trueline.traces.trace import Trace

Floats = NDArray[np.float64]

#: Independent samples that all agree with a smaller chance than this are taken for copies.
COPIES = 1e-6
_HOW = "trueline measure MODEL TASK --estimators semantic_entropy --samples 10"


@dataclass(frozen=True)
class Repeated:
    """The usable samples of one item, in draw order, and its greedy answer.

    Attributes
    ----------
    item : Item
    texts : n_samples texts
    draws : (n_samples,) int64
    meaning : (n_samples,) int64
        Answers of one number mean the same.
    correct : (n_samples,) float64 in {0, 1}
    n_tokens : (n_samples,) float64
        NaN where it was not recorded.
    greedy : str or None
    greedy_correct : float
        0 or 1; NaN without a graded greedy answer.
    outputs : n_samples texts
        As `texts`, with the reasoning that the trace keeps apart in front, in ``<think>`` tags.
    """

    item: Item
    texts: tuple[str, ...]
    draws: NDArray[np.int64]
    meaning: NDArray[np.int64]
    correct: Floats
    n_tokens: Floats
    greedy: str | None
    greedy_correct: float
    outputs: tuple[str, ...]

    @property
    def outcomes(self) -> list[int]:
        """What each sample says: -1 for a right answer, else the number of its meaning. Right answers are one outcome."""
        return [-1 if right else int(m) for right, m in zip(self.correct, self.meaning, strict=True)]


@dataclass(frozen=True)
class RepeatedRun:
    """Repeated answers of a run.

    Attributes
    ----------
    items : tuple of Repeated
        Items with at least the asked number of usable samples, in task order.
    law : mapping
        Temperature, top-p and top-k of the samples; None where unknown or mixed.
    grader, judge : str
        What decided right and wrong, and which answers mean the same.
    n_items : int
        Items of the run, usable or not.
    left_out : mapping
        Reason to number of items that are not in `items`.
    ungraded : int
        Samples left out because they failed or could not be judged.
    """

    items: tuple[Repeated, ...]
    law: Mapping[str, Any]
    grader: str
    judge: str
    n_items: int
    left_out: Mapping[str, int]
    ungraded: int

    @property
    def clusters(self) -> list[str] | None:
        """A label an item (its cluster, else its question's wordings, else its own); None where no two items share one."""
        labels = [r.item.cluster or str(r.item.metadata.get(GROUP) or f"\0{r.item.id}") for r in self.items]
        return labels if len(set(labels)) < len(labels) else None

    def clusters_of(self, at: Sequence[int] | NDArray[np.int64]) -> list[str] | None:
        """The labels of some items, by position."""
        labels = self.clusters
        return None if labels is None else [labels[i] for i in at]

    def heading(self, run: Run) -> dict[str, Any]:
        """The part that the records of all audits of repeated answers share."""
        counts = [len(r.texts) for r in self.items]
        return {
            "format": 1,
            "run": str(run.path),
            "model": run.manifest["model"]["uri"],
            "task": run.manifest["task"]["name"],
            "grader": self.grader,
            "judge": self.judge,
            "law": dict(self.law),
            "n_items": len(self.items),
            "n_run_items": self.n_items,
            "n_samples": [min(counts), max(counts)],
            "n_clusters": None if self.clusters is None else len(set(self.clusters)),
            "left_out": dict(self.left_out),
            "ungraded_samples": self.ungraded,
        }


def read_repeated(
    run: Run, *, grader: str | Grader | None = None, equivalence: str | Equivalence | None = None, min_samples: int = 2
) -> RepeatedRun:
    """Grade every sample of a run and tell which samples of an item mean the same.

    Verdicts that came with an imported file are kept unless `grader` names another judge; elsewhere the run's own grader judges each
    distinct answer of an item once. Meaning is decided by `equivalence`, by default as `Run.score` does.

    Raises
    ------
    InputError
        A run without samples, or with fewer than `min_samples` usable ones for every item; verdicts that the run does not hold; and samples
        that are copies of one answer (see `refuse_copies`), whose spread says nothing about the model.
    """
    verdict = _Verdicts(run, grader)
    judge = _judge(run, equivalence)
    refuse_copies(run)
    found: list[Repeated] = []
    left_out: Counter[str] = Counter()
    ungraded = 0
    with _cache(run, judge) as cache:
        for block in run.blocks():
            for repeated, dropped in _block(block, verdict, judge, cache):
                ungraded += dropped
                if (n := len(repeated.texts)) >= min_samples:
                    found.append(repeated)
                else:
                    left_out[f"{n} usable sample{'s' * (n != 1)}, at least {min_samples} needed"] += 1
    if not found:
        why = "; ".join(f"{reason}: {count} items" for reason, count in left_out.items()) or "the trace is empty"
        raise InputError(f"{run.path} has no item with enough graded samples ({why}); measure it with an estimator that samples ({_HOW})")
    manifest = run.manifest
    n_items = len(run.task.items)
    if (absent := n_items - len(found) - left_out.total()) > 0:
        left_out["not captured yet"] += absent
    law = manifest["settings"].get("law") or {}
    return RepeatedRun(tuple(found), law, verdict.name, judge.name, n_items, dict(left_out), ungraded)


# -- copies -------------------------------------------------------------------------------------------------------------


def refuse_copies(run: Run) -> None:
    """Raise `InputError` where the samples are one answer written down several times, and say what gives it away.

    Temperature 0; samples of unknown temperature that agree word by word for every item; or samples at temperature 1 whose log-probs say
    that independent draws would all agree with a chance below 1e-6.
    """
    agree, several, chance, cold, unknown, samples = True, 0, 0.0, False, False, 0
    for block in run.blocks():
        rows = block.samples
        samples += len(rows)
        if not len(rows):
            continue
        temperature = rows.numbers("temperature") if rows.has("temperature") else np.full(len(rows), math.nan)
        cold |= bool((temperature == 0).any())
        unknown |= bool(np.isnan(temperature).any())
        for texts in _by_item(rows.texts, rows.offsets):
            several += len(texts) > 1
            agree &= len(set(texts)) < 2
        chance += _log_chance(rows, temperature) if agree else 0.0
    if not samples:
        raise InputError(f"{run.path} has no sampled answers; measure it with an estimator that samples ({_HOW})")
    advice = "sample at a temperature above 0 (--temperature 1), each draw with its own seed"
    if cold:
        raise InputError(f"the samples of {run.path} were drawn at temperature 0: they are copies of the greedy answer; {advice}")
    if several and agree and unknown:
        raise InputError(
            f"all samples of each item of {run.path} are the same text and their temperature is not recorded: they look like copies of the "
            f"greedy answer; {advice}, or say at what temperature they were drawn (a `temperature` column)"
        )
    if several and agree and chance < math.log(COPIES):
        raise InputError(
            f"all samples of each item of {run.path} are the same text, which independent draws with these log-probs would do with "
            f"a chance below {COPIES:g}: they share a seed, or are greedy copies; {advice}"
        )


def _by_item(texts: Sequence[str | None], offsets: NDArray[np.int64]) -> list[list[str]]:
    return [[t for t in texts[a:b] if t is not None] for a, b in pairwise(offsets)]


def _log_chance(rows: Any, temperature: Floats) -> float:
    """Log-chance that the samples after the first repeat it, where the law of the samples is the model's own and log-probs are there."""
    own = (temperature == 1) & np.isin(rows.numbers("top_p") if rows.has("top_p") else 1.0, (1.0,))
    if not own.all() or not rows.has("token_logprobs") or (rows.has("top_k") and (rows.numbers("top_k") > 0).any()):
        return 0.0
    values = rows.ragged("token_logprobs")
    sums = np.add.reduceat(np.append(values.values, 0.0), values.offsets[:-1]) * (np.diff(values.offsets) > 0)
    first = np.concatenate([[True], np.diff(rows.item) > 0])
    return float(sums[~first].sum())


# -- verdicts and meaning ---------------------------------------------------------------------------------------------------


class _Verdicts:
    """Right or wrong for any answer of a run: the file's own verdicts, or a grader."""

    def __init__(self, run: Run, grader: str | Grader | None) -> None:
        spec = grader or run.manifest["task"].get("grader") or run.task.grader
        self.name = spec if isinstance(spec, str) else getattr(spec, "__qualname__", "custom")
        self.items = {item.id: item for item in run.task.items}
        self.given: dict[tuple[str, str, int], float] = {}
        self.judge: Grader | None = None
        if spec == "given":
            columns = run.grades.select("item_id", "kind", "draw", "correct").iter_rows()
            self.given = {(i, kind, draw): _as_float(correct) for i, kind, draw, correct in columns}
            if not any(kind == "sample" and draw > 0 for _, kind, draw in self.given):
                raise InputError(
                    f"{run.path} came with verdicts on one answer an item only; name a grader that judges every sample (--grader contains)"
                )
        else:
            self.judge = load_grader(spec if grader or isinstance(spec, str) else run.task.grader, run.task)

    def __call__(self, asked: Sequence[tuple[str, str, int, str]]) -> list[float]:
        """The verdict on each (item id, kind, draw, text); NaN where there is none. A text is judged once for its item."""
        if self.judge is None:
            return [self.given.get((item, kind, draw), math.nan) for item, kind, draw, _ in asked]
        distinct = list(dict.fromkeys((item, text) for item, _, _, text in asked))
        grades = grade_all(self.judge, [self.items[item] for item, _ in distinct], [text for _, text in distinct])
        known = {key: _as_float(grade.correct) for key, grade in zip(distinct, grades, strict=True)}
        return [known[item, text] for item, _, _, text in asked]


def _as_float(correct: bool | None) -> float:
    return math.nan if correct is None else float(correct)


def _judge(run: Run, equivalence: str | Equivalence | None) -> Equivalence:
    from trueline.estimators.loading import load_equivalence
    from trueline.items import canonical_of

    asked = equivalence or run.manifest.get("judge") or default_judge(run.task)
    return load_equivalence(asked, canonical=canonical_of(run.task)) if isinstance(asked, str) else asked


def _cache(run: Run, judge: Equivalence) -> PairCache:
    from trueline.estimators.equivalence.base import PairJudge
    from trueline.estimators.equivalence.cache import PairCache

    return PairCache(run.path / "judgements.sqlite" if isinstance(judge, PairJudge) else None)


def _block(trace: Trace, verdict: _Verdicts, judge: Equivalence, cache: PairCache) -> list[tuple[Repeated, int]]:
    """The items of a piece of the trace, each with the number of its samples that had to be left out."""
    from trueline.estimators.engine import judge_trace

    rows, greedy = trace.samples, trace.greedy
    try:
        judged = judge_trace(trace, judge, cache, wanted=("samples",))
    except MissingTraceField:  # no item of this piece has a sample
        return [(_without_samples(verdict.items[i]), 0) for i in trace.item_ids]
    texts = rows.texts
    thoughts = rows.table["reasoning"].to_pylist() if rows.has("reasoning") else [None] * len(rows)
    tokens = rows.numbers("n_tokens") if rows.has("n_tokens") else np.full(len(rows), math.nan)
    answers = {int(i): text for i, text in zip(greedy.item, greedy.texts, strict=True) if text is not None}
    usable = [k for k, text in enumerate(texts) if text is not None]
    asked = [(trace.item_ids[rows.item[k]], "sample", int(rows.draw[k]), str(texts[k])) for k in usable]
    asked += [(trace.item_ids[i], "greedy", 0, text) for i, text in answers.items()]
    verdicts = verdict(asked)
    correct = np.full(len(rows), math.nan)
    correct[usable] = verdicts[: len(usable)]
    right = dict(zip(answers, verdicts[len(usable) :], strict=True))
    found = []
    for i, item_id in enumerate(trace.item_ids):
        at = np.arange(rows.offsets[i], rows.offsets[i + 1])
        meaning = _meaning(judged.items[i], judged.hard, len(at))
        kept = np.isfinite(correct[at]) & (meaning >= 0)
        repeated = Repeated(
            item=verdict.items[item_id],
            texts=tuple(str(texts[k]) for k in at[kept]),
            draws=rows.draw[at][kept].astype(np.int64),
            meaning=meaning[kept],
            correct=correct[at][kept],
            n_tokens=tokens[at][kept],
            greedy=answers.get(i),
            greedy_correct=right.get(i, math.nan),
            outputs=tuple(_output(thoughts[k], str(texts[k])) for k in at[kept]),
        )
        found.append((repeated, int((~kept).sum())))
    return found


def _output(reasoning: str | None, answer: str) -> str:
    return answer if reasoning is None else f"<think>{reasoning}</think>{answer}"


def _without_samples(item: Item) -> Repeated:
    none = np.zeros(0)
    return Repeated(item, (), none.astype(np.int64), none.astype(np.int64), none, none, None, math.nan, ())


def _meaning(judgement: ItemJudgement | None, hard: bool, n: int) -> NDArray[np.int64]:
    """(n,) int64 class of each sample, -1 where it has no text."""
    from trueline.estimators.clusters import cluster

    if judgement is None:
        return np.full(n, -1, dtype=np.int64)
    if hard:
        return judgement.text_index
    labels = judgement.text_index.copy()
    labels[labels >= 0] = cluster(judgement.samples())
    return labels
