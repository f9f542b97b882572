"""Token ids of prompts that hold images, with what the processor made of these, and the arguments of one pass over several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class PicturedIds(list[int]):
    """Token ids; ``inputs``: the further arguments of the network for this prompt alone, as its processor gives them."""

    def __init__(self, ids: Iterable[int], inputs: Mapping[str, Tensor]) -> None:
        super().__init__(ids)
        self.inputs = dict(inputs)

    def and_then(self, more: Sequence[int]) -> PicturedIds:
        """The same images, with tokens after them."""
        return PicturedIds([*self, *more], self.inputs)


def picture_arguments(prompts: Sequence[Sequence[int]], width: int, *, left: bool, model: Any) -> dict[str, Tensor]:
    """What a pass over ``prompts``, padded to ``width`` tokens, is given beside their ids; empty when none holds an image.

    Images follow each other in the order of the prompts. Arguments with one value a token are padded as the ids are, with zeros.
    """
    seen = [prompt for prompt in prompts if isinstance(prompt, PicturedIds)]
    names = dict.fromkeys(name for prompt in seen for name in prompt.inputs)
    arguments: dict[str, Tensor] = {}
    for name in names:
        parts = [prompt.inputs[name] for prompt in seen if name in prompt.inputs]
        if name.endswith("token_type_ids"):
            arguments[name] = torch.stack([_in_line(prompt, name, width, left=left) for prompt in prompts])
        else:
            arguments[name] = torch.cat(_equally_many(parts))
    return {name: value.to(model.device, dtype=model.dtype if value.is_floating_point() else None) for name, value in arguments.items()}


def _in_line(prompt: Sequence[int], name: str, width: int, *, left: bool) -> Tensor:
    """(width,): one value a token of one prompt."""
    line = torch.zeros(width, dtype=torch.long)
    if isinstance(prompt, PicturedIds) and name in prompt.inputs:
        values = prompt.inputs[name].reshape(-1)
        start = max(0, width - len(prompt)) if left else 0  # tokens that come after what the processor saw are text
        line[start : start + len(values)] = values[: width - start]
    return line


def _equally_many(parts: list[Tensor]) -> list[Tensor]:
    """Parts (n, n_images, ...) with the same number of images, and the same size of each: blank ones after the real ones."""
    if len({part.shape[1:] for part in parts}) == 1 or parts[0].ndim < 2:
        return parts
    shape = [max(part.shape[axis] for part in parts) for axis in range(1, parts[0].ndim)]
    padded = []
    for part in parts:
        blank = part.new_zeros((part.shape[0], *shape))
        blank[tuple(slice(size) for size in part.shape)] = part
        padded.append(blank)
    return padded
