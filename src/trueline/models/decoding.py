"""Batched decoding: one prefill a prompt, its cache serves the greedy row and every sample; finished rows leave the batch.

Rows of one prompt that have chosen the same tokens so far are one branch: it is run once, and forked when its rows part. Answers of equal
tokens therefore have equal log-probs, and a model that is sure of itself costs hardly more than its greedy answer. A model whose state
cannot be forked is decoded by the library's own ``generate`` (see ``models.generating``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from trueline.models.base import GenerationSettings
from trueline.models.forward import Forward, Stream
from trueline.models.generating import generate_batch
from trueline.models.steps import DecodedRow, Row, Steps, StopRule

#: Finished branches leave once they are this share of the batch: copying a cache costs about what one step on that share does.
_LEAVE_SHARE = 1 / 8


class Observer(Protocol):
    """Looks at a batch before and after it is decoded (see ``models.insides``)."""

    def prefill(self, forward: Forward, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Stream]: ...

    def look(self, forward: Forward, prompts: Sequence[Sequence[int]], rows: Sequence[Row], decoded: Sequence[DecodedRow]) -> None: ...


def decode_rows(
    forward: Forward,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[Row],
    settings: GenerationSettings,
    rule: StopRule,
    observer: Observer | None = None,
) -> list[DecodedRow]:
    """Decode ``rows`` over ``prompts`` (token ids), at most ``settings.batch_size`` rows at a time; results in the order of ``rows``.

    Log-probs and statistics are of the float32 log-softmax of the logits, before temperature and truncation.
    """
    with torch.inference_mode():
        # a prompt of one token looks like a step of decoding to networks that hold their state themselves
        hooked = forward.generate_rows if min(len(prompt) for prompt in prompts) > 1 else 0
        size = min(settings.batch_size, hooked) if hooked else settings.batch_size
        begun: tuple[Tensor, Stream] | None = None
        if observer is not None:
            begun = observer.prefill(forward, prompts)
        elif not hooked:
            begun = forward.prefill(prompts)
        decoded: dict[int, DecodedRow] = {}
        for start in range(0, len(rows), size):
            # greedy rows first: each kind is then one slice of the batch
            batch = sorted(range(start, min(start + size, len(rows))), key=lambda i: rows[i].seed is not None)
            chosen = [rows[i] for i in batch]
            steps = Steps(chosen, settings, rule, vocabulary=forward.vocabulary, device=forward.device)
            if hooked or begun is None:
                generate_batch(forward, [prompts[row.prompt] for row in chosen], steps, settings.max_new_tokens)
            else:
                own = begun[1] if len(rows) <= size else begun[1].fork(torch.arange(len(prompts), device=forward.device))
                _decode_batch(
                    begun[0], own, torch.tensor([row.prompt for row in chosen], device=forward.device), steps, settings.max_new_tokens
                )
            results = steps.rows()
            decoded.update(zip(batch, results, strict=True))
        answers = [decoded[i] for i in range(len(rows))]
        if observer is not None:
            observer.look(forward, prompts, rows, answers)
        return answers


def _decode_batch(logits: Tensor, stream: Stream, branch: Tensor, steps: Steps, n_steps: int) -> None:
    """Decode one batch. ``logits`` and ``stream``: one line a branch; ``branch``: (n_rows,) the branch that each row is on."""
    for t in range(n_steps):
        chosen, live = steps.take(t, logits, branch)
        branch, chosen = branch[live], chosen[live]
        if not len(branch) or t + 1 == n_steps:
            break
        stream, branch, tokens = _advance(stream, branch, chosen, logits.shape)
        logits = stream.step(tokens[:, None])[:, -1]


def _advance(stream: Stream, branch: Tensor, chosen: Tensor, shape: Sequence[int]) -> tuple[Stream, Tensor, Tensor]:
    """Fork the branches whose rows part and drop those without rows: the stream, each row's branch in it, each branch's next token."""
    n_branches, vocabulary = shape
    keys, line = torch.unique(branch * vocabulary + chosen, return_inverse=True)
    parents, tokens = keys // vocabulary, keys % vocabulary
    parted = bool((parents[1:] == parents[:-1]).any())
    n_dead = n_branches - len(parents)
    if parted or n_dead >= max(1.0, _LEAVE_SHARE * n_branches):
        return stream.fork(parents), line, tokens
    kept = tokens.new_zeros(n_branches)
    kept[parents] = tokens
    return stream, branch, kept
