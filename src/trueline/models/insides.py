"""Hidden states and attention maps of answers that were decoded: one more pass over their tokens, on the prompts' own cache.

Decoding itself stays as it is. Equal answers to a prompt are looked at once; eager attention is switched on for this pass alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trueline.errors import InputError
from trueline.models.base import GenerationSettings, ModelShape
from trueline.models.forward import Forward, Stream
from trueline.models.steps import DecodedRow, Row
from trueline.traces.insides import HIDDEN_COLUMNS, INSIDE_COLUMNS

#: Numbers of states and maps that one pass may hold: about 256 MB in float32.
_MOST_NUMBERS = 1 << 26
_TINY = torch.finfo(torch.float32).tiny

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Wanted:
    """What to keep.

    greedy, samples: columns. layers: of the hidden states, from 1. suffixes: for each prompt, the tokens that ``csl_attention`` appends.
    """

    greedy: frozenset[str]
    samples: frozenset[str]
    layers: tuple[int, ...]
    shape: ModelShape
    eos_ids: tuple[int, ...]
    context: int | None = None
    suffixes: Sequence[Sequence[int]] = ()

    def columns(self, row: Row) -> frozenset[str]:
        """The columns of a row."""
        return self.greedy if row.seed is None else self.samples


@dataclass
class Inside:
    """Looks inside one batch: ``prefill`` before it is decoded, ``look`` afterwards."""

    wanted: Wanted
    _stream: Stream | None = field(default=None, repr=False)
    _prompt_states: Any = field(default=None, repr=False)

    def prefill(self, forward: Forward, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Stream]:
        """The prefill that decoding starts from; its cache is kept for the answers."""
        seen: list[Any] = []
        observe = seen.append if "hidden_prompt" in self.wanted.greedy else None
        logits, stream = forward.prefill(prompts, observe=observe)
        if seen:
            self._prompt_states = torch.stack([seen[0][layer][:, -1].float() for layer in self.wanted.layers], dim=1).cpu().numpy()
        if forward.paddable:
            self._stream = stream.fork(torch.arange(len(prompts), device=forward.device))
        else:  # a recurrent state cannot take padded rows: run them whole
            self._stream = forward.uncached(prompts)
        return logits, stream

    def look(self, forward: Forward, prompts: Sequence[Sequence[int]], rows: Sequence[Row], decoded: Sequence[DecodedRow]) -> None:
        """Fill ``inside`` of the decoded rows."""
        usable = [(row, answer) for row, answer in zip(rows, decoded, strict=True) if answer.finish_reason != "nan"]
        for row, answer in usable:
            answer.inside = {"n_layers": self.wanted.shape.n_layers, "hidden_layers": list(self.wanted.layers) or None}
            if self._prompt_states is not None and row.seed is None:
                answer.inside["hidden_prompt"] = self._prompt_states[row.prompt]
        plain = frozenset({"hidden_last", "hidden_mean", "attn_prev", "attn_diag_logsum"})
        self._answers(forward, [(row, answer, self.wanted.columns(row) & plain) for row, answer in usable])
        if "csl_attention" in self.wanted.greedy:
            self._elicited(forward, prompts, [(row, answer) for row, answer in usable if row.seed is None])

    def _answers(self, forward: Forward, rows: Sequence[tuple[Row, DecodedRow, frozenset[str]]]) -> None:
        jobs: dict[tuple[int, Tokens], set[str]] = {}
        for row, answer, columns in rows:
            if columns:
                jobs.setdefault((row.prompt, tuple(answer.tokens)), set()).update(columns)
        found: dict[tuple[int, Tokens], dict[str, Any]] = {}
        for mapped in (False, True):  # rows that need attention maps run apart: they are the fewer
            part = [job for job, columns in jobs.items() if bool(columns & {"attn_prev", "attn_diag_logsum"}) is mapped]
            for batch, states, attention in self._passes(forward, part, attention=mapped):
                for line, job in enumerate(batch):
                    n_text = len(job[1]) - (job[1][-1] in self.wanted.eos_ids)
                    seen = _states(states, line, n_text, jobs[job]) | _maps(attention, line, len(job[1]), jobs[job])
                    found[job] = seen
        for row, answer, columns in rows:
            if columns:
                seen = found[row.prompt, tuple(answer.tokens)]
                answer.inside |= {name: seen[name] for name in columns if name in seen}

    def _elicited(self, forward: Forward, prompts: Sequence[Sequence[int]], rows: Sequence[tuple[Row, DecodedRow]]) -> None:
        """Attention from the last token of the eliciting prompt to the answer; 0 for an end-of-sequence token, which is not shown."""
        jobs: dict[tuple[int, Tokens], tuple[DecodedRow, int]] = {}
        for row, answer in rows:
            n_text = len(answer.tokens) - (answer.tokens[-1] in self.wanted.eos_ids)
            shown = (*answer.tokens[:n_text], *self.wanted.suffixes[row.prompt])
            fits = self.wanted.context is None or len(prompts[row.prompt]) + len(shown) <= self.wanted.context
            if n_text and fits:
                jobs[row.prompt, shown] = (answer, n_text)
        for batch, _, attention in self._passes(forward, list(jobs), attention=True, states=False):
            for line, job in enumerate(batch):
                answer, n_text = jobs[job]
                weights = np.zeros((*attention.shape[1:3], len(answer.tokens)), dtype=np.float32)
                weights[..., :n_text] = attention[line, :, :, len(job[1]) - 1, :n_text].cpu().numpy()
                answer.inside["csl_attention"] = weights

    def _passes(
        self, forward: Forward, jobs: Sequence[tuple[int, Tokens]], *, attention: bool, states: bool = True
    ) -> Iterator[tuple[list[tuple[int, Tokens]], Tensor, Tensor]]:
        """(jobs, kept layers' states (n, layers, width, d), maps (n, L, H, width, width)) of one pass each, alike in length."""
        if self._stream is None:
            raise RuntimeError("prefill comes before look")
        shape = self.wanted.shape
        order = sorted(jobs, key=lambda job: len(job[1]))
        n_past = self._stream.width
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and (end + 1 - start) * _numbers(shape, len(order[end][1]), n_past, attention) <= _MOST_NUMBERS:
                end += 1
            batch = order[start:end]
            width = len(batch[-1][1])
            tokens = torch.tensor([[*t, *[0] * (width - len(t))] for _, t in batch], dtype=torch.long, device=forward.device)
            fork = self._stream.fork(torch.tensor([prompt for prompt, _ in batch], device=forward.device))
            with eager(forward.model) if attention else unchanged():
                hidden, maps = fork.observe(tokens, hidden=states and bool(self.wanted.layers), attention=attention)
            kept = [hidden[layer].float() for layer in self.wanted.layers] if hidden else []
            yield batch, torch.stack(kept, 1) if kept else tokens, torch.stack([m.float() for m in maps], 1) if maps else tokens
            start = end


def _numbers(shape: ModelShape, n_new: int, n_past: int, attention: bool) -> int:
    """Numbers that one row of a pass holds."""
    maps = shape.n_layers * shape.n_heads * n_new * (n_past + n_new) if attention else 0
    return (shape.n_layers + 1) * shape.width * n_new + maps


def _states(states: Tensor, line: int, n_text: int, columns: set[str]) -> dict[str, Any]:
    found = {}
    if n_text and "hidden_last" in columns:
        found["hidden_last"] = states[line, :, n_text - 1].cpu().numpy()
    if n_text and "hidden_mean" in columns:
        found["hidden_mean"] = states[line, :, :n_text].double().mean(1).float().cpu().numpy()
    return found


def _maps(attention: Tensor, line: int, n: int, columns: set[str]) -> dict[str, Any]:
    found = {}
    if "attn_prev" in columns:
        found["attn_prev"] = attention[line, :, :, :n, :n].diagonal(-1, -2, -1).cpu().numpy()
    if "attn_diag_logsum" in columns:
        diagonal = attention[line, :, :, :n, :n].diagonal(0, -2, -1).double()
        # a weight that underflows to 0 counts as the smallest float32
        found["attn_diag_logsum"] = diagonal.clamp_min(_TINY).log().sum(-1).mean(-1).cpu().numpy()
    return found


def model_shape(forward: Forward) -> ModelShape | None:
    """Layers, heads and width, from one pass over one token; None for a model that shows no hidden states."""
    token = torch.zeros((1, 1), dtype=torch.long, device=forward.device)
    with torch.inference_mode():
        hidden = forward.look(token, hidden=True)[0]
        if not hidden or len(hidden) < 2:
            return None
        return ModelShape(len(hidden) - 1, _n_heads(forward, token, len(hidden) - 1), int(hidden[-1].shape[-1]))


def _n_heads(forward: Forward, token: Tensor, n_layers: int) -> int:
    """Heads a layer under eager attention; 0 where a layer has no such map, or layers differ."""
    if not hasattr(forward.model, "set_attn_implementation"):
        return 0
    try:
        with eager(forward.model):
            maps = forward.look(token, attention=True)[1]
    except (ValueError, ImportError, NotImplementedError):
        return 0  # the architecture refuses eager attention
    if maps is None or len(maps) != n_layers or any(m is None or m.ndim != 4 for m in maps):
        return 0
    heads = {int(m.shape[1]) for m in maps}
    return heads.pop() if len(heads) == 1 else 0


@contextmanager
def eager(model: Any) -> Iterator[None]:
    """Eager attention, the only kind that returns its maps; the model's own is put back."""
    own = model.config._attn_implementation
    if own == "eager":
        yield
        return
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(own)


@contextmanager
def unchanged() -> Iterator[None]:
    """Nothing to switch."""
    yield


def split_columns(settings: GenerationSettings) -> tuple[GenerationSettings, GenerationSettings]:
    """The settings with the columns that decoding records, and with those of ``INSIDE_COLUMNS``; texts of tokens are in neither."""
    within, texts = frozenset(INSIDE_COLUMNS), frozenset({"topk_texts", "token_texts"})
    if "topk_texts" in settings.greedy_columns and "topk" not in settings.greedy_columns:
        raise InputError("topk_texts are the texts of topk; ask for both")
    if unasked := (settings.sample_columns & within) - {"hidden_last", "hidden_mean"}:
        raise InputError(f"{sorted(unasked)[0]!r} is taken of the greedy answer alone; leave it out of sample_columns")
    if (settings.greedy_columns | settings.sample_columns) & set(HIDDEN_COLUMNS) and not settings.hidden_depths:
        raise InputError("hidden states are wanted, but hidden_depths names no layer; give depths in [0, 1], such as (0.5,)")
    return (
        replace(settings, greedy_columns=settings.greedy_columns - within - texts, sample_columns=settings.sample_columns - within - texts),
        replace(settings, greedy_columns=settings.greedy_columns & within, sample_columns=settings.sample_columns & within),
    )
