"""Plain forward passes of a causal transformers model: prefill once, fork the cache rows, step."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from trueline.models.generating import rows_at_once
from trueline.models.pictured import PicturedIds, picture_arguments, reads_both_ways
from trueline.models.trials import find_ways

#: One tensor a layer; None when not asked for.
States = tuple[Tensor, ...] | None


class Stream(Protocol):
    """Sequences being continued, one a row."""

    def fork(self, rows: Tensor) -> Stream:
        """A new stream of the given rows (repeats allowed); this one stays as it is."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Append ``tokens`` (n_rows, n_new) to the rows; return the logits after each of them (n_rows, n_new, vocabulary)."""
        ...

    def observe(self, tokens: Tensor, *, hidden: bool, attention: bool) -> tuple[States, States]:
        """Append ``tokens``; return of each layer, as asked for, the hidden states (embeddings first) and the attention maps among them.

        Shapes: (n_rows, n_new, width), (n_rows, n_heads, n_new, n_new).
        """
        ...

    @property
    def width(self) -> int:
        """Tokens of the longest row so far."""
        ...


class Forward(Protocol):
    """One network, called as it wants to be called.

    ``paddable``: prompts of different length can be run together. ``cacheable``: a stream keeps the past in a cache.
    ``apart``: an answer has a decoder of its own. ``generate_rows``: rows that the library's ``generate`` decodes together; 0 where it
    is not used.
    """

    model: Any
    device: torch.device
    vocabulary: int
    paddable: bool
    cacheable: bool
    apart: bool
    generate_rows: int

    def prefill(self, prompts: Sequence[Sequence[int]], observe: Callable[[States], None] | None = None) -> tuple[Tensor, Stream]:
        """Run the prompts once: logits of the next token (n_prompts, vocabulary) and a stream of one row a prompt."""
        ...

    def uncached(self, prompts: Sequence[Sequence[int]], *, before: int = 0) -> Stream:
        """A stream of equally long prompts that has run nothing yet; ``before``: without so many of their last tokens."""
        ...

    def look(self, ids: Tensor, *, hidden: bool = False, attention: bool = False) -> tuple[States, States]:
        """Hidden states and attention maps over ``ids``; None where not asked for or not given."""
        ...


_CACHE_NAMES: Final = ("cache", "cache_params", "past_key_values")


class CausalForward:
    """Calls one model as its signature wants it.

    Rows of unequal length are padded on the left, with an attention mask and position ids that undo the padding. Where that cannot be
    exact (recurrent layers carry the padding along), ``paddable`` is False and the caller passes rows of equal length only. A model whose
    state cannot be forked is decoded by the library's own ``generate``, or over the whole sequence at each step where that would give other
    numbers: slower, the same numbers.
    """

    apart = False

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device: torch.device = model.device
        parameters = inspect.signature(model.forward).parameters
        self._has = frozenset(parameters)
        self._cache_name = cache_name(model)
        self.both_ways = reads_both_ways(model)
        #: The part of a vision-language network that places images in three directions and remembers how far; None in others.
        self._rotary = next((part for part in (model, getattr(model, "model", None)) if hasattr(part, "rope_deltas")), None)
        with torch.inference_mode():
            probe = self._call(torch.zeros((1, 1), dtype=torch.long, device=self.device), use_cache=True)
        self.vocabulary: int = probe.logits.shape[-1]
        cache = cache_of(probe)
        layers = getattr(cache, "layers", None) or []
        self.cacheable = bool(layers) and all(hasattr(layer, "reorder_cache") for layer in layers)
        recurrent = any(hasattr(layer, "recurrent_states") for layer in layers)
        self.paddable = self.cacheable and not recurrent and "attention_mask" in self._has
        find_ways(self)
        pictured = getattr(model.config, "vision_config", None) is not None
        self.generate_rows: int = 0 if self.cacheable or pictured else rows_at_once(self)

    def prefill(self, prompts: Sequence[Sequence[int]], observe: Callable[[States], None] | None = None) -> tuple[Tensor, Stream]:
        """Run the prompts once: logits of the next token (n_prompts, vocabulary) and a stream of one row a prompt.

        ``observe`` is given the hidden states of all layers (n_prompts, width, d), padded on the left.
        """
        hidden = observe is not None
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        width = max(len(prompt) for prompt in prompts)
        rows = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        ids = torch.tensor(rows, dtype=torch.long, device=self.device)
        seen = picture_arguments(prompts, width, left=True, model=self.model)
        if not self.cacheable:
            output = self._call(ids, use_cache=False, keep=1, hidden=hidden, seen=seen)
            if observe is not None:
                observe(output.hidden_states)
            return self._last_logits(output), UncachedStream(self, ids, prompts)
        columns = torch.arange(width, device=self.device)
        padding = width - lengths
        mask = None if not bool(padding.any()) else (columns >= padding[:, None]).long()
        positions = (columns - padding[:, None]).clamp_(min=0)
        if self._rotary is not None:  # images are placed in three directions, which the network works out itself
            mask = (columns >= padding[:, None]).long()
            self._rotary.rope_deltas = None
        given = positions if self._rotary is None or not seen else None
        output = self._call(ids, use_cache=True, attention_mask=mask, position_ids=given, keep=1, hidden=hidden, seen=seen)
        if observe is not None:
            observe(output.hidden_states)
        deltas = None if self._rotary is None or not seen else self._rotary.rope_deltas.clone()
        return self._last_logits(output), CachedStream(self, cache_of(output), mask, lengths, deltas)

    def uncached(self, prompts: Sequence[Sequence[int]], *, before: int = 0) -> Stream:
        """Prompts of equal length, without their last ``before`` tokens, to be run whole at every step."""
        ids = torch.tensor([p[: len(p) - before] for p in prompts], dtype=torch.long, device=self.device)
        return UncachedStream(self, ids, prompts)

    def full_logits(self, ids: Tensor, last: int = 0, prompts: Sequence[Sequence[int]] = ()) -> Tensor:
        """Logits after the ``last`` tokens (0: all) of rows run without a cache: (n_rows, n, vocabulary). Padding, if any, on the right.

        ``prompts``: what the rows begin with, where these hold images.
        """
        logits: Tensor = self._call(ids, use_cache=False, keep=last, seen=self._seen(prompts, ids)).logits
        return logits[:, -last:]

    def _seen(self, prompts: Sequence[Sequence[int]], ids: Tensor) -> dict[str, Tensor]:
        seen = picture_arguments(prompts, ids.shape[1], left=False, model=self.model)
        return {**seen, "attention_mask": torch.ones_like(ids)} if seen else {}

    def look(
        self,
        ids: Tensor,
        *,
        hidden: bool = False,
        attention: bool = False,
        cache: Any = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        prompts: Sequence[Sequence[int]] = (),
    ) -> tuple[States, States]:
        """Hidden states and attention maps over ``ids``, after what is cached; None where not asked for or not given."""
        seen = self._seen(prompts, ids)
        mask = seen.pop("attention_mask", mask)
        output = self._call(
            ids,
            use_cache=cache is not None,
            attention_mask=mask,
            position_ids=positions,
            cache=cache,
            keep=1,
            hidden=hidden,
            attention=attention,
            seen=seen,
        )
        # a model without states or maps has no such field, or an empty one
        return getattr(output, "hidden_states", None) or None, getattr(output, "attentions", None) or None

    def continue_cache(self, ids: Tensor, cache: Any, mask: Tensor | None, positions: Tensor) -> tuple[Tensor, Any]:
        """Append ``ids`` to the cached rows; logits after each of them and the grown cache."""
        output = self._call(ids, use_cache=True, attention_mask=mask, position_ids=positions, cache=cache)
        return output.logits, cache_of(output)

    def _call(
        self,
        ids: Tensor,
        *,
        use_cache: bool,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Any = None,
        keep: int = 0,
        hidden: bool = False,
        attention: bool = False,
        seen: Mapping[str, Tensor] | None = None,
    ) -> Any:
        arguments: dict[str, Any] = {"input_ids": ids, "use_cache": use_cache, **(seen or {})}
        if self.both_ways:
            arguments.setdefault("token_type_ids", torch.ones_like(ids))
        if attention_mask is not None and "attention_mask" in self._has:
            arguments["attention_mask"] = attention_mask
        if position_ids is not None and "position_ids" in self._has:
            arguments["position_ids"] = position_ids
        if cache is not None:
            arguments[self._cache_name] = cache
        if keep and "logits_to_keep" in self._has:
            arguments["logits_to_keep"] = keep
        if hidden:
            arguments["output_hidden_states"] = True
        if attention:
            arguments["output_attentions"] = True
        return self.model(**arguments)

    @staticmethod
    def _last_logits(output: Any) -> Tensor:
        logits: Tensor = output.logits[:, -1]
        return logits


class CachedStream:
    """Rows whose past lives in a key-value (or state) cache."""

    def __init__(self, forward: CausalForward, cache: Any, mask: Tensor | None, lengths: Tensor, deltas: Tensor | None = None) -> None:
        self._forward = forward
        self._deltas = deltas  # (n_rows, 1) how far images moved the positions of what follows; None: not at all
        self._cache = cache
        self._mask = mask  # (n_rows, width so far) int64, None when no row is padded
        self._lengths = lengths  # tokens of each row so far, padding not counted

    def fork(self, rows: Tensor) -> CachedStream:
        mask = None if self._mask is None else self._mask.index_select(0, rows)
        cache = fork_cache(self._cache)
        cache.reorder_cache(rows)
        deltas = None if self._deltas is None else self._deltas.index_select(0, rows)
        return CachedStream(self._forward, cache, mask, self._lengths.index_select(0, rows), deltas)

    def step(self, tokens: Tensor) -> Tensor:
        logits, self._cache = self._forward.continue_cache(tokens, self._cache, *self._append(tokens))
        return logits

    def observe(self, tokens: Tensor, *, hidden: bool, attention: bool) -> tuple[States, States]:
        mask, positions = self._append(tokens)
        states, maps = self._forward.look(tokens, hidden=hidden, attention=attention, cache=self._cache, mask=mask, positions=positions)
        n_new = tokens.shape[1]
        # the keys of the new tokens come last, also where a sliding window has dropped the first ones
        return states, None if maps is None else tuple(m[..., -n_new:] for m in maps)

    @property
    def width(self) -> int:
        return int(self._lengths.max())

    def _append(self, tokens: Tensor) -> tuple[Tensor | None, Tensor]:
        """Mask and positions once ``tokens`` are part of the rows."""
        n_new = tokens.shape[1]
        positions = self._lengths[:, None] + torch.arange(n_new, device=tokens.device)
        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), n_new))], dim=1)
        self._lengths = self._lengths + n_new
        if self._deltas is not None:
            positions = (positions + self._deltas).expand(3, -1, -1)
        return self._mask, positions


class UncachedStream:
    """Rows of equal length that are run from their first token at every step; ``prompts``: what they begin with, where it holds images."""

    def __init__(self, forward: CausalForward, ids: Tensor, prompts: Sequence[Sequence[int]] = ()) -> None:
        self._forward = forward
        self._ids = ids
        self._prompts = prompts if forward.both_ways or any(isinstance(prompt, PicturedIds) for prompt in prompts) else ()

    def fork(self, rows: Tensor) -> UncachedStream:
        prompts = [self._prompts[row] for row in rows.tolist()] if self._prompts else ()
        return UncachedStream(self._forward, self._ids.index_select(0, rows), prompts)

    def step(self, tokens: Tensor) -> Tensor:
        self._ids = torch.cat([self._ids, tokens], dim=1)
        return self._forward.full_logits(self._ids, tokens.shape[1], self._prompts)

    def observe(self, tokens: Tensor, *, hidden: bool, attention: bool) -> tuple[States, States]:
        self._ids = torch.cat([self._ids, tokens], dim=1)
        states, maps = self._forward.look(self._ids, hidden=hidden, attention=attention, prompts=self._prompts)
        n_new = tokens.shape[1]
        return (
            None if states is None else tuple(s[:, -n_new:] for s in states),
            None if maps is None else tuple(m[..., -n_new:, -n_new:] for m in maps),
        )

    @property
    def width(self) -> int:
        return int(self._ids.shape[1])


def cache_name(model: Any) -> str:
    """What the cache is called among the arguments of a model."""
    # transformers 5.24 renamed the argument and the field of the output to `cache`; models' own code may keep the older names
    parameters = inspect.signature(model.forward).parameters
    return next((name for name in _CACHE_NAMES if name in parameters), _CACHE_NAMES[-1])


def cache_of(output: Any) -> Any:
    """What a model's output holds of its cache, under whichever name; None where it holds none."""
    return next((getattr(output, name) for name in _CACHE_NAMES if hasattr(output, name)), None)


def fork_cache(cache: Any) -> Any:
    """A copy whose layers can be reordered without touching the original; tensors are shared until then."""
    fork = copy.copy(cache)
    if hasattr(cache, "cross_attention_cache"):
        fork.self_attention_cache = fork_cache(cache.self_attention_cache)
        fork.cross_attention_cache = fork_cache(cache.cross_attention_cache)
        fork.is_updated = dict(cache.is_updated)
        return fork
    fork.layers = []
    for layer in cache.layers:
        twin = copy.copy(layer)
        for name, value in vars(layer).items():
            if isinstance(value, dict):  # recurrent layers keep their states in dictionaries
                setattr(twin, name, dict(value))
        fork.layers.append(twin)
    return fork
