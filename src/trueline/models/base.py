"""The contract of a model: a thing one can ask. Engines, policies and servers all speak these few records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trueline.tasks.pictures import Picture

#: Per-token statistics of the model's own next-token law that a white-box model can record (see ``traces.schema``).
TOKEN_STATS = (
    "token_entropy",
    "token_mean_logp",
    "token_n_finite",
    "token_max_logp",
    "token_second_logp",
    "token_renyi",
    "token_fisher_rao",
)


@dataclass(frozen=True)
class Message:
    """One chat turn."""

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """What a model is shown: chat ``messages``, or plain ``text`` to complete. A model takes the form it understands.

    When both are given, a chat model uses ``messages`` and a completion model uses ``text``. ``images`` come before the text, in the first
    turn of the user; a model that reads none refuses the prompt.
    """

    text: str | None = None
    messages: tuple[Message, ...] = ()
    images: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class SamplingLaw:
    """How samples are drawn. ``temperature=1, top_p=1, top_k=0`` is the model's own law."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    @property
    def is_model_law(self) -> bool:
        """True when samples follow the model's unmodified distribution."""
        return self.temperature == 1.0 and self.top_p == 1.0 and self.top_k == 0


@dataclass(frozen=True)
class GenerationSettings:
    """One set of settings for a call of ``Model.generate``.

    Attributes
    ----------
    max_new_tokens: most tokens of one generation, the end-of-sequence token included.
    law: sampling law of the samples (the greedy decode has none).
    stop: strings that end a generation; the text is cut before the first one.
    greedy_columns, sample_columns: trace columns wanted beside tokens and log-probs, from ``TOKEN_STATS``, ``"topk"`` and
        ``traces.insides.INSIDE_COLUMNS`` (of samples: ``hidden_last`` and ``hidden_mean`` alone); ``"topk_texts"`` of the greedy answer,
        ``"token_texts"`` of samples.
    top_k_alternatives: how many alternatives a token ``"topk"`` keeps.
    hidden_depths: relative depths in [0, 1] of the layers whose hidden states are kept.
    texts_with: sampled outputs that hold this string get ``token_texts`` too (None: none of them).
    elicit: what is said after the answer for ``csl_attention``.
    batch_size: rows decoded together (prompts x generations); changes speed, never the content.
    """

    max_new_tokens: int = 64
    law: SamplingLaw = SamplingLaw()
    stop: tuple[str, ...] = ()
    greedy_columns: frozenset[str] = frozenset()
    sample_columns: frozenset[str] = frozenset()
    top_k_alternatives: int = 15
    hidden_depths: tuple[float, ...] = ()
    texts_with: str | None = None
    elicit: str = ""
    batch_size: int = 64


@dataclass(frozen=True)
class GenerationRequest:
    """One prompt, an optional greedy decode, one sample per seed, and greedy continuations of forced beginnings.

    forced: token ids that an answer begins with, as given; what follows is decoded greedily. For models that can ``prefix_continuation``.
    """

    prompt: Prompt
    greedy: bool = True
    sample_seeds: tuple[int, ...] = ()
    forced: tuple[tuple[int, ...], ...] = ()


@dataclass
class Generation:
    """One answer. Log-probs are natural logs under the model's own law (temperature 1, no truncation).

    ``token_logprobs``: (n_tokens,) float64, the end-of-sequence token included when it was generated; None when unknown.
    ``stats``: name -> (n_tokens,) float64; ``topk_ids`` / ``topk_logprobs``: (n_tokens, k). ``inside``: columns of
    ``traces.insides.INSIDE_COLUMNS`` with ``n_layers`` and ``hidden_layers``.
    ``reasoning_span``, ``answer_start``: positions among the tokens, where the output was taken apart. ``error``: why there is no answer.
    ``topk_texts``: the alternatives as strings, n_tokens lists of k. ``reasoning``: what the model wrote before its answer, where that is
    kept apart. ``finish_reason``: ``"eos"``, ``"stop"`` (a stop string), ``"length"`` (hit the limit: truncated), or what a server calls it
    (``"refusal"``, ``"content_filter"``, ``"tool_calls"``).
    """

    text: str
    tokens: list[int] | None = None
    token_texts: list[str] | None = None
    token_logprobs: NDArray[np.float64] | None = None
    stats: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    topk_ids: NDArray[np.int32] | None = None
    topk_logprobs: NDArray[np.float64] | None = None
    inside: dict[str, Any] = field(default_factory=dict)
    topk_texts: list[list[str]] | None = None
    reasoning: str | None = None
    reasoning_span: tuple[int, int] | None = None
    answer_start: int | None = None
    error: str | None = None
    finish_reason: str | None = None
    n_prompt_tokens: int | None = None


@dataclass(frozen=True)
class RequestResult:
    """Answer to one ``GenerationRequest``: ``greedy`` (if asked), ``samples`` in seed order and ``forced`` in theirs, or ``error``."""

    greedy: Generation | None = None
    samples: tuple[Generation, ...] = ()
    error: str | None = None
    forced: tuple[Generation, ...] = ()


@dataclass(frozen=True)
class ModelShape:
    """How large a white box is: its layers, attention heads a layer (0: it shows no attention maps), and the width of a hidden state."""

    n_layers: int
    n_heads: int
    width: int


@dataclass(frozen=True)
class OptionScores:
    """Log-probs of given continuations of one prompt: ``logprobs`` (n_options,) float64, sums over their tokens."""

    logprobs: NDArray[np.float64]
    error: str | None = None


@runtime_checkable
class Model(Protocol):
    """A thing one can ask.

    ``capabilities`` is a subset of {"greedy", "samples", "logprobs", "token_stats", "topk", "score", "chat", "embed", "prior", "hidden",
    "attention", "prefix_continuation", "images"}; the planner refuses an estimator whose needs pass them. A white box also has a ``shape``
    (``ModelShape``); one that can continue a prefix has ``drop_token_ids``, tokens that no answer holds (padding, roles).
    ``fingerprint`` is JSON-safe and identifies the weights and settings
    that determine the content (never a machine path alone): it goes into the manifest and guards resumption.
    """

    @property
    def uri(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[str]: ...

    def fingerprint(self) -> Mapping[str, object]: ...

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """Answer every request, in order. A request that cannot be answered gets ``error``; the others go on."""
        ...

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Teacher-forced log-probs of each option as the continuation of its prompt."""
        ...
