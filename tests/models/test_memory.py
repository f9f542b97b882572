"""Batches that follow the memory: what does not fit is run in halves, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from trueline.errors import ModelError
from trueline.models import GenerationRequest, GenerationSettings, Prompt
from trueline.models.local import LocalModel
from trueline.models.memory import in_memory

TEXTS = ("The capital", "x", "She said", "Question: who", "東京", "1, 2, 3", "a", "b")
MakeModel = Callable[..., LocalModel]


class Small(torch.nn.Module):
    """A network on a device that holds so many rows, and counts how often that was too few."""

    def __init__(self, network: Any, most_rows: int, most_tokens: int = 128) -> None:
        super().__init__()
        self.network, self.config, self.dtype, self.device = network, network.config, network.dtype, network.device
        self.most_rows, self.most_tokens, self.failures = most_rows, most_tokens, 0

    def forward(self, input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None, cache: Any = None, **rest: Any) -> Any:
        if len(input_ids) > self.most_rows or input_ids.shape[1] > self.most_tokens:
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is")
        return self.network(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, cache=cache, **rest)


@pytest.mark.parametrize("most_rows", [1, 3, 10])
def test_a_batch_that_does_not_fit_is_halved_with_the_same_answers(make_model: MakeModel, most_rows: int) -> None:
    roomy = make_model("llama")
    network = Small(roomy.model, most_rows)
    tight = LocalModel(network, roomy.tokenizer, uri="hf:tight")
    requests = [GenerationRequest(Prompt(text=text), sample_seeds=(3 * i, 3 * i + 1)) for i, text in enumerate(TEXTS)]
    settings = GenerationSettings(max_new_tokens=5, batch_size=64)
    for a, b in zip(roomy.generate(requests, settings), tight.generate(requests, settings), strict=True):
        assert b.error is None
        for one, other in zip((a.greedy, *a.samples), (b.greedy, *b.samples), strict=True):
            assert one is not None
            assert other is not None
            assert one.tokens == other.tokens
            np.testing.assert_allclose(one.token_logprobs, other.token_logprobs, atol=1e-5, rtol=0)
    assert 0 < network.failures < 12  # it does not run into the wall again with every batch
    network.failures = 0
    prompts = [request.prompt for request in requests]
    for one, other in zip(roomy.score(prompts, [[" a"]] * len(TEXTS)), tight.score(prompts, [[" a"]] * len(TEXTS)), strict=True):
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)
    laws = tight.next_token_logprobs(prompts, [5, 6])
    assert not any(isinstance(law, ModelError) for law in laws)
    assert (network.failures > 0) == (most_rows < len(TEXTS))


def test_a_prompt_that_never_fits_fails_alone(make_model: MakeModel) -> None:
    roomy = make_model("llama")
    tight = LocalModel(Small(roomy.model, 99, 20), roomy.tokenizer, uri="hf:short")
    prompts = [Prompt(text=text) for text in ("fine", "painter " * 30, "also fine")]
    results = tight.generate([GenerationRequest(prompt) for prompt in prompts], GenerationSettings(max_new_tokens=3))
    assert [result.error is None for result in results] == [True, False, True]
    assert "memory" in (results[1].error or "")
    scores = tight.score(prompts, [[" a"]] * 3)
    assert [score.error is None for score in scores] == [True, False, True]
    assert isinstance(tight.next_token_logprobs(prompts, [5])[1], ModelError)


def test_other_errors_are_not_swallowed() -> None:
    def run(chunk: Any, size: int) -> None:
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        list(in_memory([0, 1], lambda requests, size: [list(requests)], run, 2))
