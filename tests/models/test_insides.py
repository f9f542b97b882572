"""Hidden states, attention maps and prior log-probs against plain forward passes over prompt and answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from trueline.errors import InputError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Message, Prompt
from trueline.models.insides import eager
from trueline.models.local import LocalModel

MakeModel = Callable[..., LocalModel]
Build = Callable[..., Any]

PROMPTS = ["Where was the painter born?", "Question: which colour has the flag of the island? Answer:", "She said"]
HIDDEN = frozenset({"hidden_prompt", "hidden_last", "hidden_mean"})
MAPS = frozenset({"attn_prev", "attn_diag_logsum", "csl_attention"})
ELICIT = "Is it right?"


def ask(model: LocalModel, columns: frozenset[str], samples: frozenset[str] = frozenset(), **changes: Any) -> list[Any]:
    settings = GenerationSettings(
        **{
            "max_new_tokens": 9,
            "greedy_columns": columns,
            "sample_columns": samples,
            "hidden_depths": (0.5, 1.0),
            "elicit": ELICIT,
            **changes,
        }
    )
    return model.generate([GenerationRequest(Prompt(p), sample_seeds=(1, 2, 3)) for p in PROMPTS], settings)


def plain(model: LocalModel, ids: list[int], *, attention: bool = False) -> Any:
    """All hidden states and maps of one row run alone."""
    with torch.inference_mode():
        if not attention:
            return model.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        with eager(model.model):
            return model.model(input_ids=torch.tensor([ids]), output_attentions=True)


def near(actual: Any, expected: torch.Tensor) -> None:
    """Equal up to the rounding of float32 sums as large as the largest entry."""
    np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=1e-5 * float(expected.abs().max()))


def text_length(model: LocalModel, answer: Generation) -> int:
    assert answer.tokens is not None
    return len(answer.tokens) - (answer.tokens[-1] in model.eos_ids)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "qwen2", "lfm2", "mamba"])
def test_states_are_those_of_a_plain_pass(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    for prompt, result in zip(PROMPTS, ask(model, HIDDEN, frozenset({"hidden_last"})), strict=True):
        ids = model.codec.encode([Prompt(prompt)])[0]
        for answer in (result.greedy, *result.samples):
            states = plain(model, [*ids, *answer.tokens]).hidden_states
            assert answer.inside["n_layers"] == len(states) - 1 == 2
            assert answer.inside["hidden_layers"] == [1, 2]
            end = len(ids) + text_length(model, answer)
            assert ("hidden_last" in answer.inside) == (end > len(ids))
            for k, layer in enumerate((1, 2) if end > len(ids) else ()):
                near(answer.inside["hidden_last"][k], states[layer][0, end - 1])
        greedy = result.greedy.inside
        own = plain(model, [*ids, *result.greedy.tokens]).hidden_states[1][0]
        end = len(ids) + text_length(model, result.greedy)
        near(greedy["hidden_prompt"][0], own[len(ids) - 1])
        if end > len(ids):
            near(greedy["hidden_mean"][0], own[len(ids) : end].mean(0))
        assert "hidden_prompt" not in result.samples[0].inside


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral", "qwen2"])
def test_maps_are_those_of_eager_attention(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    assert model.shape is not None
    assert model.shape.n_heads == 4
    before = model.model.config._attn_implementation
    for prompt, result in zip(PROMPTS, ask(model, MAPS), strict=True):
        ids, answer = model.codec.encode([Prompt(prompt)])[0], result.greedy
        maps = torch.stack(plain(model, [*ids, *answer.tokens], attention=True).attentions)[:, 0].numpy()
        t = np.arange(len(ids), len(ids) + len(answer.tokens))
        np.testing.assert_allclose(answer.inside["attn_prev"], maps[:, :, t[1:], t[:-1]], atol=1e-5)
        np.testing.assert_allclose(answer.inside["attn_diag_logsum"], np.log(maps[:, :, t, t]).sum(-1).mean(-1), rtol=1e-4, atol=1e-3)
        n_text = text_length(model, answer)
        assert ("csl_attention" in answer.inside) == (n_text > 0)
        if not n_text:
            continue
        shown = [*ids, *answer.tokens[:n_text], *model.codec.continuation("\n" + ELICIT)]
        elicited = torch.stack(plain(model, shown, attention=True).attentions)[:, 0].numpy()
        weights = answer.inside["csl_attention"]
        assert weights.shape == (2, 4, len(answer.tokens))
        np.testing.assert_allclose(weights[..., :n_text], elicited[:, :, -1, len(ids) : len(ids) + n_text], atol=1e-5)
        assert (weights[..., n_text:] == 0).all()
    assert model.model.config._attn_implementation == before


def test_prior_is_the_answer_after_an_empty_prompt(make_model: MakeModel) -> None:
    model = make_model()
    for result in ask(model, frozenset({"prior_logprobs"})):
        answer = result.greedy
        with torch.inference_mode():
            law = model.model(input_ids=torch.tensor([[model.tokenizer.bos_token_id, *answer.tokens]])).logits[0].log_softmax(-1)
        expected = law[range(len(answer.tokens)), answer.tokens].numpy()
        np.testing.assert_allclose(answer.inside["prior_logprobs"], expected, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "lfm2"])
def test_looking_inside_changes_no_answer_and_batches_change_no_look(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    columns = HIDDEN | {"prior_logprobs"} | (MAPS if "attention" in model.capabilities else frozenset())
    bare, whole, small = ask(model, frozenset()), ask(model, columns, frozenset({"hidden_last"})), ask(model, columns, batch_size=1)
    for a, b, c in zip(bare, whole, small, strict=True):
        assert a.greedy.inside == {}
        for one, two, three in zip((a.greedy, *a.samples), (b.greedy, *b.samples), (c.greedy, *c.samples), strict=True):
            assert one.tokens == two.tokens == three.tokens
            np.testing.assert_array_equal(one.token_logprobs, two.token_logprobs)
        for name, value in b.greedy.inside.items():
            np.testing.assert_allclose(c.greedy.inside[name], value, atol=1e-3, rtol=1e-3, err_msg=name)


def test_one_layer_one_token_and_no_text(make_model: MakeModel, build_network: Build, build_tokenizer: Build) -> None:
    model = make_model("llama", num_hidden_layers=1)
    (result, *_) = ask(model, HIDDEN | MAPS, max_new_tokens=1)
    assert result.greedy.inside["hidden_layers"] == [1]
    assert result.greedy.inside["attn_prev"].shape == (1, 4, 0)
    tokenizer = build_tokenizer()
    probe = LocalModel(build_network("llama", len(tokenizer)), tokenizer, uri="hf:probe")
    first = [r.greedy.tokens[0] for r in ask(probe, frozenset())]
    silent = LocalModel(build_network("llama", len(tokenizer), eos=first), tokenizer, uri="hf:silent")
    for result in ask(silent, HIDDEN | MAPS):
        assert len(result.greedy.tokens) == 1
        assert result.greedy.text == ""
        inside = result.greedy.inside
        assert {"hidden_last", "hidden_mean", "csl_attention"}.isdisjoint(inside)
        assert inside["hidden_prompt"].shape == (2, 32)


def test_what_a_model_does_not_show_is_no_capability(make_model: MakeModel, build_network: Build, build_tokenizer: Build) -> None:
    assert {"hidden", "attention", "prior"} <= make_model("llama").capabilities
    assert "attention" not in make_model("mamba").capabilities
    assert "attention" not in make_model("lfm2").capabilities  # its convolutions have no map
    assert "hidden" in make_model("mamba").capabilities
    network = build_network("llama", 400)

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not supported")

    network.set_attn_implementation = refuse
    model = LocalModel(network, build_tokenizer(), uri="hf:flash")
    assert model.shape is not None
    assert model.shape.n_heads == 0
    bare = build_tokenizer()
    bare.bos_token = bare.eos_token = None
    assert "prior" not in LocalModel(build_network("llama", 400), bare, uri="hf:bare").capabilities


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_columns": frozenset({"attn_prev"})},
        {"greedy_columns": frozenset({"hidden_last"}), "hidden_depths": ()},
        {"greedy_columns": frozenset({"hidden_last"}), "hidden_depths": (1.5,)},
    ],
)
def test_settings_that_mean_nothing_are_refused(make_model: MakeModel, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ask(
            make_model(),
            columns=changes.pop("greedy_columns", frozenset()),
            samples=changes.pop("sample_columns", frozenset()),
            **changes,
        )


def test_a_chat_model_is_elicited_by_a_turn_of_its_template(build_network: Build, build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    model = LocalModel(build_network("llama", len(tokenizer)), tokenizer, uri="hf:chat")
    prompt = Prompt(messages=(Message("user", "Who?"),))
    assert tokenizer.decode(model.codec.follow_up(prompt, "Sure?")) == "\n[user] Sure?\n[assistant] "
    assert tokenizer.decode(model.codec.follow_up(Prompt("Who?"), "Sure?")) == "\nSure?"


def test_texts_of_alternatives_and_of_sampled_tokens(make_model: MakeModel) -> None:
    model = make_model()
    for result in ask(model, frozenset({"topk", "topk_texts"}), frozenset({"token_texts"}), top_k_alternatives=4):
        answer = result.greedy
        assert answer.tokens is not None
        for t, (ids, texts) in enumerate(zip(answer.topk_ids.tolist(), answer.topk_texts, strict=True)):
            before = model.tokenizer.decode(answer.tokens[:t], skip_special_tokens=True)
            for token, text in zip(ids, texts, strict=True):
                assert before + text == model.tokenizer.decode([*answer.tokens[:t], token], skip_special_tokens=True)
        for sample in result.samples:
            assert "".join(sample.token_texts) == sample.text
            assert len(sample.token_texts) == len(sample.tokens)
    assert ask(model, frozenset())[0].samples[0].token_texts is None
    with pytest.raises(InputError, match="ask for both"):
        ask(model, frozenset({"topk_texts"}))
