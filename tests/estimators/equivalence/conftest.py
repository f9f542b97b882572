"""Tiny NLI checkpoints with random weights, of several families and label orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

SENTENCES = ["who wrote it? paris is the capital of france", "lyon is not a cat", "it could be marseille, said the owl", "yes no maybe 42"]

MakeJudge = Callable[..., Path]


@pytest.fixture(scope="session")
def make_nli(tmp_path_factory: pytest.TempPathFactory) -> MakeJudge:
    """``make_nli(family, id2label, max_length)`` -> directory of a checkpoint."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import (
        DebertaConfig,
        DebertaForSequenceClassification,
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(SENTENCES * 3, vocab_size=330, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    bpe._tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))

    def make(family: str = "deberta", id2label: Mapping[int, str] | None = None, max_length: int = 60) -> Path:
        labels = dict(id2label or {0: "contradiction", 1: "neutral", 2: "entailment"})
        folder = tmp_path_factory.mktemp(f"nli-{family}")
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=bpe._tokenizer,
            bos_token="<s>",
            eos_token="</s>",
            pad_token="<pad>",
            unk_token="<unk>",
            mask_token="<mask>",
            cls_token="<s>",
            sep_token="</s>",
            model_max_length=max_length,
        )
        tokenizer.save_pretrained(folder)
        common = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 80,
            "pad_token_id": 1,
            "initializer_range": 0.3,
            "id2label": labels,
            "label2id": {v: k for k, v in labels.items()},
        }
        torch.manual_seed(0)
        if family == "roberta":
            model = RobertaForSequenceClassification(RobertaConfig(**common))
        else:
            model = DebertaForSequenceClassification(
                DebertaConfig(relative_attention=True, pos_att_type=["c2p", "p2c"], position_biased_input=False, **common)
            )
        model.save_pretrained(folder)
        return folder

    return make
