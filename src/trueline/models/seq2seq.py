"""Forward passes of an encoder-decoder: the prompt is encoded once, and every answer is decoded beside that one encoding."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from trueline.errors import ModelError
from trueline.models.forward import States, Stream, cache_name, cache_of, fork_cache
from trueline.models.trials import find_ways


class Seq2SeqForward:
    """Calls one encoder-decoder of transformers (T5 and its kin, BART and its kin).

    Prompts of unequal length are padded on the right under a mask. An answer starts from the decoder's start token, which is not part of
    it. Hidden states are the decoder's; attention maps are not offered, for a prompt is seen through cross-attention.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device: torch.device = model.device
        self.paddable = True
        self.apart = True
        self.generate_rows = 0
        self.start = _start_token(model)
        self._cache_name = cache_name(model)
        self._wants_mask = "decoder_attention_mask" in inspect.signature(model.forward).parameters
        with torch.inference_mode():
            token = torch.full((1, 1), self.start, dtype=torch.long, device=self.device)
            state = self._encode(token, torch.ones_like(token))
            probe = self.decode(token, state, torch.ones_like(token), use_cache=True)
        self.vocabulary: int = probe.logits.shape[-1]
        cache = cache_of(probe)
        parts = [getattr(cache, name, None) for name in ("self_attention_cache", "cross_attention_cache")]
        layers = [layer for part in parts for layer in getattr(part, "layers", None) or []]
        self.cacheable = all(parts) and bool(layers) and all(hasattr(layer, "reorder_cache") for layer in layers)
        find_ways(self)

    def prefill(self, prompts: Sequence[Sequence[int]], observe: Callable[[States], None] | None = None) -> tuple[Tensor, Stream]:
        """Encode the prompts once: logits of the first token of each answer (n_prompts, vocabulary), and a stream of one row a prompt.

        ``observe`` is given the decoder's hidden states at the start token, which is what an answer's first token is read from.
        """
        state, mask, start = self._encoded(prompts)
        output = self.decode(start, state, mask, use_cache=self.cacheable, hidden=observe is not None)
        if observe is not None:
            observe(output.decoder_hidden_states)
        cache = cache_of(output) if self.cacheable else None
        return output.logits[:, -1], DecoderStream(self, state, mask, start, cache)

    def uncached(self, prompts: Sequence[Sequence[int]], *, before: int = 0) -> Stream:
        """Answers that have begun with nothing yet, decoded whole at every step. ``before`` is for networks that go on in the prompt."""
        if before:
            raise NotImplementedError("an encoder-decoder reads a prompt whole; leave before at 0")
        return DecoderStream(self, *self._encoded(prompts), None)

    def _encoded(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Encodings of the prompts, the mask of their tokens, and the start token of each answer."""
        width = max(len(prompt) for prompt in prompts)
        ids = torch.tensor([[*prompt, *[0] * (width - len(prompt))] for prompt in prompts], dtype=torch.long, device=self.device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        mask = (torch.arange(width, device=self.device) < lengths[:, None]).long()
        start = torch.full((len(prompts), 1), self.start, dtype=torch.long, device=self.device)
        return self._encode(ids, mask), mask, start

    def look(self, ids: Tensor, *, hidden: bool = False, attention: bool = False) -> tuple[States, States]:
        """The decoder's hidden states at the start token of answers to ``ids``; no attention maps."""
        mask = torch.ones_like(ids)
        output = self.decode(torch.full_like(ids[:, :1], self.start), self._encode(ids, mask), mask, use_cache=False, hidden=hidden)
        return getattr(output, "decoder_hidden_states", None) or None, None

    def decode(self, ids: Tensor, state: Tensor, mask: Tensor, *, use_cache: bool, cache: Any = None, hidden: bool = False) -> Any:
        """One pass of the decoder over ``ids``, after what is cached, beside the encodings ``state``."""
        arguments: dict[str, Any] = {"output_hidden_states": True} if hidden else {}
        if cache is not None:
            arguments[self._cache_name] = cache
        elif self._wants_mask:  # every token of an answer is one, whatever the checkpoint calls its padding
            arguments["decoder_attention_mask"] = torch.ones_like(ids)
        if getattr(self.model.config, "model_type", None) == "fsmt" and not use_cache:
            arguments["input_ids"] = mask  # not read, but without them FSMT leaves the causal mask out
        encoded = self._kind(last_hidden_state=state)  # mixtures of experts have outputs of their own
        return self.model(encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=ids, use_cache=use_cache, **arguments)

    def _encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        output = self.model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True)
        self._kind: Any = type(output)
        state: Tensor = output.last_hidden_state
        return state


class DecoderStream:
    """Answers being decoded. Without a cache, each step runs the decoder from its start token."""

    def __init__(self, forward: Seq2SeqForward, state: Tensor, mask: Tensor, ids: Tensor, cache: Any) -> None:
        self._forward = forward
        self._state, self._mask, self._ids, self._cache = state, mask, ids, cache

    def fork(self, rows: Tensor) -> DecoderStream:
        cache = self._cache
        if cache is not None:
            cache = fork_cache(cache)
            cache.reorder_cache(rows)
        return DecoderStream(self._forward, self._state[rows], self._mask[rows], self._ids[rows], cache)

    def step(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self._run(tokens, hidden=False).logits
        return logits[:, -tokens.shape[1] :]

    def observe(self, tokens: Tensor, *, hidden: bool, attention: bool) -> tuple[States, States]:
        states = self._run(tokens, hidden=hidden).decoder_hidden_states if hidden else None
        return None if states is None else tuple(s[:, -tokens.shape[1] :] for s in states), None

    @property
    def width(self) -> int:
        return int(self._ids.shape[1])

    def _run(self, tokens: Tensor, *, hidden: bool) -> Any:
        self._ids = torch.cat([self._ids, tokens], dim=1)
        if self._cache is None:
            return self._forward.decode(self._ids, self._state, self._mask, use_cache=False, hidden=hidden)
        output = self._forward.decode(tokens, self._state, self._mask, use_cache=True, cache=self._cache, hidden=hidden)
        self._cache = cache_of(output)
        return output


def _start_token(model: Any) -> int:
    for place in (getattr(model, "generation_config", None), model.config):
        for name in ("decoder_start_token_id", "bos_token_id"):
            if isinstance(token := getattr(place, name, None), int):
                return token
    raise ModelError(f"{type(model).__name__} names no decoder_start_token_id, so no answer can begin; set it in config.json")
