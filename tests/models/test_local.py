"""A local model at its borders: ends of text, stop strings, chat, and prompts that cannot be answered."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from trueline.errors import InputError, ModelError
from trueline.models import GenerationRequest, GenerationSettings, Message, Model, Prompt, SamplingLaw
from trueline.models.local import LocalModel

MakeModel = Callable[..., LocalModel]
Build = Callable[..., Any]
LONG = GenerationSettings(max_new_tokens=24)
PROMPT = Prompt(text="The capital of the north is")


def test_it_is_a_model(make_model: MakeModel) -> None:
    model = make_model("llama")
    assert isinstance(model, Model)
    given = {"greedy", "samples", "logprobs", "token_stats", "topk", "score", "prefix_continuation"}
    assert model.capabilities == given | {"prior", "hidden", "attention"}
    assert not model.model.training


def test_an_end_of_sequence_token_ends_the_row_and_is_scored(make_model: MakeModel, build_network: Build) -> None:
    model = make_model("gpt2", eos=None)
    [before] = model.generate([GenerationRequest(PROMPT)], LONG)
    assert before.greedy is not None
    assert before.greedy.finish_reason == "length"
    tokens = before.greedy.tokens or []
    assert len(tokens) == 24
    end = tokens[3]
    first = tokens.index(end)
    ending = LocalModel(build_network("gpt2", len(model.tokenizer), eos=[end, 399]), model.tokenizer, uri="hf:ending")
    assert set(ending.eos_ids) == {end, 399, model.tokenizer.eos_token_id}
    [after] = ending.generate([GenerationRequest(PROMPT)], LONG)
    assert after.greedy is not None
    assert after.greedy.finish_reason == "eos"
    assert after.greedy.tokens == tokens[: first + 1]
    assert after.greedy.text == model.tokenizer.decode(tokens[:first])
    assert after.greedy.token_logprobs is not None
    assert before.greedy.token_logprobs is not None
    np.testing.assert_allclose(after.greedy.token_logprobs, before.greedy.token_logprobs[: first + 1], atol=1e-5)
    assert "".join(after.greedy.token_texts or []) == after.greedy.text
    assert len(after.greedy.token_texts or []) == first + 1


def test_rows_that_end_early_do_not_change_the_others(make_model: MakeModel, build_network: Build, build_tokenizer: Build) -> None:
    """Many ends of text, so that rows leave the batch all the time."""
    tokenizer = build_tokenizer()
    model = LocalModel(build_network("gpt2", len(tokenizer), eos=list(range(40))), tokenizer, uri="hf:early")
    requests = [GenerationRequest(Prompt(text=f"Question {i}:"), sample_seeds=tuple(range(i * 10, i * 10 + 6))) for i in range(8)]
    together = model.generate(requests, LONG)
    alone = [model.generate([request], GenerationSettings(max_new_tokens=24, batch_size=1))[0] for request in requests]
    lengths = set()
    for a, b in zip(together, alone, strict=True):
        assert [row.tokens for row in a.samples] == [row.tokens for row in b.samples]
        lengths |= {len(row.tokens or []) for row in a.samples}
    assert len(lengths) > 5


def test_stop_strings_cut_the_text_and_keep_the_completing_token(make_model: MakeModel) -> None:
    model = make_model("gpt2", eos=None)
    request = GenerationRequest(PROMPT, sample_seeds=tuple(range(12)))
    [free] = model.generate([request], LONG)
    stopped_rows = 0
    for stops in (("a",), (" the", "q"), ("wer", "\n"), ("ti",), ("e ", ". "), ("never-there",)):
        [result] = model.generate([request], GenerationSettings(max_new_tokens=24, stop=stops))
        for row, whole in zip((result.greedy, *result.samples), (free.greedy, *free.samples), strict=True):
            assert row is not None
            assert whole is not None
            tokens = whole.tokens or []
            texts = [model.tokenizer.decode(tokens[:n], skip_special_tokens=True) for n in range(1, len(tokens) + 1)]
            hits = [n for n, text in enumerate(texts) if any(stop in text for stop in stops)]
            if not hits:
                assert (row.tokens, row.text, row.finish_reason) == (tokens, whole.text, whole.finish_reason)
                continue
            stopped_rows += 1
            text = texts[hits[0]]
            assert row.finish_reason == "stop"
            assert row.tokens == tokens[: hits[0] + 1]
            assert row.text == text[: min(text.find(stop) for stop in stops if stop in text)]
    assert stopped_rows > 10


def test_a_prompt_that_does_not_fit_fails_alone(make_model: MakeModel) -> None:
    model = make_model("llama")
    requests = [GenerationRequest(PROMPT), GenerationRequest(Prompt(text="painter " * 200)), GenerationRequest(Prompt(text="x"))]
    good, bad, other = model.generate(requests, LONG)
    assert good.error is None
    assert other.greedy is not None
    assert bad.greedy is None
    assert bad.error is not None
    n = len(model.tokenizer("painter " * 200)["input_ids"])
    assert str(n) in bad.error
    assert "24" in bad.error
    assert "128" in bad.error
    exact = model.tokenizer.decode(model.tokenizer("painter " * 200)["input_ids"][: 128 - 24])
    assert model.generate([GenerationRequest(Prompt(text=exact))], LONG)[0].error is None


def test_an_empty_prompt_starts_from_the_beginning_of_sequence_token(
    make_model: MakeModel, build_network: Build, build_tokenizer: Build
) -> None:
    model = make_model("llama")
    [result] = model.generate([GenerationRequest(Prompt(text=""))], LONG)
    assert result.greedy is not None
    assert result.greedy.n_prompt_tokens == 1
    [same] = model.generate([GenerationRequest(Prompt(text="<s>"))], LONG)
    assert same.greedy is not None
    assert same.greedy.tokens == result.greedy.tokens
    bare = build_tokenizer(bos=False)
    without = LocalModel(build_network("llama", len(bare)), bare, uri="hf:bare")
    assert "empty" in (without.generate([GenerationRequest(Prompt(text=""))], LONG)[0].error or "")


HOSTILE = [
    "\x00\x01\x07\x1b[31m\x7f",
    "\u202eright to left \u2066 שלום \u200f",
    "\ufffd\ufffe\U0001f3f3\ufe0f\u200d\U0001f308 e\u0301",
    "<script>alert(1)</script>",
    " \n\t\r ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_odd_text_is_answered(make_model: MakeModel, text: str) -> None:
    [result] = make_model("gpt2").generate([GenerationRequest(Prompt(text=text), sample_seeds=(1,))], LONG)
    assert result.greedy is not None
    assert result.greedy.n_prompt_tokens
    result.greedy.text.encode("utf-8")


def test_text_that_cannot_be_encoded_and_text_that_is_huge_fail_alone(make_model: MakeModel) -> None:
    requests = [
        GenerationRequest(Prompt(text=text)) for text in ("bad \ud800 surrogate", "fine", "lorem ipsum \x00" * 80_000, "a" * 1_000_000)
    ]
    surrogate, fine, huge, unbroken = make_model("llama").generate(requests, LONG)
    assert fine.greedy is not None
    assert "encode" in (surrogate.error or "")
    assert "context" in (huge.error or "")
    assert "1000000 characters" in (unbroken.error or "")


def test_laws_that_are_not_numbers_fail_alone(build_network: Build, build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer()
    network = build_network("llama", len(tokenizer))
    [poison] = tokenizer("Ž")["input_ids"][:1]
    with torch.no_grad():
        network.get_input_embeddings().weight[poison] = torch.nan
    model = LocalModel(network, tokenizer, uri="hf:nan")
    prompts = [Prompt(text="fine"), Prompt(text="bad Ž"), Prompt(text="good and longer")]
    good, bad, other = model.generate(
        [GenerationRequest(prompt, sample_seeds=(1, 2)) for prompt in prompts], GenerationSettings(max_new_tokens=6)
    )
    assert good.error is None
    assert other.error is None
    assert "NaN" in (bad.error or "")
    assert np.isfinite(good.samples[0].token_logprobs).all() if good.samples[0].token_logprobs is not None else False
    scores = model.score(prompts, [[" a", " the capital"]] * 3)
    assert [score.error is None for score in scores] == [True, False, True]
    assert np.isnan(scores[1].logprobs).all()


TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}<s>{{ m.role }}: {{ m.content }}\n"
    "{% endfor %}{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


def test_chat_models_use_messages_and_completion_models_text(make_model: MakeModel) -> None:
    plain = make_model("llama")
    tokenizer = copy.deepcopy(plain.tokenizer)
    tokenizer.chat_template = TEMPLATE
    chat = LocalModel(plain.model, tokenizer, uri="hf:chat")
    assert "chat" in chat.capabilities
    both = Prompt(text="The flag", messages=(Message("user", "Where?"),))
    rendered = Prompt(text="<s>user: Where?\n<s>assistant:")

    def greedy(model: LocalModel, prompt: Prompt) -> list[int] | None:
        [result] = model.generate([GenerationRequest(prompt)], LONG)
        assert result.greedy is not None, result.error
        return result.greedy.tokens

    assert greedy(chat, both) == greedy(plain, rendered)
    assert greedy(chat, Prompt(text="The flag")) == greedy(plain, both) == greedy(plain, Prompt(text="The flag"))
    assert greedy(LocalModel(plain.model, tokenizer, uri="hf:forced", chat=False), both) == greedy(plain, both)
    np.testing.assert_allclose(chat.score([both], [[" a"]])[0].logprobs, plain.score([rendered], [[" a"]])[0].logprobs, atol=1e-5)
    refused, mute = chat.generate([GenerationRequest(Prompt(messages=(Message("tool", "x"),))), GenerationRequest(Prompt())], LONG)
    assert "no tools" in (refused.error or "")
    assert "no text" in (mute.error or "")
    [unrendered] = plain.generate([GenerationRequest(Prompt(messages=both.messages))], LONG)
    assert "chat template" in (unrendered.error or "")
    with pytest.raises(ModelError, match="no chat template"):
        LocalModel(plain.model, plain.tokenizer, uri="hf:llama", chat=True)


def test_sampling_defaults_of_a_checkpoint_do_not_leak_in(make_model: MakeModel) -> None:
    model = make_model("gpt2")
    request = GenerationRequest(PROMPT, sample_seeds=(1, 2, 3))
    [before] = model.generate([request], LONG)
    changed = LocalModel(copy.deepcopy(model.model), model.tokenizer, uri="hf:changed")
    for name, value in {"temperature": 0.1, "top_k": 1, "do_sample": True, "repetition_penalty": 9.0, "suppress_tokens": [1, 2]}.items():
        setattr(changed.model.generation_config, name, value)
    [after] = changed.generate([request], LONG)
    assert [row.tokens for row in after.samples] == [row.tokens for row in before.samples]


def test_options_are_scored_as_continuations(make_model: MakeModel) -> None:
    model = make_model("gpt2")
    prompts = [Prompt(text="The answer is"), Prompt(text="A much longer question about the island and its flag:"), Prompt(text="x")]
    options = [[" A", " B", " the capital of the north"], [" green and white"], []]
    for prompt, texts, scores in zip(prompts, options, model.score(prompts, options), strict=True):
        prefix = model.tokenizer(prompt.text)["input_ids"]
        assert scores.error is None
        assert scores.logprobs.shape == (len(texts),)
        for text, score in zip(texts, scores.logprobs, strict=True):
            ids = model.tokenizer(text)["input_ids"]
            with torch.no_grad():
                logp = torch.log_softmax(model.model(torch.tensor([prefix + ids])).logits[0].double(), -1)
            expected = sum(float(logp[len(prefix) - 1 + k, token]) for k, token in enumerate(ids))
            assert score == pytest.approx(expected, abs=1e-4)


def test_scores_of_odd_options_and_prompts(make_model: MakeModel) -> None:
    model = make_model("llama")
    empty, long, fine = model.score([PROMPT, Prompt(text="painter " * 200), PROMPT], [[" a", ""], [" a"], [" a"]])
    assert "no tokens" in (empty.error or "")
    assert np.isnan(empty.logprobs).all()
    assert "context" in (long.error or "")
    assert fine.error is None
    with pytest.raises(InputError, match="1 prompts but 2"):
        model.score([PROMPT], [[], []])
    with pytest.raises(ModelError, match="context"):
        model.score_tokens([PROMPT], [[1] * 500])
    assert model.score_tokens([PROMPT], [[]])[0].shape == (0,)


@pytest.mark.parametrize(
    "settings",
    [
        GenerationSettings(max_new_tokens=0),
        GenerationSettings(batch_size=0),
        GenerationSettings(stop=("",)),
        GenerationSettings(law=SamplingLaw(temperature=-1)),
        GenerationSettings(greedy_columns=frozenset({"nonsense"})),
        GenerationSettings(top_k_alternatives=0),
    ],
)
def test_settings_that_mean_nothing_are_refused(make_model: MakeModel, settings: GenerationSettings) -> None:
    with pytest.raises(InputError):
        make_model("llama").generate([GenerationRequest(PROMPT)], settings)


def test_nothing_global_changes(make_model: MakeModel, capfd: pytest.CaptureFixture[str]) -> None:
    state = torch.get_rng_state()
    before = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
    numpy_state = np.random.get_state()[1]  # type: ignore[index]
    make_model("llama").generate([GenerationRequest(PROMPT, sample_seeds=(1, 2))], LONG)
    assert before == (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # type: ignore[index]
    assert capfd.readouterr() == ("", "")


def test_the_fingerprint_names_what_determines_the_content(make_model: MakeModel, build_network: Build, build_tokenizer: Build) -> None:
    model = make_model("llama")
    network = build_network("llama", len(model.tokenizer), eos=model.tokenizer.eos_token_id)
    again = LocalModel(network, model.tokenizer, uri="hf:elsewhere")
    assert model.fingerprint() == again.fingerprint()
    assert {"config", "tokenizer", "weights", "dtype", "class", "versions"} <= set(model.fingerprint())
    assert model.fingerprint()["class"] == "LlamaForCausalLM"
    with torch.no_grad():
        network.lm_head.weight[0, 0] += 1
    other = LocalModel(network, build_tokenizer(vocab_size=399), uri="hf:other").fingerprint()
    assert other["weights"] != model.fingerprint()["weights"]
    assert other["tokenizer"] != model.fingerprint()["tokenizer"]
    assert other["config"] == model.fingerprint()["config"]


def test_ties_at_the_argmax_go_to_the_lowest_id(build_network: Build, build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer()
    network = build_network("llama", len(tokenizer))
    with torch.no_grad():
        network.lm_head.weight[7:] = network.lm_head.weight[7].clone()
        network.lm_head.weight[:7] = 0
    model = LocalModel(network, tokenizer, uri="hf:ties")
    model.eos_ids = ()
    [result] = model.generate([GenerationRequest(PROMPT)], LONG)
    assert result.greedy is not None
    assert set(result.greedy.tokens or []) <= {0, 7}


def test_a_vocabulary_wider_than_the_tokenizer_is_no_trouble(build_network: Build, build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer()
    network = build_network("llama", len(tokenizer) + 200)
    model = LocalModel(network, tokenizer, uri="hf:wide")
    request = GenerationRequest(PROMPT, sample_seeds=tuple(range(8)))
    [result] = model.generate([request], GenerationSettings(max_new_tokens=16, stop=("q",)))
    assert result.error is None
    assert any(token >= len(tokenizer) for sample in result.samples for token in sample.tokens or [])


def test_a_tokenizer_of_another_model_is_named_as_such(build_network: Build, build_tokenizer: Build) -> None:
    model = LocalModel(build_network("gpt2", 300), build_tokenizer(), uri="hf:mixed")
    fine, mixed = model.generate([GenerationRequest(Prompt(text="x")), GenerationRequest(Prompt(text="The painter"))], LONG)
    assert fine.error is None
    assert "do not belong together" in (mixed.error or "")
    assert "do not belong together" in (model.score([Prompt(text="The painter")], [[" a"]])[0].error or "")
    assert "do not belong together" in (model.score([Prompt(text="x")], [[" painter"]])[0].error or "")


def test_sampled_outputs_get_their_token_texts_when_asked(make_model: MakeModel) -> None:
    model = make_model("llama")
    for marker, wanted in (("", True), ("no output holds this", False), (None, False)):
        [result] = model.generate([GenerationRequest(PROMPT, sample_seeds=(1, 2))], GenerationSettings(max_new_tokens=8, texts_with=marker))
        for sample in result.samples:
            assert (sample.token_texts is not None) == wanted
            assert not wanted or "".join(sample.token_texts or []) == sample.text
