"""What a network's cache and padding can be trusted with, found by trying both against whole sequences when a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trueline.models.forward import Forward

#: Largest total variation between two ways to the same next-token law: where float32 is kept, where an accelerator may round its products
#: to fewer digits, and in numbers of 16 bits and fewer.
_EXACT, _NEAR, _ROUNDED = 2e-5, 1e-2, 0.25

#: What a network raises whose cache cannot be split, repeated or continued as it is here.
_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError, AssertionError)


def find_ways(forward: Forward) -> None:
    """Set ``cacheable`` and ``paddable`` to what gives the laws of whole sequences; they come as what the cache promises.

    Caches differ in what they do when rows are picked from them, and networks in whether they heed the mask of the padding; a promise that
    is not kept would be wrong numbers, not an error.
    """
    ways = [(True, True), (False, True), (True, False)] if forward.apart else [(True, True), (True, False)]
    promised = [(cache, pad) for cache, pad in ways if cache <= forward.cacheable and pad <= forward.paddable]
    for cacheable, paddable in promised:
        forward.cacheable, forward.paddable = cacheable, paddable
        if _keeps_its_word(forward):
            return
    forward.cacheable = forward.paddable = False


def _keeps_its_word(forward: Forward) -> bool:
    """Whether rows that are picked twice and swapped go on as their whole sequences do."""
    words = [forward.vocabulary * k // 6 for k in range(1, 6)]  # ordinary words: special tokens come first or last
    prompts = [[words[0]] if forward.paddable else [words[0], words[1], words[4]], words[1:4]]
    new = [words[3:1:-1], words[0:2], words[1:3]]
    if not (forward.paddable or forward.apart):  # options are then scored in whole sequences
        new = [row[:1] for row in new]
    picked = [1, 0, 1]
    with torch.inference_mode():
        try:
            _, stream = forward.prefill(prompts)
            rows = stream.fork(torch.tensor(picked, device=forward.device))
            found = rows.step(torch.tensor(new, device=forward.device))
        except torch.OutOfMemoryError:
            return True  # nothing can be tried, and rows that do not fit together are halved later
        except _REFUSALS:
            return False
        whole = [
            forward.uncached([prompts[p]]).step(torch.tensor([row], device=forward.device))[0] for p, row in zip(picked, new, strict=True)
        ]
    return found.shape[1] == len(new[0]) and bool((_total_variation(found, torch.stack(whole)) <= _most(forward.model)).all())


def _most(model: Any) -> float:
    if model.dtype not in (torch.float32, torch.float64) or getattr(model, "is_quantized", False):
        return _ROUNDED
    return _EXACT if model.device.type == "cpu" else _NEAR


def _total_variation(a: Tensor, b: Tensor) -> Any:
    """Of the laws that two sets of logits stand for: (..., vocabulary) each to (...)."""
    return (torch.softmax(a.double(), dim=-1) - torch.softmax(b.double(), dim=-1)).abs().sum(-1) / 2
