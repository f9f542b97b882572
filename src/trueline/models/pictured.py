"""Token ids of prompts that hold images, with what the processor made of these, and the arguments of one pass over several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class PicturedIds(list[int]):
    """Token ids; ``inputs``: the further arguments of the network for this prompt alone, as its processor gives them.

    ``n_after``: how many of them, at the end, are an answer that has begun.
    """

    n_after = 0

    def __init__(self, ids: Iterable[int], inputs: Mapping[str, Tensor]) -> None:
        super().__init__(ids)
        self.inputs = dict(inputs)

    def and_then(self, more: Sequence[int]) -> PicturedIds:
        """The same images, with tokens after them."""
        found = PicturedIds([*self, *more], self.inputs)
        found.n_after = self.n_after + len(more)
        return found


def picture_arguments(prompts: Sequence[Sequence[int]], width: int, *, left: bool, model: Any) -> dict[str, Tensor]:
    """What a pass over ``prompts``, padded to ``width`` tokens, is given beside their ids; empty when none holds an image.

    Images follow each other in the order of the prompts. Arguments with one value a token are padded as the ids are, with zeros.
    Where a prompt is read in both directions, there are always some: they say where it ends.
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
    if prompts and reads_both_ways(model):
        ends = [(width if left else len(prompt)) - getattr(prompt, "n_after", 0) for prompt in prompts]
        arguments["token_type_ids"] = torch.stack([(torch.arange(width) >= end).long() for end in ends])
    return {name: value.to(model.device, dtype=model.dtype if value.is_floating_point() else None) for name, value in arguments.items()}


def reads_both_ways(model: Any) -> bool:
    """Whether tokens of a prompt (of type 0) see each other in both directions, and those after it (of type 1) only what came before."""
    return getattr(model.config, "model_type", None) == "paligemma"


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
