"""Perturbed answers: one token of the greedy answer replaced by each of the next best, and greedy decoding from there on.

Source: Huang et al., arXiv 2307.10236. The beginning up to the token is kept as it is; an alternative that ends the sequence is kept
(it means "stop here"), padding and role tokens are passed over and the next ranks fill up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.capture.planner import N_ALTERNATIVES
from trueline.errors import InputError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Model, Prompt
from trueline.traces.schema import PERTURBATIONS


def perturbation_point(entropy: ArrayLike, kind: str) -> int:
    """Which token to replace, from 0. entropy: (T,) float64, entropy of the next-token law in nats, T >= 1.

    kind: ``perturb_max_entropy``, ``perturb_min_entropy``, or ``perturb_max_increase``: the token before which the entropy rose most (of a
    single token, that one). The first of equals. Raises ``InputError`` for no token, NaN, or an unknown kind.

    >>> [perturbation_point([0.5, 0.1, 0.9, 1.0], kind) for kind in PERTURBATIONS]
    [3, 1, 2]
    """
    row = np.asarray(entropy, dtype=np.float64)
    if kind not in PERTURBATIONS:
        raise InputError(f"unknown perturbation {kind!r}; known: {', '.join(PERTURBATIONS)}")
    if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
        raise InputError("the entropies must be a vector of at least one finite number")
    if kind == "perturb_min_entropy":
        return int(row.argmin())
    if kind == "perturb_max_increase" and len(row) > 1:
        return int(np.diff(row).argmax()) + 1
    return int(row.argmax())


def alternatives(ranked: Sequence[int], chosen: int, drop: Collection[int] = (), n: int = N_ALTERNATIVES) -> list[int]:
    """The ``n`` best tokens beside the chosen one. ranked: token ids, most probable first; drop: ids that are passed over."""
    return [token for token in ranked if token != chosen and token not in drop][:n]


def perturb(
    model: Model,
    answers: Sequence[tuple[Prompt, Generation | None]],
    kinds: Sequence[str],
    settings: GenerationSettings,
    n_alternatives: int = N_ALTERNATIVES,
) -> dict[str, list[list[dict[str, Any]]]]:
    """Trace rows of every kind for every answer: kind -> item -> rows, one an alternative, best first.

    answers: prompt and greedy answer, with ``token_entropy`` and alternatives; None where there is none. settings: those it was made with.
    Points that coincide share their continuations, and all continuations of one item share its prefill. An answer that cannot be
    perturbed gets one row with ``error``.
    """
    plans = [_plan(generation, kinds, getattr(model, "drop_token_ids", frozenset()), n_alternatives) for _, generation in answers]
    forced = [sorted({tokens for _, lines in plan.values() for tokens in lines}) for plan in plans]
    asked = [k for k, lines in enumerate(forced) if lines]
    requests = [GenerationRequest(answers[k][0], greedy=False, forced=tuple(forced[k])) for k in asked]
    plain = GenerationSettings(max_new_tokens=settings.max_new_tokens, stop=settings.stop, batch_size=settings.batch_size)
    found = dict(zip(asked, model.generate(requests, plain) if requests else (), strict=True))
    rows: dict[str, list[list[dict[str, Any]]]] = {kind: [] for kind in kinds}
    for k, plan in enumerate(plans):
        for kind in kinds:
            at, lines = plan.get(kind, (None, ()))
            result = found.get(k)
            if not lines or result is None:
                rows[kind].append([{"error": _why(answers[k][1])}])
            elif result.error is not None:
                rows[kind].append([{"error": result.error}])
            else:
                by_tokens = dict(zip(forced[k], result.forced, strict=True))
                rows[kind].append([{**_row(by_tokens[line]), "perturbed_at": at} for line in lines])
    return rows


def _why(generation: Generation | None) -> str:
    if generation is None:
        return "not asked: the item has no greedy answer"
    return "nothing to replace: the greedy answer has no token" if not generation.tokens else "no alternative to the token"


def _plan(
    generation: Generation | None, kinds: Sequence[str], drop: Collection[int], n: int
) -> dict[str, tuple[int, list[tuple[int, ...]]]]:
    """Kind -> position and the beginnings to go on from; empty where there is nothing to replace."""
    if generation is None or not generation.tokens:
        return {}
    if "token_entropy" not in generation.stats or generation.topk_ids is None or generation.topk_logprobs is None:
        raise InputError("perturbing an answer needs the entropies of its tokens and their alternatives")
    found = {}
    for kind in kinds:
        at = perturbation_point(generation.stats["token_entropy"], kind)
        possible = np.isfinite(generation.topk_logprobs[at])
        ranked = generation.topk_ids[at][possible].tolist()
        head = tuple(generation.tokens[:at])
        found[kind] = (at, [(*head, token) for token in alternatives(ranked, generation.tokens[at], drop, n)])
    return found


def _row(generation: Generation) -> dict[str, Any]:
    return {
        "text": generation.text.strip(),
        "finish_reason": generation.finish_reason,
        "n_prompt_tokens": generation.n_prompt_tokens,
        "n_tokens": len(generation.tokens or ()),
        "tokens": generation.tokens,
        "token_logprobs": generation.token_logprobs,
        "logprob_law": "model",
    }
