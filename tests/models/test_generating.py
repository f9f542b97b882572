"""The library's own `generate` as a fallback: other machinery, the same tokens, seeds and numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from trueline import plan
from trueline.models import GenerationRequest, GenerationSettings, Prompt, SamplingLaw
from trueline.models.generating import rows_at_once
from trueline.models.local import LocalModel
from trueline.tasks.item import Item, Task

MakeModel = Callable[..., LocalModel]
TEXTS = ("The capital", "Where was the painter born? The painter was", "The flag", "She said that nobody")
SETTINGS = (
    GenerationSettings(max_new_tokens=12, greedy_columns=frozenset({"token_entropy", "topk"}), sample_columns=frozenset({"token_entropy"})),
    GenerationSettings(max_new_tokens=12, law=SamplingLaw(0.8, 0.9, 20), stop=("a", " the"), batch_size=3),
)


def hooked(model: LocalModel) -> LocalModel:
    """The same network, treated as if its cache could not be forked."""
    other = LocalModel(model.model, model.tokenizer, uri="hf:hooked")
    other.forward.cacheable = other.forward.paddable = False
    other.forward.generate_rows = rows_at_once(other.forward)
    assert other.forward.generate_rows > 1
    return other


@pytest.mark.parametrize(("family", "settings"), [("llama", SETTINGS[0]), ("mistral", SETTINGS[1])], ids=["law", "truncated"])
def test_it_gives_what_the_shared_cache_gives(make_model: MakeModel, family: str, settings: GenerationSettings) -> None:
    model = make_model(family)
    requests = [
        GenerationRequest(Prompt(text=text), sample_seeds=(9 * i, 9 * i + 1, 9 * i + 2), forced=((20, 31), (77,)))
        for i, text in enumerate(TEXTS)
    ]
    ends = set()
    for a, b in zip(model.generate(requests, settings), hooked(model).generate(requests, settings), strict=True):
        assert a.error is None
        assert b.error is None
        for one, other in zip((a.greedy, *a.samples, *a.forced), (b.greedy, *b.samples, *b.forced), strict=True):
            assert one is not None
            assert other is not None
            assert (one.tokens, one.text, one.finish_reason) == (other.tokens, other.text, other.finish_reason)
            np.testing.assert_allclose(one.token_logprobs, other.token_logprobs, atol=1e-5, rtol=0)
            assert one.stats.keys() == other.stats.keys()
            for name in one.stats:
                np.testing.assert_allclose(one.stats[name], other.stats[name], atol=1e-4, rtol=1e-4)
            ends.add(one.finish_reason)
    assert len(ends) >= 1 + bool(settings.stop)


def test_the_sampling_defaults_of_the_checkpoint_stay_out_and_stay(make_model: MakeModel) -> None:
    model = make_model("rwkv")
    request = GenerationRequest(Prompt(text=TEXTS[1]), sample_seeds=(1, 2, 3))
    [before] = model.generate([request], SETTINGS[0])
    changed = LocalModel(copy.deepcopy(model.model), model.tokenizer, uri="hf:changed")
    odd = {"temperature": 0.1, "top_k": 1, "do_sample": True, "repetition_penalty": 9.0, "num_beams": 3, "suppress_tokens": [1, 2]}
    for name, value in odd.items():
        setattr(changed.model.generation_config, name, value)
    [after] = changed.generate([request], SETTINGS[0])
    assert [row.tokens for row in after.samples] == [row.tokens for row in before.samples]
    assert {name: getattr(changed.model.generation_config, name) for name in odd} == odd


def test_a_network_that_mixes_up_its_batch_is_decoded_one_row_at_a_time(make_model: MakeModel) -> None:
    """RWKV of transformers broadcasts the state of two rows over each other; RecurrentGemma keeps rows apart."""
    assert make_model("rwkv").forward.generate_rows == 1
    assert make_model("recurrent_gemma").forward.generate_rows > 1
    assert make_model("llama").forward.generate_rows == 0


class Leaky(torch.nn.Module):
    """A network that does not heed the mask, or one whose cache forgets which row is which."""

    def __init__(self, network: Any, fault: str) -> None:
        super().__init__()
        self.network, self.config, self.dtype, self.device, self.fault = network, network.config, network.dtype, network.device, fault
        self.generation_config = network.generation_config

    def forward(self, input_ids: Any, attention_mask: Any = None, position_ids: Any = None, cache: Any = None, **rest: Any) -> Any:
        if self.fault == "padding" and attention_mask is not None:
            attention_mask = torch.ones_like(attention_mask)
        found = self.network(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, cache=cache, **rest)
        if self.fault == "cache" and found.cache is not None:
            for layer in found.cache.layers:
                layer.reorder_cache = lambda rows, layer=layer: type(layer).reorder_cache(layer, torch.zeros_like(rows))
        return found


@pytest.mark.parametrize(("fault", "ways"), [("none", (True, True)), ("padding", (True, False)), ("cache", (False, False))])
def test_a_promise_that_is_not_kept_is_found_when_it_is_loaded(make_model: MakeModel, fault: str, ways: tuple[bool, bool]) -> None:
    sound = make_model("llama")
    model = LocalModel(Leaky(sound.model, fault), sound.tokenizer, uri="hf:leaky")
    assert (model.forward.cacheable, model.forward.paddable) == ways
    requests = [GenerationRequest(Prompt(text=text), sample_seeds=(1, 2)) for text in TEXTS]
    for a, b in zip(sound.generate(requests, SETTINGS[0]), model.generate(requests, SETTINGS[0]), strict=True):
        for one, other in zip((a.greedy, *a.samples), (b.greedy, *b.samples), strict=True):
            assert one is not None
            assert other is not None
            assert one.tokens == other.tokens
            np.testing.assert_allclose(one.token_logprobs, other.token_logprobs, atol=1e-5, rtol=0)


class Forgetful(torch.nn.Module):
    """Hands its answers out by a `generate` whose steps forget what came before."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.config, self.dtype, self.device = network, network.config, network.dtype, network.device
        self.generation_config = network.generation_config

    def forward(self, input_ids: torch.Tensor, **ignored: Any) -> Any:
        return self.network(input_ids=input_ids, use_cache=False)

    def generate(self, input_ids: Any, generation_config: Any, logits_processor: Any, stopping_criteria: Any, **ignored: Any) -> Any:
        for _ in range(generation_config.max_new_tokens):
            scores = logits_processor(input_ids, self.network(input_ids=input_ids[:, -1:], use_cache=False).logits[:, -1].clone())
            input_ids = torch.cat([input_ids, scores.argmax(-1, keepdim=True)], dim=1)
            if bool(stopping_criteria(input_ids, scores).all()):
                break
        return input_ids


def test_a_generate_with_other_numbers_is_not_believed(make_model: MakeModel) -> None:
    sound = make_model("llama")
    model = LocalModel(Forgetful(sound.model), sound.tokenizer, uri="hf:forgetful")
    assert model.forward.generate_rows == 0
    requests = [GenerationRequest(Prompt(text=TEXTS[1]), sample_seeds=(1, 2))]
    [a], [b] = sound.generate(requests, SETTINGS[0]), model.generate(requests, SETTINGS[0])
    assert [row.tokens for row in a.samples] == [row.tokens for row in b.samples]


def test_a_method_that_only_has_the_name_is_left_alone(make_model: MakeModel) -> None:
    class Odd(Forgetful):
        def generate(self, text: str) -> str:
            return text

    assert LocalModel(Odd(make_model("llama").model), make_model("llama").tokenizer, uri="hf:odd").forward.generate_rows == 0


def test_hidden_states_of_a_network_without_a_shared_cache(make_model: MakeModel) -> None:
    model = make_model("recurrent_gemma")
    settings = GenerationSettings(max_new_tokens=6, greedy_columns=frozenset({"hidden_last", "hidden_prompt"}), hidden_depths=(1.0,))
    [result] = model.generate([GenerationRequest(Prompt(text=TEXTS[1]))], settings)
    assert result.greedy is not None
    ids = model.tokenizer(TEXTS[1])["input_ids"]
    with torch.no_grad():
        states = model.model(
            input_ids=torch.tensor([ids + (result.greedy.tokens or [])]), use_cache=False, output_hidden_states=True
        ).hidden_states[-1][0]
    np.testing.assert_allclose(result.greedy.inside["hidden_prompt"][0], states[len(ids) - 1], atol=1e-4)
    np.testing.assert_allclose(result.greedy.inside["hidden_last"][0], states[-1], atol=1e-4)


def test_the_plan_says_how_it_is_decoded(make_model: MakeModel) -> None:
    task = Task("questions", [Item("a", "Where?"), Item("b", "Who?")])
    made = plan(make_model("rwkv"), task, ["sequence_nll"], samples=0)
    how = "by the library's generate, each row from its prompt, one row at a time"
    line = f"{how}: the state of RwkvForCausalLM cannot be repeated or selected"
    assert f"decoding   {line}" in str(made)
    assert made.to_json()["decoding"] == line
    assert "decoding" not in str(plan(make_model("llama"), task, ["sequence_nll"], samples=0))
    plain = LocalModel(Forgetful(make_model("llama").model), make_model("llama").tokenizer, uri="hf:forgetful")
    assert "over the whole sequence at each step: Forgetful has no cache" in str(plan(plain, task, ["sequence_nll"], samples=0))
