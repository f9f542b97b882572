"""Statistics of a next-token law, taken while decoding so that the law itself is never stored."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from trueline.errors import InputError, nearest
from trueline.models.base import TOKEN_STATS
from trueline.traces.insides import INSIDE_COLUMNS


def check_columns(columns: Iterable[str]) -> None:
    """Raise ``InputError`` for a column that no decoding step can record."""
    known = (*TOKEN_STATS, "topk", "topk_texts", "token_texts", *INSIDE_COLUMNS)
    for column in columns:
        if column not in known:
            raise InputError(f"unknown token column {column!r}{nearest(column, known)}; known: {', '.join(known)}")


def law_statistics(logp: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    r"""Statistics of next-token laws.

    ``logp``: (n_rows, vocabulary) natural log-probs, ``-inf`` for impossible tokens; ``names``: from ``TOKEN_STATS``.
    Returns name -> (n_rows,) float64. With V the vocabulary size and p' = softmax(log p / 2), that is temperature 2:

    - ``token_entropy`` :math:`-\sum_v p_v \log p_v` (nats); ``token_mean_logp`` the mean of the finite log-probs, of which there are
      ``token_n_finite``; ``token_max_logp`` and ``token_second_logp`` the two largest
    - ``token_renyi`` the Renyi divergence of order 1/2 of p' from uniform, :math:`-2 \log \sum_v \sqrt{p'_v / V}`
    - ``token_fisher_rao`` the Fisher-Rao distance :math:`\frac{2}{\pi} \arccos \sum_v \sqrt{p'_v / V}`

    The last two are larger for peaked laws. Source: Darrin et al., arXiv 2212.09171 (both); entropies: Malinin and Gales, arXiv 2002.07650.
    """
    wanted = frozenset(names)
    check_columns(wanted - {"topk"})
    logp = logp.double()
    stats: dict[str, Tensor] = {}
    if "token_entropy" in wanted:
        # the clamp keeps 0 * -inf at 0
        stats["token_entropy"] = -(logp.exp() * logp.clamp_min(-1e300)).sum(-1)
    if wanted & {"token_mean_logp", "token_n_finite"}:
        finite = torch.isfinite(logp)
        n_finite = finite.sum(-1).double()
        stats["token_n_finite"] = n_finite
        stats["token_mean_logp"] = torch.where(finite, logp, 0.0).sum(-1) / n_finite
    if wanted & {"token_max_logp", "token_second_logp"}:
        largest = logp.topk(min(2, logp.shape[-1]), dim=-1).values
        stats["token_max_logp"] = largest[:, 0]
        stats["token_second_logp"] = largest[:, 1] if largest.shape[-1] > 1 else torch.full_like(largest[:, 0], -torch.inf)
    if wanted & {"token_renyi", "token_fisher_rao"}:
        quarter = (logp / 4).exp()
        affinity = quarter.sum(-1) / (quarter.square().sum(-1) * logp.shape[-1]).sqrt()
        stats["token_renyi"] = -2 * affinity.log()
        stats["token_fisher_rao"] = 2 / math.pi * affinity.clamp(max=1.0).arccos()
    return {name: stats[name] for name in TOKEN_STATS if name in wanted}


def top_alternatives(logp: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` most probable tokens of each law: ids (n_rows, k) int64 and log-probs (n_rows, k), largest first, ties by lowest id."""
    k = min(k, logp.shape[-1])
    values, ids = logp.topk(k, dim=-1)
    if bool(((logp >= values[:, -1:]).sum(-1) > k).any()):  # a tie across the cut: topk picks any of them
        values, ids = logp.sort(dim=-1, descending=True, stable=True)
        return ids[:, :k], values[:, :k]
    ids, by_id = ids.sort(dim=-1)
    values, by_value = values.gather(-1, by_id).sort(dim=-1, descending=True, stable=True)
    return ids.gather(-1, by_value), values
