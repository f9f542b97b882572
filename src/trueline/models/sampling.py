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
    """One token a draw by inverse CDF in float64: the first id whose cumulative probability passes the draw's uniform.

    ``logp``: (n_laws, vocabulary), the model's own laws. ``uniforms``: (n_draws,) float64 in [0, 1). ``rows``: (n_draws,) which law each
    draw is from; None: one draw a law, in order. Returns (n_draws,) int64. From a law of NaN comes some id: the caller checks its log-prob.
    """
    cdf = torch.cumsum(law_weights(logp, law), dim=-1, dtype=torch.float64)
    total = cdf[:, -1]
    if rows is None:
        rows = torch.arange(len(cdf), device=cdf.device)
    # u * total may round up to total: stay below it, so that a token of probability zero is never drawn
    target = torch.minimum(uniforms * total[rows], torch.nextafter(total, torch.zeros_like(total))[rows])
    # the draws of one law side by side, so that its cumulative sum is searched where it lies and not copied for each draw
    counts = torch.bincount(rows, minlength=len(cdf))
    order = rows.argsort(stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[rows[order]]
    targets = cdf.new_zeros((len(cdf), int(counts.max()) if len(rows) else 0))
    targets[rows, place] = target
    return torch.searchsorted(cdf, targets, right=True)[rows, place].clamp_(max=logp.shape[-1] - 1)
