"""The local capture engine: items in stable order, one shard after another; what a shard holds depends on its items and the plan alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from trueline.capture.failed import n_failed, next_round, to_ask_again
from trueline.capture.parts import parts_of
from trueline.capture.perturbation import perturb
from trueline.capture.planner import Plan
from trueline.capture.probes import (
    ELICIT,
    NO_ANSWER,
    NOTHING_TO_SUPPORT,
    P_TRUE_OPTIONS,
    SUPPORT_TOKENS,
    answer_prompt,
    probe_prompt,
    support_prompts,
)
from trueline.capture.progress import CaptureProgress
from trueline.capture.separate import answer_alone, answered, separate, separated
from trueline.models.base import (
    TOKEN_STATS,
    Generation,
    GenerationRequest,
    GenerationSettings,
    Model,
    Prompt,
    RequestResult,
)
from trueline.tasks.item import Item, Task
from trueline.tasks.thinking import Splitter, for_replies, load_splitter
from trueline.traces.rundir import RunDirectory
from trueline.traces.schema import PERTURBATIONS, SCHEMA

#: Items of one shard: what a kill costs at most, and the pool from which prompts of like length are batched.
SHARD_ITEMS = 128


def draw_seed(seed: int, item_id: str, draw: int) -> int:
    """Seed of one sample, from the run's seed, the item's id and the draw alone: the order and the batch do not matter.

    Returns an int in [0, 2^63).
    """
    digest = hashlib.blake2b(f"{seed}\x1f{item_id}\x1f{draw}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def capture(
    model: Model,
    task: Task,
    plan: Plan,
    run: RunDirectory,
    *,
    seed: int = 0,
    batch_size: int = 64,
    shard_items: int = SHARD_ITEMS,
    retry_failed: bool = False,
    progress: CaptureProgress | None = None,
) -> None:
    """Write the shards that are not there yet. Can be killed at any moment and called again.

    retry_failed: items of finished shards that failed are asked again. progress: called after each shard.
    Raises whatever the model raises; finished shards stay.
    """
    parts = list(parts_of(task, run, shard_items, to_ask_again(run, retry_failed), lambda found: next_round(run, found)))
    total, here, bad = len(task.items), 0, 0
    done = total - sum(len(part.indices) for part in parts)
    if progress is not None and done:
        progress(done, total)
    for part in parts:
        items = part.opened(task, run).items
        rows = capture_items(model, task, plan, items, indices=part.indices, seed=seed, batch_size=batch_size)
        part.write(run, rows)
        here, bad = here + len(items), bad + n_failed(rows)
        if progress is not None:
            progress(done + here, total, here=here, failed=bad)


def capture_items(
    model: Model,
    task: Task,
    plan: Plan,
    items: Sequence[Item],
    *,
    indices: Sequence[int] | None = None,
    seed: int = 0,
    batch_size: int = 64,
) -> pa.Table:
    """The trace rows of some items: greedy, samples, then probes of each item. Follows ``traces.schema.SCHEMA``.

    indices: positions of the items in the task; default: it begins with them.
    """
    splitter = load_splitter(plan.reasoning)
    settings = settings_of(task, plan, splitter, batch_size)
    seeds = [tuple(draw_seed(seed, item.id, draw) for draw in range(plan.n_samples)) for item in items]
    requests = [GenerationRequest(answer_prompt(item, task), plan.greedy, drawn) for item, drawn in zip(items, seeds, strict=True)]
    results = [separated(result, splitter) for result in model.generate(requests, settings)]
    probes: dict[str, list[list[dict[str, Any]]]] = {}
    for name in sorted(plan.needs.probes - set(PERTURBATIONS)):
        if name == "selfcheck_prompt":
            probes[name] = _selfcheck(model, task, results, settings, for_replies(splitter))
        else:
            probes[name] = [[row] for row in _probe(name, model, task, items, results, settings, for_replies(splitter))]
    if plan.perturbations:
        answers = [(request.prompt, answered(result)) for request, result in zip(requests, results, strict=True)]
        perturbed = perturb(model, answers, plan.perturbations, settings, plan.n_alternatives)
        probes |= {kind: [[answer_alone(row, splitter) for row in part] for part in found] for kind, found in perturbed.items()}
    rows: list[dict[str, Any]] = []
    for k, (item, request, result) in enumerate(zip(items, requests, results, strict=True)):
        key = {"item_id": item.id, "item_index": k if indices is None else indices[k]}
        rows += [{**key, **_greedy_row(result)}] * plan.greedy
        rows += [{**key, **row} for row in _sample_rows(request, result, plan)]
        rows += [{**key, "kind": name, "draw": d, **reply} for name, replies in probes.items() for d, reply in enumerate(replies[k])]
    return table_of(rows)


def settings_of(task: Task, plan: Plan, splitter: Splitter, batch_size: int = 64) -> GenerationSettings:
    """How the answers of ``plan`` are generated."""
    return GenerationSettings(
        max_new_tokens=plan.max_new_tokens,
        law=plan.law,
        stop=task.stop,
        greedy_columns=plan.greedy_columns,
        sample_columns=plan.sample_columns,
        top_k_alternatives=plan.top_k_alternatives,
        hidden_depths=plan.hidden_depths,
        texts_with=splitter.marker,
        elicit=task.prompts.get("csl", ELICIT),
        batch_size=batch_size,
    )


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table of the trace schema; absent fields are null."""
    arrays = [pa.array([_plain(row.get(field.name)) for row in rows], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return [_plain(part) for part in value]
    return value


def _greedy_row(result: RequestResult) -> dict[str, Any]:
    if result.greedy is None:
        return {"kind": "greedy", "draw": 0, "error": result.error or "the model gave no greedy answer"}
    return {"kind": "greedy", "draw": 0, **generation_row(result.greedy, token_texts=True)}


def _sample_rows(request: GenerationRequest, result: RequestResult, plan: Plan) -> list[dict[str, Any]]:
    rows = []
    law = plan.law
    for draw, seed in enumerate(request.sample_seeds):
        drawn = {"temperature": law.temperature, "top_p": law.top_p, "top_k": law.top_k, "seed": seed}
        if draw < len(result.samples):
            content = generation_row(result.samples[draw], token_texts="token_texts" in plan.sample_columns)
        else:
            content = {"error": result.error or "the model gave fewer samples than asked for"}
        rows.append({"kind": "sample", "draw": draw, **drawn, **content})
    return rows


def generation_row(generation: Generation, *, token_texts: bool = False) -> dict[str, Any]:
    """The columns of one generation; the texts of its tokens only where they are wanted."""
    logprobs = generation.token_logprobs
    return {
        "text": None if generation.error else generation.text.strip(),
        "error": generation.error,
        "finish_reason": generation.finish_reason,
        "n_prompt_tokens": generation.n_prompt_tokens,
        "n_tokens": len(logprobs) if logprobs is not None else (len(generation.tokens) if generation.tokens is not None else None),
        "tokens": generation.tokens,
        "token_texts": generation.token_texts if token_texts else None,
        "token_logprobs": logprobs,
        "logprob_law": "model" if logprobs is not None else None,
        "topk_ids": generation.topk_ids,
        "topk_logprobs": generation.topk_logprobs,
        "topk_texts": generation.topk_texts,
        "reasoning": generation.reasoning,
        "reasoning_span": generation.reasoning_span,
        "answer_start": generation.answer_start,
        **{name: generation.stats.get(name) for name in TOKEN_STATS},
        **generation.inside,
    }


def _probe(
    name: str,
    model: Model,
    task: Task,
    items: Sequence[Item],
    results: Sequence[RequestResult],
    settings: GenerationSettings,
    splitter: Splitter,
) -> list[dict[str, Any]]:
    """The row content of one probe for every item; an item whose answer failed is not asked."""
    rows: list[dict[str, Any]] = [{"error": NO_ANSWER} for _ in items]
    asked = [(k, r.greedy.text.strip()) for k, r in enumerate(results) if r.greedy is not None and r.greedy.error is None]
    prompts = [probe_prompt(name, items[k], task, answer) for k, answer in asked]
    if not prompts:
        return rows
    if name == "p_true":
        options = P_TRUE_OPTIONS if "chat" in model.capabilities else tuple(" " + option for option in P_TRUE_OPTIONS)
        for (k, _), score in zip(asked, model.score(prompts, [options] * len(prompts)), strict=True):
            rows[k] = {"error": score.error} if score.error else {"options": list(options), "option_logprobs": score.logprobs}
        return rows
    alone = GenerationSettings(max_new_tokens=settings.max_new_tokens + 16, batch_size=settings.batch_size)
    for (k, _), result in zip(asked, model.generate([GenerationRequest(p) for p in prompts], alone), strict=True):
        failed = {"error": result.error or "the model gave no reply"}
        rows[k] = failed if result.greedy is None else generation_row(separate(result.greedy, splitter))
    return rows


def _selfcheck(
    model: Model, task: Task, results: Sequence[RequestResult], settings: GenerationSettings, splitter: Splitter
) -> list[list[dict[str, Any]]]:
    """One row a sentence of the greedy answer and sample, samples fastest; equal prompts are asked once."""
    wanted: list[list[Prompt]] = []
    for result in results:
        answer = result.greedy.text if result.greedy is not None else ""  # a greedy output without an answer has no text
        wanted.append(support_prompts(task, answer, [sample.text.strip() for sample in result.samples if sample.error is None]))
    distinct = list(dict.fromkeys(prompt for prompts in wanted for prompt in prompts))
    alone = GenerationSettings(max_new_tokens=SUPPORT_TOKENS, batch_size=settings.batch_size)
    replies = model.generate([GenerationRequest(prompt) for prompt in distinct], alone) if distinct else []
    reply = {
        prompt: generation_row(separate(result.greedy, splitter))
        if result.greedy is not None
        else {"error": result.error or "the model gave no reply"}
        for prompt, result in zip(distinct, replies, strict=True)
    }
    return [[reply[prompt] for prompt in prompts] or [{"error": NOTHING_TO_SUPPORT}] for prompts in wanted]
