"""Tiny models of several families, random but repeatable, and a byte-level BPE trained here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

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


_COMMON = {"bos_token_id": None, "pad_token_id": None, "max_position_embeddings": 128}
_SMALL = {**_COMMON, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
_GEMMA = {**_SMALL, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 6}
_EXPERTS = {**_SMALL, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}

#: What a family is called in transformers, and a tiny configuration of it.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"bos_token_id": None, "pad_token_id": None, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}),
    "llama": ("Llama", _SMALL),
    "mistral": ("Mistral", {**_SMALL, "sliding_window": 7}),
    "qwen2": ("Qwen2", {**_SMALL, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {**_SMALL, "head_dim": 8}),
    "gemma2": ("Gemma2", _GEMMA),
    "gemma3": ("Gemma3", {**_GEMMA, "layer_types": ["sliding_attention", "full_attention"]}),
    "mixtral": ("Mixtral", {**_SMALL, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 7}),
    "qwen2_moe": ("Qwen2Moe", {**_EXPERTS, "shared_expert_intermediate_size": 24}),
    "qwen3_moe": ("Qwen3Moe", {**_EXPERTS, "head_dim": 8}),
    # gated convolutions and attention in turn
    "lfm2": ("Lfm2", {**_SMALL, "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}),
    "mamba": ("Mamba", {"bos_token_id": None, "pad_token_id": None, "hidden_size": 24, "state_size": 4, "num_hidden_layers": 2}),
    "jamba": (  # a state-space layer, then attention with experts
        "Jamba",
        {
            **_SMALL,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "mamba_d_state": 4,
            "mamba_d_conv": 2,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
    # its state lives in the modules, not in a cache
    "recurrent_gemma": (
        "RecurrentGemma",
        {**_SMALL, "lru_width": 32, "attention_window_size": 8, "block_types": ["recurrent", "attention"]},
    ),
    "t5": ("T5", {"pad_token_id": 1, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 1}),
    "bart": (
        "Bart",
        {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 3,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": 128,
            "decoder_start_token_id": 1,
            "pad_token_id": 1,
            "forced_eos_token_id": None,
        },
    ),
    # its state is handed around as a list of tensors
    "rwkv": ("Rwkv", {"bos_token_id": None, "pad_token_id": None, "hidden_size": 32, "num_hidden_layers": 2, "context_length": 128}),
}


def make_network(family: str, vocab_size: int, *, scale: float = 12.0, eos: int | list[int] | None = None, **changes: Any) -> Any:
    """A tiny random network. ``scale`` sharpens its laws, so that greedy answers do not hang on rounding."""
    name, config = FAMILIES[family]
    kind = getattr(transformers, f"{name}TextConfig" if family == "gemma3" else f"{name}Config")
    torch.manual_seed(3)
    filled = kind(**{"vocab_size": vocab_size, "eos_token_id": eos, **config, **changes})
    auto = transformers.AutoModelForSeq2SeqLM if filled.is_encoder_decoder else transformers.AutoModelForCausalLM
    network = auto.from_config(filled)
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
