"""Encoder-decoders: one pass over the prompt, answers from a decoder of their own, the same numbers as the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from text_models import ENCODER_DECODERS
from tokenizers.processors import TemplateProcessing

from trueline import measure, plan
from trueline.errors import InputError, ModelError
from trueline.models import TOKEN_STATS, Generation, GenerationRequest, GenerationSettings, Prompt, RequestResult, load_model
from trueline.models.local import LocalModel
from trueline.models.proxy import LocalProxy
from trueline.tasks.item import Item, Task

Build = Callable[..., Any]
TEXTS = ("The capital", "Where was the painter born? The painter was", "x", "", "She said that nobody knew the answer", "The flag of")
N_NEW = 9
COLUMNS = frozenset({*TOKEN_STATS, "topk", "hidden_last", "hidden_prompt", "prior_logprobs"})


@pytest.fixture(scope="module")
def reader(build_tokenizer: Build) -> Any:
    """A tokenizer that ends every text, as that of T5 does."""
    tokenizer = build_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", tokenizer.eos_token_id)])
    return tokenizer


@pytest.fixture(scope="module", params=["t5", "bart"])
def model(request: pytest.FixtureRequest, build_network: Build, reader: Any) -> LocalModel:
    network = build_network(request.param, len(reader), eos=reader.eos_token_id, scale=6.0)
    return LocalModel(network, reader, uri=f"hf:{request.param}")


def rows(result: RequestResult) -> list[Generation]:
    assert result.error is None
    assert result.greedy is not None
    return [result.greedy, *result.samples, *result.forced]


def whole_pass(model: LocalModel, text: str, tokens: list[int], **options: Any) -> Any:
    """One whole pass of the library over a prompt and its answer."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return model.model(input_ids=ids, decoder_input_ids=torch.tensor([[model.forward.start, *tokens]]), use_cache=False, **options)


def law(model: LocalModel, text: str, tokens: list[int]) -> np.ndarray:
    """The model's own laws of the answer's tokens: (n_tokens, vocabulary) log-probs."""
    found: np.ndarray = torch.log_softmax(whole_pass(model, text, tokens[:-1]).logits[0].double(), -1).numpy()
    return found


def test_it_keeps_the_contract(model: LocalModel) -> None:
    check_contract(model)


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(ENCODER_DECODERS))
def test_further_families_keep_it(build_network: Build, reader: Any, family: str) -> None:
    network = build_network(family, len(reader), eos=reader.eos_token_id, scale=6.0)
    model = LocalModel(network, reader, uri=f"hf:{family}")
    check_contract(model)
    check_options(model)


def check_contract(model: LocalModel) -> None:
    requests = [GenerationRequest(Prompt(text=text), sample_seeds=(i, i + 50), forced=((20, 31),)) for i, text in enumerate(TEXTS)]
    together = model.generate(requests, GenerationSettings(max_new_tokens=N_NEW))
    distinct = set()
    for text, request, result in zip(TEXTS, requests, together, strict=True):
        [alone] = model.generate([request], GenerationSettings(max_new_tokens=N_NEW, batch_size=1))
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        whole = model.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=N_NEW, do_sample=False)[0, 1:].tolist()
        assert rows(result)[0].tokens == whole
        assert rows(result)[0].n_prompt_tokens == ids.shape[1]
        for batched, single in zip(rows(result), rows(alone), strict=True):
            assert batched.tokens == single.tokens
            tokens = batched.tokens or []
            laws = law(model, text, tokens)
            np.testing.assert_allclose(batched.token_logprobs, single.token_logprobs, atol=1e-5, rtol=0)
            np.testing.assert_allclose(batched.token_logprobs, laws[np.arange(len(tokens)), tokens], atol=1e-5, rtol=0)
            distinct.add(tuple(tokens))
        assert (rows(result)[-1].tokens or [])[:2] == [20, 31]
    assert len(distinct) > 8


def test_a_prompt_is_encoded_once_for_all_its_answers(model: LocalModel) -> None:
    calls = []
    hook = model.model.get_encoder().register_forward_hook(lambda *_: calls.append(1))
    try:
        model.generate([GenerationRequest(Prompt(text=TEXTS[1]), sample_seeds=tuple(range(8)))], GenerationSettings(max_new_tokens=6))
    finally:
        hook.remove()
    assert len(calls) == 1


def test_options_are_scored_as_whole_answers(model: LocalModel) -> None:
    check_options(model)


def check_options(model: LocalModel) -> None:
    prompts = [Prompt(text=text) for text in TEXTS]
    options = [[" A", "B"], [" green and white", " red"], ["?"], [" a"], [" the capital", "x"], ["s"]]
    for text, texts, together in zip(TEXTS, options, model.score(prompts, options), strict=True):
        expected = []
        for option in texts:  # an answer begins with itself: the blank that a continuation would need is left out
            tokens = model.tokenizer(option.removeprefix(" "), add_special_tokens=False)["input_ids"]
            expected.append(law(model, text, tokens)[np.arange(len(tokens)), tokens].sum())
        np.testing.assert_allclose(together.logprobs, expected, atol=2e-5, rtol=0)
        np.testing.assert_allclose(together.logprobs, model.score([Prompt(text=text)], [texts])[0].logprobs, atol=1e-5, rtol=0)


def test_next_tokens_after_what_was_answered_so_far(model: LocalModel) -> None:
    said = [[20, 31], [], [7], [5, 6, 7], [], [9]]
    found = model.next_token_logprobs([Prompt(text=text) for text in TEXTS], [40, 41, 399, 10_000], after=said)
    for text, row, values in zip(TEXTS, said, found, strict=True):
        assert not isinstance(values, ModelError)
        np.testing.assert_allclose(values[:3], law(model, text, [*row, 40])[-1, [40, 41, 399]], atol=1e-5)
        assert values[3] == -np.inf


def test_what_is_recorded_beside_the_answer(model: LocalModel) -> None:
    settings = GenerationSettings(max_new_tokens=N_NEW, greedy_columns=COLUMNS, top_k_alternatives=4, hidden_depths=(0.5, 1.0))
    requests = [GenerationRequest(Prompt(text=text)) for text in TEXTS]
    for text, result in zip(TEXTS, model.generate(requests, settings), strict=True):
        [row] = rows(result)
        tokens = row.tokens or []
        laws = law(model, text, tokens)
        np.testing.assert_allclose(row.stats["token_entropy"], -(np.exp(laws) * laws).sum(-1), atol=1e-4)
        assert row.topk_ids is not None
        assert row.topk_ids[:, 0].tolist() == tokens
        n_text = len(tokens) - (row.finish_reason == "eos")
        states = whole_pass(model, text, tokens, output_hidden_states=True).decoder_hidden_states
        assert row.inside["n_layers"] == len(states) - 1
        for place, layer in enumerate(row.inside["hidden_layers"]):
            np.testing.assert_allclose(row.inside["hidden_prompt"][place], states[layer][0, 0], atol=1e-4)  # the start token
            np.testing.assert_allclose(row.inside["hidden_last"][place], states[layer][0, n_text], atol=1e-4)
        np.testing.assert_allclose(row.inside["prior_logprobs"], law(model, "", tokens)[np.arange(len(tokens)), tokens], atol=1e-5)


def test_what_it_cannot_show_is_said_before_it_runs(model: LocalModel, tmp_path: Path) -> None:
    assert {"hidden", "prior", "score", "prefix_continuation"} <= model.capabilities
    assert "attention" not in model.capabilities
    task = Task("questions", [Item("a", "Where is the flag?", references=("river",)), Item("b", "Who?", references=("she",))])
    made = plan(model, task, samples=3)
    assert any("no attention maps" in reason for reason in made.left_out.values())
    assert {"sequence_nll", "p_true", "eigenscore", "semantic_entropy"} <= set(made.estimators)
    run = measure(model, task, ["sequence_nll", "p_true"], samples=0, max_new_tokens=6, out=tmp_path / "run", validate=False)
    assert np.isfinite(run.scores.select("sequence_nll", "p_true").to_numpy()).all()
    with pytest.raises(InputError, match="causal"):
        LocalProxy.of(model)


def test_prompt_and_answer_have_limits_of_their_own(model: LocalModel) -> None:
    long = Prompt(text="painter " * 200)
    [result] = model.generate([GenerationRequest(long)], GenerationSettings(max_new_tokens=4))
    if model.context is None:  # T5 counts distances
        assert result.error is None
    else:
        assert "more than the encoder's context of 128" in (result.error or "")
        [result] = model.generate([GenerationRequest(Prompt(text="x"))], GenerationSettings(max_new_tokens=200))
        assert "decoder's context of 128" in (result.error or "")


def test_without_a_cache_the_numbers_are_the_same(model: LocalModel) -> None:
    plainly = LocalModel(model.model, model.tokenizer, uri="hf:plain")
    plainly.forward.cacheable = False
    requests = [GenerationRequest(Prompt(text=text), sample_seeds=(4, 5)) for text in TEXTS]
    settings = GenerationSettings(max_new_tokens=N_NEW)
    for a, b in zip(model.generate(requests, settings), plainly.generate(requests, settings), strict=True):
        for one, other in zip(rows(a), rows(b), strict=True):
            assert one.tokens == other.tokens
            np.testing.assert_allclose(one.token_logprobs, other.token_logprobs, atol=1e-5, rtol=0)
    assert "over the whole sequence" in (plainly.decoding or "")


def test_hf_picks_it_by_its_configuration(model: LocalModel, tmp_path: Path) -> None:
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    loaded = load_model(f"hf:{tmp_path}")
    assert isinstance(loaded, LocalModel)
    assert type(loaded.model) is type(model.model)
    request = GenerationRequest(Prompt(text=TEXTS[1]), sample_seeds=(1,))
    [a], [b] = (
        model.generate([request], GenerationSettings(max_new_tokens=5)),
        loaded.generate([request], GenerationSettings(max_new_tokens=5)),
    )
    assert [row.tokens for row in rows(a)] == [row.tokens for row in rows(b)]


def test_a_decoder_that_cannot_begin_is_refused(build_network: Build, reader: Any) -> None:
    network = build_network("t5", len(reader), decoder_start_token_id=None)
    network.generation_config.decoder_start_token_id = network.generation_config.bos_token_id = None
    with pytest.raises(ModelError, match="names no decoder_start_token_id"):
        LocalModel(network, reader, uri="hf:mute")
