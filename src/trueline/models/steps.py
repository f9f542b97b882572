"""One step of decoding after the other, whoever runs the network: choose each row's token by its own seed, record, say who goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueline.models.base import GenerationSettings
from trueline.models.sampling import draw_uniforms, sample_tokens
from trueline.models.token_stats import law_statistics, top_alternatives


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


@dataclass(frozen=True)
class StopRule:
    """What ends a row: an end-of-sequence token, or a text that ``completed`` finds in a row's tokens.

    ``candidates``: (vocabulary,) bool, the tokens after which ``completed`` is asked; None when there are no stop strings.
    """

    eos_ids: tuple[int, ...]
    candidates: Tensor | None = None
    completed: Callable[[list[int]], bool] = lambda tokens: False


class Steps:
    """The rows of one batch, greedy ones first. ``active``: the indices of those that go on."""

    def __init__(self, rows: Sequence[Row], settings: GenerationSettings, rule: StopRule, *, vocabulary: int, device: torch.device) -> None:
        n_rows, n_steps = len(rows), settings.max_new_tokens
        self.active = torch.arange(n_rows, device=device)
        self._n_greedy = sum(row.seed is None for row in rows)
        uniforms = draw_uniforms([row.seed for row in rows if row.seed is not None], n_steps)
        self._uniforms = torch.from_numpy(uniforms.T.copy()).to(device)
        self._forced = _forced(rows, n_steps, device)
        self._eos = torch.tensor(rule.eos_ids, dtype=torch.long, device=device)
        self._law, self._rule = settings.law, rule
        self._record = _Record(n_rows, self._n_greedy, settings, vocabulary, device)

    def take(self, t: int, logits: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Step ``t`` of the active rows: their tokens (n_active,), and which of them go on (n_active,) bool; ``active`` is then those.

        ``logits``: (n_branches, vocabulary), the next-token logits. ``branch``: (n_active,) the line of each active row.
        """
        logp = torch.log_softmax(logits.float(), dim=-1)
        g = int((self.active < self._n_greedy).sum())
        drawn = sample_tokens(logp, self._uniforms[t, self.active[g:] - self._n_greedy], self._law, branch[g:])
        chosen = torch.cat([logits[branch[:g]].argmax(-1), drawn])
        if self._forced is not None:
            wanted = self._forced[t, self.active]
            chosen = torch.where(wanted < 0, chosen, wanted)
        chosen_logp = logp[branch, chosen]
        self._record.step(t, self.active, g, logp, branch, chosen, chosen_logp)
        live = ~self._record.finish(t, self.active, chosen, chosen_logp, self._eos, self._rule)
        self.active = self.active[live]
        return chosen, live

    def rows(self) -> list[DecodedRow]:
        """The rows, in order, once all have ended."""
        return self._record.rows()


def _forced(rows: Sequence[Row], n_steps: int, device: torch.device) -> Tensor | None:
    """(n_steps, n_rows): the token that each step must take, -1 where it is free; None when no row is forced."""
    if not any(row.forced for row in rows):
        return None
    wanted = np.full((n_steps, len(rows)), -1, dtype=np.int64)
    for k, row in enumerate(rows):
        wanted[: len(row.forced), k] = row.forced
    return torch.from_numpy(wanted).to(device)


class _Record:
    """What is kept of each step, (n_steps, n_rows) tensors, and where and why each row ended."""

    def __init__(self, n_rows: int, n_greedy: int, settings: GenerationSettings, vocabulary: int, device: torch.device) -> None:
        self._settings = settings
        self._n_greedy = n_greedy
        shape = (settings.max_new_tokens, n_rows)
        self._tokens = torch.zeros(shape, dtype=torch.long, device=device)
        self._logprobs = torch.full(shape, torch.nan, dtype=torch.float32, device=device)
        columns = settings.greedy_columns | settings.sample_columns
        self._stats = {name: torch.full(shape, torch.nan, dtype=torch.float64, device=device) for name in sorted(columns - {"topk"})}
        self._k = min(settings.top_k_alternatives, vocabulary) if "topk" in columns else 0
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
