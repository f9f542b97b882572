"""A local model as a reader of given text: entropies along continuations, and which parts of a text it attends to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trueline.errors import InputError, ModelError
from trueline.models.base import Model, Prompt
from trueline.models.forward import CausalForward
from trueline.models.insides import eager
from trueline.models.local import LocalModel


@dataclass(frozen=True)
class LocalProxy:
    """A transformers model that reads what another one wrote (RACE, arXiv 2506.04832, S_CA and the weights of S_CC).

    Raises ``InputError`` for a model whose weights are not at hand, or that is no causal one.
    """

    model: LocalModel
    forward: CausalForward = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a network that is not causal."""
        if not isinstance(self.model.forward, CausalForward):
            raise InputError(_refusal(self.model))
        object.__setattr__(self, "forward", self.model.forward)

    @classmethod
    def of(cls, model: Model) -> LocalProxy:
        """The proxy of any model."""
        if not isinstance(model, LocalModel):
            raise InputError(_refusal(model))
        return cls(model)

    def entropies(self, prompt: str, continuations: Sequence[str]) -> list[NDArray[np.float64]]:
        """(t,) entropies of the next-token law, nats, at each token of each continuation, teacher-forced after ``prompt``.

        Raises ``ModelError`` when the text does not fit the context, or the law is not a number.
        """
        head = self._encoded(prompt)
        rows = [self.model.codec.continuation(text) if text else [] for text in continuations]
        filled = [row for row in rows if row]
        if not filled:
            return [np.zeros(0) for _ in rows]
        self._fits(len(head) + max(map(len, filled)))
        width = max(map(len, filled))
        ids = torch.tensor([[*head, *row, *[0] * (width - len(row))] for row in filled], device=self.forward.device)
        with torch.inference_mode():
            logits = self.forward.full_logits(ids, width + 1)[:, :-1].float()
            law = torch.log_softmax(logits, dim=-1)
            entropy = -(law.exp() * law.clamp_min(torch.finfo(law.dtype).min)).sum(-1).double().cpu().numpy()
        found = iter(entropy)
        values = [next(found)[: len(row)] if row else np.zeros(0) for row in rows]
        if any(np.isnan(v).any() for v in values):
            raise ModelError(f"the next-token law of {self.model.uri} is not a number (NaN logits)")
        return values

    def attention_to(self, head: str, parts: Sequence[str], tail: str, reader: str) -> NDArray[np.float64] | None:
        """(len(parts),) attention of ``reader``'s tokens to each of ``parts``: a mean over layers, heads and the tokens of both.

        The text is head, parts one a line, tail, reader. None when the model shows no attention maps.
        """
        if self.model.shape is None or not self.model.shape.n_heads:
            return None
        ids = self._encoded(head)
        spans = []
        for k, part in enumerate(parts):
            ids = ids + (self.model.codec.continuation("\n") if k else [])
            start = len(ids)
            ids = ids + self.model.codec.continuation(part)
            spans.append((start, len(ids)))
        ids = ids + (self.model.codec.continuation(tail) if tail else [])
        start = len(ids)
        ids = ids + self.model.codec.continuation(reader)
        if start == len(ids) or any(a == b for a, b in spans):
            raise ModelError(f"the tokenizer of {self.model.uri} gives a step or the answer no token")
        self._fits(len(ids))
        with torch.inference_mode(), eager(self.model.model):
            maps = self.forward.look(torch.tensor([ids], device=self.forward.device), attention=True)[1]
            rows = _received(maps, start)
        return np.array([float(rows[a:b].mean()) for a, b in spans])

    def _encoded(self, text: str) -> list[int]:
        (ids,) = self.model.codec.encode([Prompt(text=text)])
        if isinstance(ids, ModelError):
            raise ids
        return ids

    def _fits(self, n: int) -> None:
        context = self.model.context
        if context is not None and n > context:
            raise ModelError(f"question, steps and answer have {n} tokens, the context of {self.model.uri} is {context}; use another proxy")


def _received(maps: Any, start: int) -> NDArray[np.float64]:
    """(T,) attention received from the rows from ``start`` on, averaged over layers, heads and these rows."""
    layers = [layer[0, :, start:].double().mean(dim=(0, 1)) for layer in maps]
    return np.asarray(torch.stack(layers).mean(0).cpu().numpy(), dtype=np.float64)


def _refusal(model: Model) -> str:
    return f"{model.uri} shows no next-token law over its vocabulary; a proxy is a local causal checkpoint, hf:PATH"
