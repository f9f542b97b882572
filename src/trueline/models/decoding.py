"""Batched decoding: one prefill a prompt, its cache serves the greedy row and every sample; finished rows leave the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueline.models.base import GenerationSettings
from trueline.models.forward import CausalForward, Stream
from trueline.models.sampling import draw_uniforms, sample_tokens
from trueline.models.token_stats import law_statistics, top_alternatives

#: Rows leave the batch once this share of it is finished: copying a cache costs about as much as one step saves on that share.
_LEAVE_SHARE = 1 / 8


@dataclass(frozen=True)
class Row:
    """One generation to decode: the prompt's index, and the sample's seed or None for the greedy row."""

    prompt: int
    seed: int | None


@dataclass
class DecodedRow:
    """Tokens of one row and what was recorded at each; ``finish_reason`` is ``"nan"`` when the model's law was not a number."""

    tokens: list[int]
    logprobs: NDArray[np.float64]
    finish_reason: str
    stats: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    topk_ids: NDArray[np.int32] | None = None
    topk_logprobs: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class StopRule:
    """What ends a row: an end-of-sequence token, or a text that ``completed`` finds in a row's tokens.

    ``candidates``: (vocabulary,) bool, the tokens after which ``completed`` is asked; None when there are no stop strings.
    """

    eos_ids: tuple[int, ...]
    candidates: Tensor | None = None
    completed: Callable[[list[int]], bool] = lambda tokens: False


def decode_rows(
    forward: CausalForward, prompts: Sequence[Sequence[int]], rows: Sequence[Row], settings: GenerationSettings, rule: StopRule
) -> list[DecodedRow]:
    """Decode ``rows`` over ``prompts`` (token ids), at most ``settings.batch_size`` rows at a time; results in the order of ``rows``.

    Log-probs and statistics are of the float32 log-softmax of the logits, before temperature and truncation.
    """
    with torch.inference_mode():
        logits, stream = forward.prefill(prompts)
        decoded: dict[int, DecodedRow] = {}
        for start in range(0, len(rows), settings.batch_size):
            # greedy rows first: each kind is then one slice of the batch
            batch = sorted(range(start, min(start + settings.batch_size, len(rows))), key=lambda i: rows[i].seed is not None)
            index = torch.tensor([rows[i].prompt for i in batch], device=forward.device)
            results = _decode_batch(logits.index_select(0, index), stream.fork(index), [rows[i].seed for i in batch], settings, rule)
            decoded.update(zip(batch, results, strict=True))
        return [decoded[i] for i in range(len(rows))]


def _decode_batch(
    logits: Tensor, stream: Stream, seeds: Sequence[int | None], settings: GenerationSettings, rule: StopRule
) -> list[DecodedRow]:
    device = logits.device
    n_rows, n_steps = len(seeds), settings.max_new_tokens
    n_greedy = sum(seed is None for seed in seeds)
    uniforms = torch.from_numpy(draw_uniforms([seed for seed in seeds if seed is not None], n_steps).T.copy()).to(device)
    eos = torch.tensor(rule.eos_ids, dtype=torch.long, device=device)
    record = _Record(n_rows, n_greedy, settings, logits)
    active = torch.arange(n_rows, device=device)  # which row each line of the batch is
    done = torch.zeros(n_rows, dtype=torch.bool, device=device)
    for t in range(n_steps):
        logp = torch.log_softmax(logits.float(), dim=-1)
        g = int((active < n_greedy).sum()) if len(active) < n_rows else n_greedy
        chosen = torch.cat([logits[:g].argmax(-1), sample_tokens(logp[g:], uniforms[t, active[g:] - n_greedy], settings.law)])
        chosen_logp = logp.gather(1, chosen[:, None]).squeeze(1)
        record.step(t, active, g, logp, chosen, chosen_logp)
        done = done | record.finish(t, active, done, chosen, chosen_logp, eos, rule)
        n_done = int(done.sum())
        if n_done == len(done) or t + 1 == n_steps:
            break
        if n_done >= max(1.0, _LEAVE_SHARE * len(done)):
            keep = (~done).nonzero().squeeze(1)
            stream, active, chosen, done = stream.fork(keep), active[keep], chosen[keep], done[keep]
        logits = stream.step(chosen[:, None])[:, -1]
    return record.rows()


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

    def step(self, t: int, active: Tensor, g: int, logp: Tensor, chosen: Tensor, chosen_logp: Tensor) -> None:
        """Store step ``t``; the first ``g`` lines of the batch are greedy rows. What a finished row gets is never read."""
        self._tokens[t].index_copy_(0, active, chosen)
        self._logprobs[t].index_copy_(0, active, chosen_logp)
        if self._settings.greedy_columns and g:
            self._laws(t, active[:g], logp[:g], self._settings.greedy_columns)
        if self._settings.sample_columns and g < len(active):
            self._laws(t, active[g:], logp[g:], self._settings.sample_columns)

    def _laws(self, t: int, rows: Tensor, logp: Tensor, columns: frozenset[str]) -> None:
        for name, values in law_statistics(logp, columns - {"topk"}).items():
            self._stats[name][t].index_copy_(0, rows, values)
        if "topk" in columns and self._k:
            ids, values = top_alternatives(logp, self._k)
            self._topk_ids[t].index_copy_(0, rows, ids.int())
            self._topk_logprobs[t].index_copy_(0, rows, values)

    def finish(self, t: int, active: Tensor, done: Tensor, chosen: Tensor, chosen_logp: Tensor, eos: Tensor, rule: StopRule) -> Tensor:
        """Lines of the batch that end with step ``t``, as a (n_lines,) bool mask; their length and reason are noted."""
        ended = torch.isin(chosen, eos)
        broken = torch.isnan(chosen_logp)
        candidates = ended | broken if rule.candidates is None else ended | broken | rule.candidates[chosen]
        ends = torch.zeros_like(done)
        for line in (candidates & ~done).nonzero().squeeze(1).tolist():
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
