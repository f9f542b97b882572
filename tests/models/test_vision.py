"""Vision-language models: images in prompts, in batches with prompts that have none, with the numbers of the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from vision_models import picture, vision_model

from trueline import measure, plan
from trueline.errors import InputError, ModelError
from trueline.models import Generation, GenerationRequest, GenerationSettings, Message, Prompt, RequestResult, load_model
from trueline.models.local import LocalModel
from trueline.models.server.calls import Call
from trueline.models.server.replies import request_body
from trueline.tasks.item import Item, Task
from trueline.tasks.pictures import Picture

Build = Callable[..., Any]
FAMILIES = ("llava", "idefics3", "qwen2_vl")
N_NEW = 8
PROMPTS = (
    Prompt(text="what is this", images=(picture(1),)),
    Prompt(text="x"),
    Prompt(text="Where are the two of them? And what else", images=(picture(2, 40, 18), picture(3, 16, 16))),
    Prompt(text="Where was the painter born"),
    Prompt(text="who", images=(picture(1),)),
    Prompt(text="who", images=(picture(9),)),
)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, build_tokenizer: Build) -> LocalModel:
    network, processor = vision_model(request.param, build_tokenizer())
    return LocalModel(network, processor, uri=f"hf:{request.param}")


def rows(result: RequestResult) -> list[Generation]:
    assert result.error is None
    assert result.greedy is not None
    return [result.greedy, *result.samples]


def inputs(model: LocalModel, prompt: Prompt, tokens: list[int] | None = None) -> dict[str, torch.Tensor]:
    """What the library itself makes of a prompt, with an answer behind it."""
    processor: Any = model._processor
    paligemma = type(processor).__name__ == "PaliGemmaProcessor"  # has its own beginning of a text, takes no text alone
    text = (processor.image_token + "\n" * (not paligemma)) * len(prompt.images) + (prompt.text or "")
    shown = {"images": [[image.open() for image in prompt.images]]} if prompt.images else {}
    found = dict((processor if shown or not paligemma else processor.tokenizer)(text=[text], return_tensors="pt", **shown))
    found.pop("labels", None)
    if paligemma and not shown:
        found["token_type_ids"] = torch.zeros_like(found["input_ids"])
    if tokens:
        found["input_ids"] = torch.cat([found["input_ids"], torch.tensor([tokens])], 1)
        found["attention_mask"] = torch.ones_like(found["input_ids"])
        for name in {"mm_token_type_ids", "token_type_ids"} & found.keys():
            found[name] = torch.cat([found[name], found[name].new_full((1, len(tokens)), int(paligemma))], 1)
    return found


def laws(model: LocalModel, prompt: Prompt, tokens: list[int], **options: Any) -> Any:
    with torch.no_grad():
        return model.model(**inputs(model, prompt, tokens), use_cache=False, **options)


def plain_logprobs(model: LocalModel, prompt: Prompt, tokens: list[int]) -> np.ndarray:
    law = torch.log_softmax(laws(model, prompt, tokens).logits[0].double(), -1)[-len(tokens) - 1 : -1]
    return law[range(len(tokens)), tokens].numpy()


def test_it_keeps_the_contract(model: LocalModel) -> None:
    check_contract(model)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # PaliGemma's processor, of its own tensors
@pytest.mark.parametrize("family", ["gemma3", "qwen3_5", "qwen2_5_vl", "paligemma"])
def test_further_families_keep_it(family: str, build_tokenizer: Build) -> None:
    """Images that look both ways under sliding windows, a network with a recurrent state, one whose prompts look both ways."""
    model = LocalModel(*vision_model(family, build_tokenizer()), uri=f"hf:{family}")
    assert model.forward.paddable == (family != "qwen3_5")
    check_contract(model)
    options = [[" a", " the capital"]] * len(PROMPTS)
    for prompt, texts, together in zip(PROMPTS, options, model.score(PROMPTS, options), strict=True):
        expected = [plain_logprobs(model, prompt, model.codec.continuation(text)).sum() for text in texts]
        np.testing.assert_allclose(together.logprobs, expected, atol=2e-5, rtol=0)


def check_contract(model: LocalModel) -> None:
    requests = [GenerationRequest(prompt, sample_seeds=(i + 20, i + 40)) for i, prompt in enumerate(PROMPTS)]
    greedy = set()
    for prompt, request, result in zip(PROMPTS, requests, model.generate(requests, GenerationSettings(max_new_tokens=N_NEW)), strict=True):
        [alone] = model.generate([request], GenerationSettings(max_new_tokens=N_NEW, batch_size=1))
        given = inputs(model, prompt)
        n_prompt = given["input_ids"].shape[1]
        whole = model.model.generate(**given, max_new_tokens=N_NEW, do_sample=False, pad_token_id=0)[0, n_prompt:].tolist()
        assert rows(result)[0].tokens == whole
        assert rows(result)[0].n_prompt_tokens == n_prompt
        for batched, single in zip(rows(result), rows(alone), strict=True):
            assert batched.tokens == single.tokens
            np.testing.assert_allclose(batched.token_logprobs, single.token_logprobs, atol=1e-5, rtol=0)
            np.testing.assert_allclose(batched.token_logprobs, plain_logprobs(model, prompt, batched.tokens or []), atol=1e-5, rtol=0)
        greedy.add(tuple(rows(result)[0].tokens or []))
    assert len(greedy) == len(PROMPTS)  # also of the same words beside two images


def test_options_and_next_tokens_are_scored_after_images(model: LocalModel) -> None:
    options = [[" a", " the capital"], ["?"], [" green and white"], [" a"], ["s", " red"], ["s"]]
    scored = model.score(PROMPTS, options)
    for prompt, texts, together in zip(PROMPTS, options, scored, strict=True):
        tokens = [model.codec.continuation(text) for text in texts]
        np.testing.assert_allclose(together.logprobs, [plain_logprobs(model, prompt, row).sum() for row in tokens], atol=2e-5, rtol=0)
        np.testing.assert_allclose(together.logprobs, model.score([prompt], [texts])[0].logprobs, atol=1e-5, rtol=0)
    said = [[20, 31], [], [7], [5], [9], [9]]
    for prompt, before, law in zip(PROMPTS, said, model.next_token_logprobs(PROMPTS, [40, 41], after=said), strict=True):
        assert not isinstance(law, ModelError)
        expected = [plain_logprobs(model, prompt, [*before, token])[-1] for token in (40, 41)]
        np.testing.assert_allclose(law, expected, atol=1e-5, rtol=0)


def test_without_a_usable_cache_the_images_are_still_seen(model: LocalModel) -> None:
    whole = LocalModel(model.model, model._processor, uri="hf:whole")
    whole.forward.cacheable = whole.forward.paddable = False
    settings = GenerationSettings(max_new_tokens=4, greedy_columns=frozenset({"hidden_last"}), hidden_depths=(1.0,))
    requests = [GenerationRequest(prompt, sample_seeds=(4,)) for prompt in PROMPTS]
    for a, b in zip(model.generate(requests, settings), whole.generate(requests, settings), strict=True):
        for one, other in zip(rows(a), rows(b), strict=True):
            assert one.tokens == other.tokens
            np.testing.assert_allclose(one.token_logprobs, other.token_logprobs, atol=1e-5, rtol=0)
        np.testing.assert_allclose(rows(a)[0].inside["hidden_last"], rows(b)[0].inside["hidden_last"], atol=1e-4)
    for one, other in zip(model.score(PROMPTS, [[" a"]] * 6), whole.score(PROMPTS, [[" a"]] * 6), strict=True):
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_hidden_states_and_attention_after_images(model: LocalModel) -> None:
    columns = frozenset({"hidden_last", "hidden_prompt", "attn_prev"})
    settings = GenerationSettings(max_new_tokens=4, greedy_columns=columns, hidden_depths=(1.0,))
    [result, _] = model.generate([GenerationRequest(PROMPTS[0]), GenerationRequest(PROMPTS[2])], settings)
    [row] = rows(result)
    states = laws(model, PROMPTS[0], row.tokens or [], output_hidden_states=True).hidden_states[-1][0]
    np.testing.assert_allclose(row.inside["hidden_last"][0], states[-1 - (row.finish_reason == "eos")], atol=1e-4)
    np.testing.assert_allclose(row.inside["hidden_prompt"][0], states[row.n_prompt_tokens - 1], atol=1e-4)  # type: ignore[operator]
    assert row.inside["attn_prev"].shape == (2, 4, len(row.tokens or []) - 1)


def test_a_chat_model_sees_its_images_in_the_first_turn_of_the_user(build_tokenizer: Build) -> None:
    network, processor = vision_model("llava", build_tokenizer(), chat=True)
    chat, plain = LocalModel(network, processor, uri="hf:chat"), LocalModel(network, processor, uri="hf:plain", chat=False)
    assert {"chat", "images"} <= chat.capabilities
    turns = (Message("system", "Be brief."), Message("user", "What?"), Message("assistant", "A flag."), Message("user", "Sure?"))
    rendered = chat._processor.apply_chat_template(chat.codec._turns(Prompt(messages=turns, images=(picture(1),))), tokenize=False)
    assert rendered.startswith("<s>system: Be brief.|<s>user: <image>What?|<s>assistant: A flag.|")
    asked = Prompt(messages=(Message("user", "What?"),), images=(picture(1),))
    [a] = chat.generate([GenerationRequest(asked)], GenerationSettings(max_new_tokens=5))
    found = processor(text=["<s>user: <image>What?|<s>assistant:"], images=[[picture(1).open()]], return_tensors="pt")
    whole = network.generate(**found, max_new_tokens=5, do_sample=False, pad_token_id=0)[0].tolist()
    assert rows(a)[0].tokens == whole[found["input_ids"].shape[1] :]
    assert not {"chat"} & plain.capabilities
    [text_alone] = chat.generate([GenerationRequest(Prompt(messages=turns))], GenerationSettings(max_new_tokens=5))
    assert text_alone.error is None


def test_what_cannot_be_shown_fails_alone(model: LocalModel, tmp_path: Path) -> None:
    mark = model._processor.image_token
    (tmp_path / "gone.png").write_bytes(picture(4).read())
    gone = Picture(path=str(tmp_path / "gone.png"))
    (tmp_path / "gone.png").unlink()
    prompts = [
        PROMPTS[0],
        Prompt(text="broken", images=(Picture(data=picture(4).read()[:200]),)),
        Prompt(text="gone", images=(gone,)),
        Prompt(text=f"hostile {mark} text"),
        Prompt(text=f"hostile {mark} text", images=(picture(1),)),
        Prompt(text="too many", images=tuple(picture(k) for k in range(60))),
        PROMPTS[1],
    ]
    results = model.generate([GenerationRequest(prompt) for prompt in prompts], GenerationSettings(max_new_tokens=3))
    assert [result.error is None for result in results] == [True, False, False, False, False, False, True]
    for result, words in zip(
        results[1:6], ("broken", "there is no image", "reads as an image", "reads as an image", "context"), strict=True
    ):
        assert words in (result.error or "")
    whole = model.generate([GenerationRequest(PROMPTS[0])], GenerationSettings(max_new_tokens=3))
    assert rows(results[0])[0].tokens == rows(whole[0])[0].tokens


def test_a_model_that_reads_text_alone_refuses_images(make_model: Callable[..., LocalModel]) -> None:
    text = make_model("llama")
    refused, fine = text.generate([GenerationRequest(PROMPTS[0]), GenerationRequest(PROMPTS[1])], GenerationSettings(max_new_tokens=3))
    assert "reads text alone" in (refused.error or "")
    assert fine.error is None
    with pytest.raises(InputError, match="item 'a' of q holds images, and hf:llama reads text alone"):
        plan(text, Task("q", [Item("a", "What?", images=(picture(1),))]))


def test_a_server_is_not_asked_about_images_that_it_would_not_see() -> None:
    for route in ("chat", "completions"):
        with pytest.raises(InputError, match="text alone"):
            request_body("name", route, Call(PROMPTS[0], max_tokens=4))


def test_a_task_with_images_is_measured_and_taken_up_again(build_tokenizer: Build, tmp_path: Path) -> None:
    """From a checkpoint on disk and a file of questions to scores; other images are another run."""
    network, processor = vision_model("llava", build_tokenizer())
    network.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    for k in range(4):
        (tmp_path / f"{k}.png").write_bytes(picture(k).read())
    lines = [{"id": f"q{k}", "question": "What is it?", "answer": "flag", "image": f"{k}.png"} for k in range(4)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings: dict[str, Any] = {"samples": 2, "max_new_tokens": 5, "out": tmp_path / "run", "validate": False}
    model = load_model(f"hf:{tmp_path / 'model'}")
    assert "images" in model.capabilities
    run = measure(model, str(tmp_path / "q.jsonl"), ["sequence_nll", "p_true", "lexical_similarity"], **settings)
    scores = run.scores.select("sequence_nll", "p_true").to_numpy()
    assert np.isfinite(scores).all()
    assert len(set(scores[:, 0])) == 4  # one question, four images
    again = measure(model, str(tmp_path / "q.jsonl"), ["sequence_nll", "p_true", "lexical_similarity"], **settings)
    np.testing.assert_array_equal(again.scores.select("sequence_nll", "p_true").to_numpy(), scores)
    (tmp_path / "2.png").write_bytes(picture(77).read())
    with pytest.raises(InputError, match="hash"):
        measure(model, str(tmp_path / "q.jsonl"), ["sequence_nll"], **settings)
    processor.image_processor.image_mean = [0.1, 0.1, 0.1]
    assert LocalModel(network, processor, uri="x").fingerprint()["processor"] != model.fingerprint()["processor"]
