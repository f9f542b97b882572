"""Batched decoding: one prefill a prompt, its cache serves the greedy row and every sample; finished rows leave the batch.

Rows of one prompt that have chosen the same tokens so far are one branch: it is run once, and forked when its rows part. Answers of equal
tokens therefore have equal log-probs, and a model that is sure of itself costs hardly more than its greedy answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueline.models.base import GenerationSettings
from trueline.models.forward import CausalForward, Stream
from trueline.models.sampling import draw_uniforms, sample_tokens
from trueline.models.token_stats import law_statistics, top_alternatives

#: Finished branches leave once they are this share of the batch: copying a cache costs about what one step on that share does.
_LEAVE_SHARE = 1 / 8


@dataclass(frozen=True)
class Row:
    """One generation to decode: the prompt's index, and the sample's seed or None for a greedy row.

    forced: tokens that a greedy row begins with, whatever the model would choose. Rows that share them so far are run once.
    """

    prompt: int
    seed: int | None
    forced: tuple[int, ...] = ()


@dataclass
class DecodedRow:
    """Tokens of one row and what was recorded at each; ``finish_reason`` is ``"nan"`` when the model's law was not a number."""

    tokens: list[int]
    logprobs: NDArray[np.float64]
    finish_reason: str
    stats: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    topk_ids: NDArray[np.int32] | None = None
    topk_logprobs: NDArray[np.float64] | None = None
    inside: dict[str, Any] = field(default_factory=dict)


class Observer(Protocol):
    """Looks at a batch before and after it is decoded (see ``models.insides``)."""

    def prefill(self, forward: CausalForward, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Stream]: ...

    def look(
        self, forward: CausalForward, prompts: Sequence[Sequence[int]], rows: Sequence[Row], decoded: Sequence[DecodedRow]
    ) -> None: ...


@dataclass(frozen=True)
class StopRule:
    """What ends a row: an end-of-sequence token, or a text that ``completed`` finds in a row's tokens.

    ``candidates``: (vocabulary,) bool, the tokens after which ``completed`` is asked; None when there are no stop strings.
    """

    eos_ids: tuple[int, ...]
    candidates: Tensor | None = None
    completed: Callable[[list[int]], bool] = lambda tokens: False


def decode_rows(
    forward: CausalForward,
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
        logits, stream = forward.prefill(prompts) if observer is None else observer.prefill(forward, prompts)
        decoded: dict[int, DecodedRow] = {}
        for start in range(0, len(rows), settings.batch_size):
            # greedy rows first: each kind is then one slice of the batch
            batch = sorted(range(start, min(start + settings.batch_size, len(rows))), key=lambda i: rows[i].seed is not None)
            index = torch.tensor([rows[i].prompt for i in batch], device=forward.device)
            own = stream if len(rows) <= settings.batch_size else stream.fork(torch.arange(len(prompts), device=forward.device))
            results = _decode_batch(logits, own, index, [rows[i] for i in batch], settings, rule)
            decoded.update(zip(batch, results, strict=True))
        answers = [decoded[i] for i in range(len(rows))]
        if observer is not None:
            observer.look(forward, prompts, rows, answers)
        return answers


def _decode_batch(
    logits: Tensor, stream: Stream, branch: Tensor, rows: Sequence[Row], settings: GenerationSettings, rule: StopRule
) -> list[DecodedRow]:
    """Decode one batch. ``logits`` and ``stream``: one line a branch; ``branch``: (n_rows,) the branch that each row is on."""
    device = logits.device
    n_rows, n_steps = len(rows), settings.max_new_tokens
    n_greedy = sum(row.seed is None for row in rows)
    uniforms = torch.from_numpy(draw_uniforms([row.seed for row in rows if row.seed is not None], n_steps).T.copy()).to(device)
    forced = _forced(rows, n_steps, device)
    eos = torch.tensor(rule.eos_ids, dtype=torch.long, device=device)
    record = _Record(n_rows, n_greedy, settings, logits)
    active = torch.arange(n_rows, device=device)  # rows that go on; greedy ones first
    for t in range(n_steps):
        logp = torch.log_softmax(logits.float(), dim=-1)
        g = int((active < n_greedy).sum())
        drawn = sample_tokens(logp, uniforms[t, active[g:] - n_greedy], settings.law, branch[g:])
        chosen = torch.cat([logits[branch[:g]].argmax(-1), drawn])
        if forced is not None:
            chosen = torch.where(forced[t, active] < 0, chosen, forced[t, active])
        chosen_logp = logp[branch, chosen]
        record.step(t, active, g, logp, branch, chosen, chosen_logp)
        live = ~record.finish(t, active, chosen, chosen_logp, eos, rule)
        active, branch, chosen = active[live], branch[live], chosen[live]
        if not len(active) or t + 1 == n_steps:
            break
        stream, branch, tokens = _advance(stream, branch, chosen, logp.shape)
        logits = stream.step(tokens[:, None])[:, -1]
    return record.rows()


def _forced(rows: Sequence[Row], n_steps: int, device: torch.device) -> Tensor | None:
    """(n_steps, n_rows): the token that each step must take, -1 where it is free; None when no row is forced."""
    if not any(row.forced for row in rows):
        return None
    wanted = np.full((n_steps, len(rows)), -1, dtype=np.int64)
    for k, row in enumerate(rows):
        wanted[: len(row.forced), k] = row.forced
    return torch.from_numpy(wanted).to(device)


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


class _Record:
    """What is kept of each step, (n_steps, n_rows) tensors, and where and why each row ended."""

    def __init__(self, n_rows: int, n_greedy: int, settings: GenerationSettings, logits: Tensor) -> None:
        self._settings = settings
        self._n_greedy = n_greedy
        shape = (settings.max_new_tokens, n_rows)
        device = logits.device
        self._tokens = torch.zeros(shape, dtype=torch.long, device=device)
        self._logprobs = torch.full(shape, torch.nan, dtype=torch.float32, device=device)
        columns = settings.greedy_columns | settings.sample_columns
        self._stats = {name: torch.full(shape, torch.nan, dtype=torch.float64, device=device) for name in sorted(columns - {"topk"})}
        self._k = min(settings.top_k_alternatives, logits.shape[-1]) if "topk" in columns else 0
        self._topk_ids = torch.zeros((*shape, self._k), dtype=torch.int32, device=device)
        self._topk_logprobs = torch.full((*shape, self._k), torch.nan, dtype=torch.float32, device=device)
        self._length = [settings.max_new_tokens] * n_rows
        self._reason = ["length"] * n_rows

    def step(self, t: int, active: Tensor, g: int, logp: Tensor, branch: Tensor, chosen: Tensor, chosen_logp: Tensor) -> None:
        """Store step ``t`` of the ``active`` rows, of which the first ``g`` are greedy; ``logp`` has one line a branch."""
        self._tokens[t].index_copy_(0, active, chosen)
        self._logprobs[t].index_copy_(0, active, chosen_logp)
        if self._settings.greedy_columns and g:
            self._laws(t, active[:g], logp[branch[:g]], None, self._settings.greedy_columns)
        if self._settings.sample_columns and g < len(active):
            self._laws(t, active[g:], logp, branch[g:], self._settings.sample_columns)

    def _laws(self, t: int, rows: Tensor, logp: Tensor, branch: Tensor | None, columns: frozenset[str]) -> None:
        """Statistics of the laws ``logp``; row k of ``rows`` gets those of line ``branch[k]``, or of line k."""
        found: dict[str, tuple[Tensor, Tensor]] = {
            name: (self._stats[name], values) for name, values in law_statistics(logp, columns - {"topk"}).items()
        }
        if "topk" in columns:
            ids, values = top_alternatives(logp, self._settings.top_k_alternatives)
            found |= {"ids": (self._topk_ids, ids.int()), "logprobs": (self._topk_logprobs, values)}
        for store, values in found.values():
            store[t].index_copy_(0, rows, values if branch is None else values[branch])

    def finish(self, t: int, active: Tensor, chosen: Tensor, chosen_logp: Tensor, eos: Tensor, rule: StopRule) -> Tensor:
        """Which of the ``active`` rows end with step ``t``: (n_active,) bool; their length and reason are noted."""
        ended = torch.isin(chosen, eos)
        broken = torch.isnan(chosen_logp)
        candidates = ended | broken if rule.candidates is None else ended | broken | rule.candidates[chosen]
        ends = torch.zeros_like(ended)
        for line in candidates.nonzero().squeeze(1).tolist():
            row = int(active[line])
            if bool(broken[line]):
                reason = "nan"
            elif bool(ended[line]):
                reason = "eos"
            elif rule.completed(self._tokens[: t + 1, row].tolist()):
                reason = "stop"
            else:
                continue
            ends[line] = True
            self._length[row], self._reason[row] = t + 1, reason
        return ends

    def rows(self) -> list[DecodedRow]:
        """The rows as plain arrays."""
        tokens = self._tokens.T.cpu().numpy()
        logprobs = self._logprobs.T.double().cpu().numpy()
        stats = {name: values.T.cpu().numpy() for name, values in self._stats.items()}
        topk_ids, topk_logprobs = self._topk_ids.transpose(0, 1).cpu().numpy(), self._topk_logprobs.transpose(0, 1).double().cpu().numpy()
        decoded = []
        for row, (n, reason) in enumerate(zip(self._length, self._reason, strict=True)):
            columns = self._settings.greedy_columns if row < self._n_greedy else self._settings.sample_columns
            result = DecodedRow(tokens[row, :n].tolist(), logprobs[row, :n].copy(), reason)
            result.stats = {name: stats[name][row, :n].copy() for name in sorted(columns - {"topk"})}
            if "topk" in columns:
                result.topk_ids, result.topk_logprobs = topk_ids[row, :n].copy(), topk_logprobs[row, :n].copy()
            decoded.append(result)
        return decoded
