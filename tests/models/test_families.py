"""One contract for every family of networks: what it gives follows from the prompt alone, and is what the library itself gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from float64 import every_number_in_float64
from text_models import ENCODER_DECODERS, STATEFUL
from text_models import FAMILIES as KNOWN

from trueline.models import Generation, GenerationRequest, GenerationSettings, Prompt, RequestResult
from trueline.models.local import LocalModel

#: Run every time; the rest of `text_models.FAMILIES` are run with the slow tests.
FAMILIES = ("llama", "gpt2", "qwen2", "qwen3", "gemma2", "gemma3", "mistral", "mixtral", "qwen2_moe", "qwen3_moe", "lfm2", "jamba")
FAMILIES += ("bloom", "opt", "deepseek_v3", "gpt_oss", "mamba", "mamba2", "rwkv", "recurrent_gemma", "minimax")
FURTHER = sorted(KNOWN.keys() - {*FAMILIES, *ENCODER_DECODERS, "t5", "bart"})
#: Prompts of very different length; the longest are past every sliding window (6 to 8 tokens) before the first answer token.
TEXTS = ("x", "Where was the painter born? The painter was", "She said that nobody knew the answer, and then she wrote it", "東京は")
N_NEW = 9
MakeModel = Callable[..., LocalModel]


def rows(result: RequestResult) -> list[Generation]:
    assert result.error is None
    assert result.greedy is not None
    return [result.greedy, *result.samples]


def library_answer(model: LocalModel, ids: list[int]) -> list[int]:
    """The library's own greedy decoding of one prompt, with its own cache and no padding."""
    whole = model.model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones((1, len(ids)), dtype=torch.long),
        max_new_tokens=N_NEW,
        do_sample=False,
        pad_token_id=0,
    )
    found: list[int] = whole[0, len(ids) :].tolist()
    return found


def plain_logprobs(model: LocalModel, ids: list[int], tokens: list[int]) -> np.ndarray:
    """One whole forward pass without padding or cache: (n_tokens,)."""
    with torch.no_grad():
        law = torch.log_softmax(model.model(input_ids=torch.tensor([ids + tokens]), use_cache=False).logits[0].double(), -1)
    return np.array([float(law[len(ids) - 1 + t, token]) for t, token in enumerate(tokens)])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_the_contract(make_model: MakeModel, family: str) -> None:
    check_generation(make_model(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_of_options_batched_and_alone(make_model: MakeModel, family: str) -> None:
    check_scores(make_model(family))


@pytest.mark.slow
@pytest.mark.parametrize("family", FURTHER)
def test_further_families_keep_it(build_network: Callable[..., Any], tokenizer: Any, family: str) -> None:
    model = LocalModel(build_network(family, len(tokenizer), eos=tokenizer.eos_token_id), tokenizer, uri=f"hf:{family}")
    check_generation(model)
    check_scores(model)


@pytest.mark.parametrize("family", ["llama", "jamba", "mamba", "mamba2", "rwkv", "recurrent_gemma", "minimax"])
def test_what_remains_is_rounding(build_network: Callable[..., Any], tokenizer: Any, family: str) -> None:
    """With every number in float64 there is nothing left: no padding, no other row and no step of the cache leaks into a law."""
    with every_number_in_float64():
        network = build_network(family, len(tokenizer), eos=tokenizer.eos_token_id, scale=12.0 * (2 if family in STATEFUL else 1))
        model = LocalModel(network, tokenizer, uri=f"hf:{family}")
        check_generation(model, within=1e-11)
        check_scores(model, within=1e-11)


def check_generation(model: LocalModel, within: float = 1e-5) -> None:
    """Answers in a batch, alone, and by the library: the same tokens, and log-probs ``within`` of each other and of one whole pass."""
    requests = [GenerationRequest(Prompt(text=text), sample_seeds=(i, i + 50)) for i, text in enumerate(TEXTS)]
    together = model.generate(requests, GenerationSettings(max_new_tokens=N_NEW))
    distinct = set()
    for request, result in zip(requests, together, strict=True):
        [alone] = model.generate([request], GenerationSettings(max_new_tokens=N_NEW, batch_size=1))
        ids = model.tokenizer(request.prompt.text)["input_ids"]
        assert rows(result)[0].tokens == library_answer(model, ids)
        for batched, single in zip(rows(result), rows(alone), strict=True):
            assert batched.tokens == single.tokens
            assert batched.tokens
            np.testing.assert_allclose(batched.token_logprobs, single.token_logprobs, atol=within, rtol=0)
            np.testing.assert_allclose(batched.token_logprobs, plain_logprobs(model, ids, batched.tokens), atol=within, rtol=0)
            distinct.add(tuple(batched.tokens))
    assert len(distinct) > 6  # the networks say different things, so equality says something


def check_scores(model: LocalModel, within: float = 1e-5) -> None:
    prompts = [Prompt(text=text) for text in TEXTS]
    options = [[" a", " the capital of the north"], [" green and white"], ["?", " river", " 1, 2, 3."], ["s"]]
    for prompt, texts, together in zip(prompts, options, model.score(prompts, options), strict=True):
        ids = model.tokenizer(prompt.text)["input_ids"]
        expected = [plain_logprobs(model, ids, model.tokenizer(text)["input_ids"]).sum() for text in texts]
        np.testing.assert_allclose(together.logprobs, model.score([prompt], [texts])[0].logprobs, atol=within, rtol=0)
        np.testing.assert_allclose(together.logprobs, expected, atol=within, rtol=0)


@pytest.mark.parametrize("family", ["mistral", "gemma3", "mixtral"])
def test_padding_on_the_left_is_not_seen(make_model: MakeModel, family: str) -> None:
    """A prompt shorter than the window beside one several windows long, and the other way round."""
    forward = make_model(family).forward
    short, long = [5, 9, 11], [(7 * k) % 300 + 5 for k in range(40)]
    with torch.inference_mode():
        for prompts in ([short, long], [long, short], [short, short, long]):
            logits, stream = forward.prefill(prompts)
            step = stream.step(torch.tensor([[17]] * len(prompts)))
            for k, prompt in enumerate(prompts):
                alone, own = forward.prefill([prompt])
                torch.testing.assert_close(logits[k], alone[0], atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(step[k], own.step(torch.tensor([[17]]))[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "mistral", "mamba"])
def test_prompts_at_the_end_of_the_context(make_model: MakeModel, family: str) -> None:
    """As long as fits is answered; one token more is that item's error, and a model without a limit takes both."""
    model = make_model(family)
    settings = GenerationSettings(max_new_tokens=8)
    ids = model.tokenizer("painter " * 200)["input_ids"]
    fits, longer = (Prompt(text=model.tokenizer.decode(ids[: 120 + extra])) for extra in (0, 1))
    first, second = model.generate([GenerationRequest(fits), GenerationRequest(longer)], settings)
    assert first.greedy is not None
    assert first.greedy.n_prompt_tokens == 120
    if model.context is None:
        assert second.error is None
    else:
        assert "121 tokens; with 8 new tokens it passes the model's context of 128" in (second.error or "")
