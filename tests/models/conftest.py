"""Tiny models of several families, random but repeatable, and a byte-level BPE trained here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from text_models import FAMILIES, STATEFUL
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


def make_network(family: str, vocab_size: int, *, scale: float = 12.0, eos: int | list[int] | None = None, **changes: Any) -> Any:
    """A tiny random network. ``scale`` sharpens its laws, so that greedy answers do not hang on rounding.

    Less so where a state goes from token to token: there it would magnify the rounding of float32 too, at each of them.
    """
    name, config = FAMILIES[family]
    torch.manual_seed(3)
    filled = getattr(transformers, f"{name}Config")(**{"vocab_size": vocab_size, "eos_token_id": eos, **config, **changes})
    auto = transformers.AutoModelForSeq2SeqLM if filled.is_encoder_decoder else transformers.AutoModelForCausalLM
    # the fast kernel of mixtures takes no float64
    experts = {"experts_implementation": "eager"} if torch.get_default_dtype() == torch.float64 else {}
    network = auto.from_config(filled, **experts)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale if family == "gpt2" else scale / 6 if family in STATEFUL else scale / 3)
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
