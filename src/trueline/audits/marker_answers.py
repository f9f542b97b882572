"""The answers of a marker audit as tables of numbers, items by markers: asked once, kept in a run directory, read from there."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueline.audits.marker_probes import Probes
from trueline.capture.needs import Needs
from trueline.capture.planner import Plan, make_plan
from trueline.capturing import Progress, capture_run
from trueline.errors import InputError, StorageError
from trueline.metrics.gold_answers import NOTHING, gold_answer
from trueline.models.base import Model, SamplingLaw
from trueline.run import Run
from trueline.stats.estimate import FloatArray
from trueline.tasks.graders import grade_all, load_grader
from trueline.tasks.item import Item, Task
from trueline.tasks.normalise import contains_words, normalise

#: What is read of every answer, and in what unit.
METRICS = {
    "accuracy": "share right",
    "top3": "share right among three",
    "prob_gold": "probability of the right answer",
    "entropy": "nats",
    "entropy_rest": "nats",
    "sampled_accuracy": "share right",
    "distinct": "answers",
    "mass": "probability",
    "confidence": "probability",
}
_COLUMNS = ("text", "error", "tokens", "token_logprobs", "topk_ids", "topk_logprobs", "topk_texts")
_ROWS = 2000
_FILE = "marker_scores.jsonl"


@dataclass(frozen=True)
class Asking:
    """How the model is asked: see `trueline.audits.MarkerAudit`."""

    top_k: int = 50
    draws: int = 0
    path: str = "greedy"
    multi_token: bool = False
    fluency: bool = True
    seed: int = 0
    batch_size: int = 64
    max_cost: float | None = None


@dataclass(frozen=True)
class Answers:
    """Tables of numbers.

    values : metric -> (n_items, n_markers) float64, NaN where unknown; metrics that the model does not show are left out.
    fluency : (n_items, n_markers) float64, mean log-prob a token of the marker itself after the prompt; None where it cannot be had.
    reading : how right and wrong were told apart. errors : distinct reasons of failures. n_failed : prompts without an answer.
    """

    values: Mapping[str, FloatArray]
    fluency: FloatArray | None
    reading: str
    errors: tuple[str, ...]
    n_failed: int
    counts: Mapping[str, Any]


def marker_plan(model: Model, probes: Probes, how: Asking) -> Plan:
    """What will be asked, and how many calls it takes."""
    topk = frozenset({"topk_logprobs"}) if "topk" in model.capabilities else frozenset[str]()
    known = frozenset({"token_logprobs"}) if "logprobs" in model.capabilities else frozenset[str]()
    needs = Needs(greedy=topk | known | {"text"}, samples=how.draws, sample_columns=topk if how.path == "sampled" else frozenset())
    plan = make_plan(
        model=model.uri,
        capabilities=model.capabilities,
        task=probes.task.name,
        n_items=len(probes.task.items),
        needs={"markers": needs},
        n_samples=how.draws,
        law=SamplingLaw(),
        max_new_tokens=probes.task.max_new_tokens,
        judge=None,
        strict=True,
    )
    return dataclasses.replace(plan, top_k_alternatives=how.top_k)


def ask_markers(
    model: Model, probes: Probes, given: Task, how: Asking, *, out: str | os.PathLike[str] | None, progress: Progress | None = None
) -> Answers:
    """Ask everything that is not yet in ``out`` (none: a folder that is deleted afterwards), and read the answers.

    given: the task as it was before markers came in; its grader judges answers of several tokens.
    """
    if how.multi_token and "score" in model.capabilities and not hasattr(model, "continuation"):
        # a server scores one token only: sequences have no probability there
        how = dataclasses.replace(how, fluency=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run" if out is None else Path(out)
        run = capture_run(
            model, probes.task, marker_plan(model, probes, how), out=folder, seed=how.seed, batch_size=how.batch_size,
            max_cost=how.max_cost, progress=progress,
        )  # fmt: skip
        scored = _scores(model, probes, how, run.path / _FILE, progress)
        return _read(run, model, probes, given, how, scored)


# -- scores of given texts -------------------------------------------------------------------------------------------------


def _scores(model: Model, probes: Probes, how: Asking, path: Path, progress: Progress | None) -> Mapping[str, Mapping[str, Any]]:
    """Item id -> mean log-prob of each marker, and log-prob of each alias after each marker; kept line by line."""
    if not hasattr(model, "continuation") or not (how.fluency or how.multi_token):
        return {}
    found = _read_lines(path)
    for i, item in enumerate(probes.items):
        if item.id not in found or (how.multi_token and "gold" not in found[item.id]):
            found[item.id] = {"item": item.id, **_score_item(model, probes, i, how)}
            _append(path, found[item.id])
        if progress is not None:
            progress("score", i + 1, len(probes.items))
    return found


def _score_item(model: Any, probes: Probes, i: int, how: Asking) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    phrases = [m.marker for m in probes.markers if m.marker]
    if how.fluency and probes.position == "answer_prefix" and phrases:
        options = [f" {phrase}" for phrase in phrases]
        (scored,) = model.score([probes.prompt(i)], [options])
        lengths = [len(model.continuation(option)) for option in options]
        entry["fluency"] = _listed(scored.logprobs / np.array(lengths))
    if how.multi_token:
        width = len(probes.markers)
        asked = probes.task.items[i * width : (i + 1) * width]
        from trueline.capture.probes import answer_prompt

        options = [f" {alias}" for alias in probes.aliases[i]]
        rows = model.score([answer_prompt(item, probes.task) for item in asked], [options] * width)
        entry["gold"] = [_listed(row.logprobs) for row in rows]
    return entry


def _listed(values: FloatArray) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]


def _read_lines(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                found[str(entry["item"])] = entry
            except (ValueError, KeyError, TypeError):
                continue  # a line cut short by a kill
    return found


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    try:
        with path.open("ab") as handle:
            if handle.tell() and not path.read_bytes().endswith(b"\n"):
                handle.write(b"\n")
            handle.write(json.dumps(entry).encode() + b"\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}; all that was written before is kept") from error


# -- tables ----------------------------------------------------------------------------------------------------------------


def _read(run: Run, model: Model, probes: Probes, given: Task, how: Asking, scored: Mapping[str, Mapping[str, Any]]) -> Answers:
    n, m = len(probes.items), len(probes.markers)
    tables = {name: np.full((n, m), np.nan) for name in METRICS}
    texts = _TokenTexts(model)
    right = _judge(probes, given, how)
    errors: dict[str, None] = {}
    failed = 0
    for block in run.blocks(rows=_ROWS, columns=_COLUMNS):
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in block.table.to_pylist():
            rows.setdefault(row["item_id"], []).append(row)
        for own in rows.values():
            i, k = divmod(int(own[0]["item_index"]), m)
            errors |= dict.fromkeys(str(row["error"]) for row in own if row["error"] is not None)
            failed += any(row["text"] is None for row in own)
            for name, value in _cell(own, i, probes, how, right, texts).items():
                tables[name][i, k] = value
    if how.multi_token:
        tables["prob_gold"] = _gold_sums(probes, scored)
    shown = {name: table for name, table in tables.items() if np.isfinite(table).any()}
    if "accuracy" not in shown:
        raise InputError(f"{model.uri} answered none of the {n * m} prompts: {'; '.join(list(errors)[:3]) or 'no text came back'}")
    by_token = "prob_gold" in shown and not how.multi_token
    grader = given.grader if isinstance(given.grader, str) else "the task's own"
    reading = f"grader {grader}" if how.multi_token else "most likely token at any position" if by_token else "a reference in the answer"
    return Answers(shown, _fluency(probes, scored), reading, tuple(errors), failed, run.manifest.get("counts", {}))


class _TokenTexts:
    """Texts of tokens: as the server sent them, else from the model's tokenizer."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.known: dict[int, str] = {}

    def __call__(self, row: Mapping[str, Any]) -> list[list[str]]:
        if row["topk_texts"] is not None:
            return [list(texts) for texts in row["topk_texts"]]
        ids = row["topk_ids"] or []
        if missing := sorted({t for step in ids for t in step} - self.known.keys()):
            self.known |= dict(zip(missing, self.model.token_texts(missing), strict=True))
        return [[self.known[t] for t in step] for step in ids]


Judge = Callable[[int, Sequence[str]], list[float]]


def _judge(probes: Probes, given: Task, how: Asking) -> Judge:
    """(item, texts) -> right or wrong: by the task's grader, or by whether an alias stands in the answer as whole words."""
    if how.multi_token:
        grader = load_grader(given.grader, given)

        def graded(i: int, texts: Sequence[str]) -> list[float]:
            items: list[Item] = [probes.items[i]] * len(texts)
            return [math.nan if g.correct is None else float(g.correct) for g in grade_all(grader, items, list(texts))]

        return graded
    wanted = [[normalise(alias) for alias in aliases] for aliases in probes.aliases]
    return lambda i, texts: [float(any(contains_words(normalise(t), alias) for alias in wanted[i])) for t in texts]


def _cell(rows: Sequence[Mapping[str, Any]], i: int, probes: Probes, how: Asking, right: Judge, texts: _TokenTexts) -> dict[str, float]:
    """All numbers of one item under one marker."""
    greedy = [row for row in rows if row["kind"] == "greedy" and row["text"] is not None]
    samples = [row for row in rows if row["kind"] == "sample" and row["text"] is not None]
    read = samples if how.path == "sampled" else greedy
    out: dict[str, float] = {}
    if samples:
        out["sampled_accuracy"] = _mean(right(i, [row["text"] for row in samples]))
    if not read:
        return out
    said = _mean(right(i, [row["text"] for row in read]))
    known = [row for row in read if row["topk_logprobs"] is not None]
    if not known:
        return out | {"accuracy": said}
    gold = [
        gold_answer(texts(row), row["topk_logprobs"], probes.aliases[i], candidates=probes.candidates[i])
        if row["topk_logprobs"]
        else NOTHING
        for row in known
    ]
    out |= {
        "accuracy": said if how.multi_token else _mean([float(g.top1_correct) for g in gold]),
        "entropy": _mean([g.entropy_topk for g in gold]),
        "entropy_rest": _mean([g.entropy_topk_without_top1 for g in gold]),
        "mass": _mean([g.mass for g in gold]),
    }
    if how.multi_token:
        sums = [math.exp(math.fsum(row["token_logprobs"])) for row in known if row["token_logprobs"]]
        return out | {"confidence": _mean(sums)}
    out |= {"top3": _mean([float(g.top3_correct) for g in gold]), "prob_gold": _mean([g.prob_gold for g in gold])}
    out["distinct"] = _mean([float(g.distinct) if g.distinct >= 0 else math.nan for g in gold])
    return out | {"confidence": _mean([g.top1_probability for g in gold])}


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return math.fsum(known) / len(known) if known else math.nan


def _gold_sums(probes: Probes, scored: Mapping[str, Mapping[str, Any]]) -> FloatArray:
    """(n_items, n_markers): probability that the answer begins with an alias, all of its tokens."""
    table = np.full((len(probes.items), len(probes.markers)), np.nan)
    for i, item in enumerate(probes.items):
        for k, row in enumerate(scored.get(item.id, {}).get("gold", ())):
            known = [v for v in row if v is not None]
            table[i, k] = min(1.0, float(np.exp(known).sum())) if len(known) == len(row) and known else math.nan
    return table


def _fluency(probes: Probes, scored: Mapping[str, Mapping[str, Any]]) -> FloatArray | None:
    at = [k for k, marker in enumerate(probes.markers) if marker.marker]
    table = np.full((len(probes.items), len(probes.markers)), np.nan)
    for i, item in enumerate(probes.items):
        values = scored.get(item.id, {}).get("fluency")
        if values is not None:
            table[i, at] = [math.nan if v is None else v for v in values]
    return table if np.isfinite(table).any() else None
