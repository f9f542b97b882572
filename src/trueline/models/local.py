"""Models of transformers on this machine: a white box whose log-probs and token statistics are taken while it decodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trueline.errors import InputError, ModelError
from trueline.models.answers import answer_texts, check_settings, request_result, rows_of
from trueline.models.base import GenerationRequest, GenerationSettings, ModelShape, OptionScores, Prompt, RequestResult
from trueline.models.checkpoints import (
    context_length,
    eos_ids,
    hash_config,
    hash_files,
    hash_processor,
    hash_tokenizer,
    hash_weights,
    read_checkpoint,
    weight_files,
)
from trueline.models.decoding import decode_rows
from trueline.models.encoding import TextCodec
from trueline.models.forward import CausalForward, Forward
from trueline.models.insides import Inside, Wanted, model_shape, split_columns
from trueline.models.limits import Limits
from trueline.models.memory import in_memory
from trueline.models.pictured import PicturedIds, reads_both_ways
from trueline.models.placement import place
from trueline.models.scoring import continuation_logprobs, next_token_logprobs
from trueline.models.seq2seq import Seq2SeqForward
from trueline.models.steps import DecodedRow, Row, StopRule
from trueline.models.vision import VisionCodec, image_ids
from trueline.traces.insides import layer_at

#: Prompts scored together.
_SCORE_BATCH = 32

_NO_LAW = "the model's next-token law is not a number (NaN logits)"


def load(
    source: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    max_memory: Mapping[str, Any] | None = None,
    quantization_config: Mapping[str, Any] | None = None,
    load_in_8bit: bool = False,
    load_in_4bit: bool = False,
    attn_implementation: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    chat: bool | None = None,
    uri: str | None = None,
) -> LocalModel:
    """Load a causal, encoder-decoder or vision-language model from a local directory or hub id; weights from safetensors only.

    Parameters
    ----------
    device: where it runs; the GPU when there is one, else ``"cpu"``.
    dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, ``"float64"`` or ``"auto"`` (the checkpoint's); float32 on the CPU, else auto.
    device_map, max_memory, quantization_config, attn_implementation, revision: as in transformers; a quantisation is given as data, such as
        ``{"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}``.
    load_in_8bit, load_in_4bit: short for the quantisations of bitsandbytes.
    trust_remote_code: run code that comes with the checkpoint; holds for this call alone.
    chat: prompts with messages go through the chat template. None: when the tokenizer has one.
    uri: the name it goes by in runs and reports; default ``hf:`` and the source.

    Raises ``ModelError`` when the checkpoint cannot be loaded, with what to do about it, ``InputError`` for options that contradict each
    other, and ``MissingExtra`` when a package is not installed.
    """
    placement = place(
        device=device,
        dtype=dtype,
        device_map=device_map,
        max_memory=max_memory,
        quantization_config=quantization_config,
        load_in_8bit=load_in_8bit,
        load_in_4bit=load_in_4bit,
        attn_implementation=attn_implementation,
    )
    model, tokenizer = read_checkpoint(source, placement, revision=revision, trust_remote_code=trust_remote_code)
    files = weight_files(str(Path(source).expanduser()) if source.startswith("~") else source, revision)
    return LocalModel(model, tokenizer, uri=uri or f"hf:{source}", chat=chat, files=tuple(files))


class LocalModel:
    """A transformers language model (causal, encoder-decoder or with images) and its tokenizer or processor.

    Decoding never reads the sampling defaults of the checkpoint's generation configuration: the law is the one asked for. Prompts are
    prefilled once each; rows of a batch differ from rows run alone by the rounding of float32 matrix products, about 1e-6.
    Generation ends at any end-of-sequence token that the generation configuration, the configuration or the tokenizer names.
    """

    def __init__(self, model: Any, tokenizer: Any, *, uri: str, chat: bool | None = None, files: tuple[Path, ...] = ()) -> None:
        """Wrap a loaded ``model``. ``tokenizer``: of a vision-language model, its processor.

        ``files``: its weights on disk, hashed for the fingerprint; none: hashed in memory.
        """
        processor = tokenizer if hasattr(tokenizer, "image_processor") else None
        tokenizer = tokenizer if processor is None else processor.tokenizer
        has_template = bool(getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None))
        if chat and not has_template:
            raise ModelError(f"chat was asked of {uri!r}, but its tokenizer has no chat template")
        self.model = model.eval()
        self.tokenizer = tokenizer
        self._uri = uri
        self._chat = has_template if chat is None else chat
        self._files = files
        self.context = context_length(model.config)
        apart = bool(getattr(model.config, "is_encoder_decoder", False))
        self.codec = (
            TextCodec(tokenizer, chat=self._chat, context=self.context, apart=apart)
            if processor is None
            else VisionCodec(processor, chat=self._chat, image_ids=image_ids(model.config), context=self.context)
        )
        self._processor = processor
        self.forward: Forward = Seq2SeqForward(self.model) if apart else CausalForward(self.model)
        self._apart = apart
        self._fingerprint: dict[str, object] | None = None
        self._candidates: dict[tuple[str, ...], torch.Tensor] = {}
        self.eos_ids = eos_ids(model, tokenizer)

    @property
    def _limits(self) -> Limits:
        return Limits(self.forward.vocabulary, self.context, self.forward.paddable, self._apart)

    @property
    def uri(self) -> str:
        """The name it was loaded by."""
        return self._uri

    @property
    def capabilities(self) -> frozenset[str]:
        """What can be asked of it."""
        found = {"greedy", "samples", "logprobs", "token_stats", "topk", "score", "prefix_continuation"}
        if self._chat:
            found.add("chat")
        if self._processor is not None:
            found.add("images")
        if self.codec.nothing is not None:
            found.add("prior")
        if self.shape is not None:
            found |= {"hidden", "attention"} if self.shape.n_heads else {"hidden"}
        return frozenset(found)

    @property
    def decoding(self) -> str | None:
        """How it is decoded where that is not on a cache that the rows of a prompt share; None where it is."""
        name = type(self.model).__name__
        if self.forward.cacheable:
            return None
        if rows := self.forward.generate_rows:
            together = ", one row at a time" if rows == 1 else ""
            return f"by the library's generate, each row from its prompt{together}: the state of {name} cannot be repeated or selected"
        return f"over the whole sequence at each step: {name} has no cache that could be repeated or selected"

    @cached_property
    def shape(self) -> ModelShape | None:
        """Layers, heads and width, as its hidden states and eager attention show them; None when it shows no hidden states."""
        return model_shape(self.forward)

    @cached_property
    def drop_token_ids(self) -> frozenset[int]:
        """Special tokens that no answer holds (padding, roles); an end-of-sequence token is none of them."""
        added = {token for token, entry in self.tokenizer.added_tokens_decoder.items() if entry.special}
        return frozenset(added | set(self.tokenizer.all_special_ids)) - set(self.eos_ids)

    def fingerprint(self) -> Mapping[str, object]:
        """Hashes of configuration, tokenizer and weights with the type of numbers, and apart from these the library ``versions``."""
        if self._fingerprint is None:
            import transformers

            self._fingerprint = {
                "kind": "hf",
                "class": type(self.model).__name__,
                "config": hash_config(self.model.config),
                "tokenizer": hash_tokenizer(self.tokenizer),
                "weights": hash_files(self._files) if self._files else hash_weights(self.model),
                "dtype": str(self.model.dtype).removeprefix("torch."),
                "chat": self._chat,
                "eos_ids": list(self.eos_ids),
                **({} if self._processor is None else {"processor": hash_processor(self._processor)}),
                "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
            }
        return dict(self._fingerprint)

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """Answer every request, in order.

        A row's content follows from its prompt, its seed and the settings; ``batch_size`` and the other requests change the speed.
        With stop strings, ``text`` is cut before the first one, while ``tokens`` and log-probs reach up to the token that completed it.
        Raises ``InputError`` for settings that mean nothing; a request that cannot be answered gets ``error``.
        """
        check_settings(settings)
        split_columns(settings)
        wanted = [rows_of(request, settings.max_new_tokens) for request in requests]
        prompts = self.codec.encode([request.prompt for request in requests])
        results = [RequestResult() for _ in requests]
        ready: dict[int, list[int]] = {}
        for i, ids in enumerate(prompts):
            if isinstance(ids, ModelError):
                results[i] = RequestResult(error=str(ids))
            elif (unusable := self._limits.unusable(ids, settings.max_new_tokens, requests[i].forced)) is not None:
                results[i] = RequestResult(error=str(unusable))
            elif wanted[i]:
                ready[i] = ids
        run = partial(self._run, requests, ready, wanted, settings)
        split = partial(self._limits.chunks, {i: len(ids) for i, ids in ready.items()}, {i: len(wanted[i]) for i in ready})
        for chunk, answered in in_memory(list(ready), split, run, settings.batch_size):
            for k, i in enumerate(chunk):
                results[i] = RequestResult(error=str(answered)) if isinstance(answered, ModelError) else answered[k]
        return results

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Log-prob of each option string as the continuation of its prompt: the sum over its tokens, nats, no end-of-sequence token.

        An option is tokenised by itself, as text that goes on after other text: give it the leading blank it needs (`` A``).
        """
        if len(prompts) != len(options):
            raise InputError(f"{len(prompts)} prompts but {len(options)} lists of options; give one list a prompt")
        encoded: list[list[list[int]] | ModelError] = [self._encode_options(list(texts)) for texts in options]
        ids = self.codec.encode(prompts)
        scored = self._teacher_forced(ids, encoded)
        return [
            OptionScores(np.full(len(texts), np.nan), str(row))
            if isinstance(row, ModelError)
            else OptionScores(np.array([values.sum() for values in row]))
            for texts, row in zip(options, scored, strict=True)
        ]

    def score_tokens(self, prompts: Sequence[Prompt], tokens: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
        """Log-prob of every given token after its prompt, one list a prompt: (n_tokens,) float64 each.

        Raises ``ModelError`` when a prompt cannot be encoded or does not fit.
        """
        if len(prompts) != len(tokens):
            raise InputError(f"{len(prompts)} prompts but {len(tokens)} token lists; give one list a prompt")
        lists: list[list[list[int]] | ModelError] = [[list(row)] if len(row) else [] for row in tokens]
        scored = []
        for row in self._teacher_forced(self.codec.encode(prompts), lists):
            if isinstance(row, ModelError):
                raise row
            scored.append(row[0] if row else np.empty(0))
        return scored

    def continuation(self, text: str) -> list[int]:
        """Token ids of ``text`` as it goes on after other text. Raises ``ModelError`` when it cannot be tokenised."""
        return self.codec.continuation(text)

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """The text of each token by itself; part of a character is the replacement character, a special token is empty."""
        return self.codec.decode([[token] for token in ids])

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], candidates: Sequence[int], *, after: Sequence[Sequence[int]] = (), truncate: bool = False
    ) -> list[NDArray[np.float64] | ModelError]:
        """Log-probs of candidate next tokens of each prompt, (n_candidates,) float64 nats, or why there are none; -inf for an unknown id.

        ``after``: tokens that follow each prompt. ``truncate``: a prompt that is too long loses its beginning.
        """
        found: list[NDArray[np.float64] | ModelError] = []
        ready: dict[int, list[int]] = {}
        start = -self.context if truncate and self.context is not None else None
        said = after if self._apart else ()
        for i, ids in enumerate(self.codec.encode(prompts)):
            more = after[i] if after and not said else ()
            if more and not isinstance(ids, ModelError | PicturedIds) and reads_both_ways(self.model):
                ids = PicturedIds(ids, {})  # remembers where the prompt ends
            whole = ids if isinstance(ids, ModelError) else ids.and_then(more) if isinstance(ids, PicturedIds) else [*ids, *more][start:]
            unusable = whole if isinstance(whole, ModelError) else self._limits.unusable(whole, 0)
            found.append(unusable or np.empty(0))
            if unusable is None and not isinstance(whole, ModelError):
                ready[i] = whole
        split = partial(self._limits.chunks, {i: len(ids) for i, ids in ready.items()}, dict.fromkeys(ready, 1))

        def run(chunk: Sequence[int], _: int) -> NDArray[np.float64]:
            return next_token_logprobs(self.forward, [ready[i] for i in chunk], candidates, [said[i] for i in chunk] if said else ())

        for chunk, values in in_memory(list(ready), split, run, _SCORE_BATCH):
            for k, i in enumerate(chunk):
                found[i] = values if isinstance(values, ModelError) else ModelError(_NO_LAW) if np.isnan(values[k]).any() else values[k]
        return found

    def _run(
        self,
        requests: Sequence[GenerationRequest],
        ready: Mapping[int, list[int]],
        wanted: Sequence[Sequence[Row]],
        settings: GenerationSettings,
        chunk: Sequence[int],
        batch_size: int,
    ) -> list[RequestResult]:
        """The results of the requests ``chunk``, at most ``batch_size`` rows at a time."""
        plain, inside = split_columns(replace(settings, batch_size=batch_size))
        rows = [replace(row, prompt=p) for p, i in enumerate(chunk) for row in wanted[i]]
        observer = self._observer(inside, [requests[i].prompt for i in chunk])
        decoded = decode_rows(self.forward, [ready[i] for i in chunk], rows, plain, self._stop_rule(settings.stop), observer)
        if "prior_logprobs" in inside.greedy_columns:
            self._add_prior([answer for row, answer in zip(rows, decoded, strict=True) if row.seed is None and not row.forced])
        answers = zip(rows, decoded, answer_texts(self.codec, decoded, settings.stop), strict=True)
        by_prompt: list[list[tuple[Row, DecodedRow, str]]] = [[] for _ in chunk]
        for row, answer, text in answers:
            by_prompt[row.prompt].append((row, answer, text))
        return [request_result(self.codec, found, len(ready[i]), settings) for i, found in zip(chunk, by_prompt, strict=True)]

    def _teacher_forced(
        self, prompts: Sequence[list[int] | ModelError], lists: Sequence[list[list[int]] | ModelError]
    ) -> list[list[NDArray[np.float64]] | ModelError]:
        scored: list[list[NDArray[np.float64]] | ModelError] = [[] for _ in prompts]
        ready: dict[int, list[list[int]]] = {}
        for i, (ids, rows) in enumerate(zip(prompts, lists, strict=True)):
            if isinstance(ids, ModelError):
                scored[i] = ids
            elif isinstance(rows, ModelError):
                scored[i] = rows
            elif (unusable := self._limits.unusable(ids, max((len(row) for row in rows), default=0), rows)) is not None:
                scored[i] = unusable
            elif rows:
                ready[i] = rows
        token_ids = {i: ids for i, ids in enumerate(prompts) if i in ready and not isinstance(ids, ModelError)}
        sizes = {i: len(rows) for i, rows in ready.items()}  # a row each, once they go their own ways
        split = partial(self._limits.chunks, {i: len(ids) for i, ids in token_ids.items()}, sizes)

        def run(chunk: Sequence[int], _: int) -> list[list[NDArray[np.float64]]]:
            return continuation_logprobs(self.forward, [token_ids[i] for i in chunk], [ready[i] for i in chunk])

        for chunk, values in in_memory(list(token_ids), split, run, _SCORE_BATCH):
            for k, i in enumerate(chunk):
                if isinstance(values, ModelError):
                    scored[i] = values
                else:
                    scored[i] = ModelError(_NO_LAW) if any(np.isnan(line).any() for line in values[k]) else values[k]
        return scored

    def _encode_options(self, texts: list[str]) -> list[list[int]] | ModelError:
        try:
            rows = [self.codec.continuation(text) for text in texts]
        except ModelError as error:
            return error
        for text, row in zip(texts, rows, strict=True):
            if not row:
                return ModelError(f"the option {text!r} has no tokens, so it has no log-prob")
        return rows

    def _observer(self, inside: GenerationSettings, prompts: Sequence[Prompt]) -> Inside | None:
        """What looks inside a batch, or None when nothing but tokens, log-probs and their statistics is wanted."""
        greedy = inside.greedy_columns - {"prior_logprobs"}
        if not greedy | inside.sample_columns:
            return None
        if self.shape is None:
            raise InputError(f"{self.uri} shows no hidden states or attention maps; leave {', '.join(sorted(greedy))} out")
        layers = tuple(sorted({layer_at(depth, self.shape.n_layers) for depth in inside.hidden_depths}))
        suffixes = [self.codec.follow_up(prompt, inside.elicit) for prompt in prompts] if "csl_attention" in greedy else ()
        return Inside(Wanted(greedy, inside.sample_columns, layers, self.shape, self.eos_ids, self.context, suffixes))

    def _add_prior(self, answers: Sequence[DecodedRow]) -> None:
        """Log-probs of the answers' tokens after an empty prompt."""
        start = self.codec.nothing
        if start is None:
            raise InputError(
                f"the tokenizer of {self.uri} has no token that starts a text, so an empty prompt has no law; no prior_logprobs"
            )
        usable = [answer for answer in answers if answer.finish_reason != "nan"]
        values = continuation_logprobs(self.forward, [start] * len(usable), [[answer.tokens] for answer in usable]) if usable else []
        for answer, (line,) in zip(usable, values, strict=True):
            answer.inside["prior_logprobs"] = line

    def _stop_rule(self, stops: tuple[str, ...]) -> StopRule:
        if not stops:
            return StopRule(self.eos_ids)
        if stops not in self._candidates:
            candidates = self.codec.stop_candidates(stops, self.forward.vocabulary)
            self._candidates[stops] = torch.from_numpy(candidates).to(self.forward.device)

        def completed(tokens: list[int]) -> bool:
            text = self.codec.decode([tokens])[0]
            return any(stop in text for stop in stops)

        return StopRule(self.eos_ids, self._candidates[stops], completed)
