"""Reward checkpoints: rewards follow the texts and not the batch, and what is no reward model is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2ForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

from trueline.errors import ModelError
from trueline.models.rewards import RewardCheckpoint
from trueline.tasks.preferences import dialogue

TURNS = [(("user", "Where was the painter born?"),), (("user", "Hi"), ("assistant", "Yes?"), ("user", "The capital of the north?"))]
RESPONSES = ["In a small town near the river.", "Orvik"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, build_tokenizer: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("reward")
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), num_labels=1, max_position_embeddings=128, pad_token_id=tokenizer.eos_token_id, **sizes)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_rewards_equal_the_network_and_do_not_hang_on_the_batch(checkpoint: Path, build_tokenizer: Callable[..., Any]) -> None:
    together = RewardCheckpoint(str(checkpoint), device="cpu")(TURNS, RESPONSES)
    alone = [RewardCheckpoint(str(checkpoint), device="cpu", batch_size=1)([t], [r])[0] for t, r in zip(TURNS, RESPONSES, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    network = LlamaForSequenceClassification.from_pretrained(checkpoint).eval()
    text = dialogue((*TURNS[1], ("assistant", RESPONSES[1])))
    with torch.inference_mode():
        expected = network(torch.tensor([build_tokenizer()(text)["input_ids"]])).logits[0, 0]
    assert together[1] == pytest.approx(float(expected), abs=1e-5)


def test_what_does_not_fit_has_no_reward(checkpoint: Path) -> None:
    rewards = RewardCheckpoint(str(checkpoint), device="cpu")(TURNS, [RESPONSES[0], "long " * 300])
    assert np.isfinite(rewards).tolist() == [True, False]


def test_what_is_no_reward_model_is_refused(tmp_path: Path, build_tokenizer: Callable[..., Any]) -> None:
    build_tokenizer().save_pretrained(tmp_path)
    config = GPT2Config(vocab_size=400, n_embd=16, n_layer=1, n_head=2, num_labels=3, pad_token_id=1)
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has 3 outputs; a reward model has 1"):
        RewardCheckpoint(str(tmp_path), device="cpu")(TURNS, RESPONSES)
    with pytest.raises(ModelError, match="cannot be loaded"):
        RewardCheckpoint(str(tmp_path / "nothing"), device="cpu")(TURNS, RESPONSES)
