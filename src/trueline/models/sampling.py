"""Draw tokens by inverse CDF from per-row streams of uniforms: what a row gets depends on its own seed and law alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueline.errors import InputError
from trueline.models.base import SamplingLaw

#: Neighbouring token ids that are summed before they are searched one by one.
_BLOCK = 256


def check_law(law: SamplingLaw) -> None:
    """Raise ``InputError`` for a temperature, top-p or top-k that defines no law."""
    if not (math.isfinite(law.temperature) and law.temperature > 0):
        raise InputError(f"temperature must be a finite number above 0, got {law.temperature}; for greedy decoding ask for the greedy row")
    if not 0 < law.top_p <= 1:
        raise InputError(f"top_p must be in (0, 1], got {law.top_p}")
    if law.top_k < 0:
        raise InputError(f"top_k must be 0 (off) or positive, got {law.top_k}")


def draw_uniforms(seeds: Sequence[int], n_steps: int) -> NDArray[np.float64]:
    """Uniforms of each row's own Philox stream keyed by its seed: (n_rows, n_steps) float64 in [0, 1).

    A shorter draw is a prefix of a longer one, so a limit on the tokens does not change the tokens before it.
    """
    uniforms = np.empty((len(seeds), n_steps))
    for row, seed in enumerate(seeds):
        if not 0 <= seed < 2**128:
            raise InputError(f"a sample seed must be an integer in [0, 2**128), got {seed}")
        np.random.Generator(np.random.Philox(key=seed)).random(out=uniforms[row])
    return uniforms


def law_weights(logp: Tensor, law: SamplingLaw) -> Tensor:
    """Unnormalised probabilities of a sampling law: (n_rows, vocabulary), zero where the law cuts a token off.

    ``logp``: (n_rows, vocabulary) log-probs of the model's own law. Order as in the field: temperature, top-k, then top-p over
    what top-k left (the smallest set of most probable tokens whose share reaches ``top_p``). Ties go to the lowest token id.
    """
    if law.is_model_law:
        return logp.exp()
    weights = torch.softmax(logp.double() / law.temperature, dim=-1)
    if law.top_k == 0 and law.top_p == 1.0:
        return weights
    ranked, order = weights.sort(dim=-1, descending=True, stable=True)
    if law.top_k:
        ranked[:, law.top_k :] = 0.0
    if law.top_p < 1.0:
        mass = ranked.cumsum(dim=-1)
        ranked[mass - ranked >= law.top_p * mass[:, -1:]] = 0.0
    # back to the order of ids: a near tie that numerical noise reorders then still draws the same token
    return torch.zeros_like(weights).scatter_(-1, order, ranked)


def sample_tokens(logp: Tensor, uniforms: Tensor, law: SamplingLaw, rows: Tensor | None = None) -> Tensor:
    """One token a draw by inverse CDF: the first id whose cumulative probability passes the draw's uniform.

    ``logp``: (n_laws, vocabulary), the model's own laws. ``uniforms``: (n_draws,) float64 in [0, 1). ``rows``: (n_draws,) which law each
    draw is from; None: one draw a law, in order. Returns (n_draws,) int64. From a law of NaN comes some id: the caller checks its log-prob.

    The search is in float64 and in two levels, first among blocks of ids and then inside one: no cumulative sum over the vocabulary.
    """
    weights = law_weights(logp, law)
    vocabulary = weights.shape[-1]
    if rows is None:
        rows = torch.arange(len(weights), device=weights.device)
    block, rest = _search(_block_sums(weights)[rows].double().cumsum(-1), uniforms)
    ids = block[:, None] * _BLOCK + torch.arange(min(_BLOCK, vocabulary), device=weights.device)
    inside = weights[rows[:, None], ids.clamp(max=vocabulary - 1)].double()
    place, _ = _search(torch.where(ids < vocabulary, inside, 0.0).cumsum(-1), rest)
    return (block * _BLOCK + place).clamp_(max=vocabulary - 1)


def _block_sums(weights: Tensor) -> Tensor:
    """Sums of ``_BLOCK`` neighbouring ids, the last block shorter: (n_laws, n_blocks)."""
    whole = weights.shape[-1] // _BLOCK * _BLOCK
    sums = weights[:, :whole].reshape(len(weights), -1, _BLOCK).sum(-1) if whole else weights[:, :0]
    return sums if whole == weights.shape[-1] else torch.cat([sums, weights[:, whole:].sum(-1, keepdim=True)], dim=-1)


def _search(ends: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """In each row of cumulative sums ``ends`` the cell that ``uniforms`` of the total falls into, and how far into it, in [0, 1]."""
    total = ends[:, -1]
    # the product may round up to the total: stay below it, so that a cell of probability zero is never drawn
    target = torch.minimum(uniforms * total, torch.nextafter(total, torch.zeros_like(total)))[:, None]
    cell = torch.searchsorted(ends, target, right=True).clamp_(max=ends.shape[-1] - 1)
    high = ends.gather(-1, cell)
    low = torch.where(cell > 0, ends.gather(-1, (cell - 1).clamp_(min=0)), 0.0)
    return cell.squeeze(1), ((target - low) / (high - low)).squeeze(1)
