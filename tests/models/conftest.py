"""Tiny models of several families, random but repeatable, and a byte-level BPE trained here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from trueline.models.local import LocalModel

CORPUS = [
    "Where was the painter born? The painter was born in a small town near the river.",
    "Question: which colour has the flag of the island? Answer: green and white.",
    "The capital of the north is called Orvik, the capital of the south is called Telm.",
    "She said that nobody knew the answer, and then she wrote it down: 1, 2, 3.",
    "Žluťoučký kůň úpěl ďábelské ódy. 東京は日本の首都です。 שלום עולם",
]


def make_tokenizer(vocab_size: int = 400, *, bos: bool = True) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"] if bos else ["</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>" if bos else None, eos_token="</s>")


def make_network(family: str, vocab_size: int, *, scale: float = 12.0, eos: int | list[int] | None = None, **changes: Any) -> Any:
    """A tiny random network. ``scale`` sharpens its laws, so that greedy answers do not hang on rounding."""
    common = {"vocab_size": vocab_size, "eos_token_id": eos, "bos_token_id": None, "pad_token_id": None}
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    torch.manual_seed(3)
    if family == "gpt2":
        network: Any = GPT2LMHeadModel(GPT2Config(**common, **{"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, **changes}))
    elif family == "llama":
        network = LlamaForCausalLM(LlamaConfig(**{**common, **small, "max_position_embeddings": 128, **changes}))
    elif family == "mistral":
        network = MistralForCausalLM(MistralConfig(**common, **small, **{"max_position_embeddings": 128, "sliding_window": 7, **changes}))
    elif family == "qwen2":
        window = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1, "max_position_embeddings": 128}
        network = Qwen2ForCausalLM(Qwen2Config(**common, **small, **{**window, **changes}))
    elif family == "lfm2":  # gated convolutions and attention in turn
        kinds = {"layer_types": ["conv", "full_attention"], "max_position_embeddings": 128, "block_auto_adjust_ff_dim": False}
        network = Lfm2ForCausalLM(Lfm2Config(**common, **small, **{**kinds, **changes}))
    elif family == "mamba":
        network = MambaForCausalLM(MambaConfig(**common, **{"hidden_size": 24, "state_size": 4, "num_hidden_layers": 2, **changes}))
    else:
        raise AssertionError(family)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale if family == "gpt2" else scale / 3)
    return network.eval()


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="session")
def build_tokenizer() -> Callable[..., PreTrainedTokenizerFast]:
    return make_tokenizer


@pytest.fixture(scope="session")
def build_network() -> Callable[..., Any]:
    return make_network


@pytest.fixture(scope="session")
def make_model(tokenizer: PreTrainedTokenizerFast) -> Callable[..., LocalModel]:
    cache: dict[str, LocalModel] = {}

    def make(family: str = "llama", **changes: Any) -> LocalModel:
        key = repr((family, sorted(changes.items())))
        if key not in cache:
            changes.setdefault("eos", tokenizer.eos_token_id)
            cache[key] = LocalModel(make_network(family, len(tokenizer), **changes), tokenizer, uri=f"hf:{family}")
        return cache[key]

    return make
