"""Answers with a forced beginning: the perturbations of Huang et al. go on from one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trueline.capture.perturbation import alternatives, perturb, perturbation_point
from trueline.errors import InputError
from trueline.models import GenerationRequest, GenerationSettings, Prompt
from trueline.models.local import LocalModel
from trueline.traces.schema import PERTURBATIONS

FAMILIES = ("llama", "gpt2", "mistral", "qwen2", "mamba", "lfm2")
TEXTS = ("The capital", "Where was the painter born? The painter was", "x", "東京は")
SETTINGS = GenerationSettings(max_new_tokens=9, greedy_columns=frozenset({"token_entropy", "topk"}))
MakeModel = Callable[..., LocalModel]


def prompts() -> list[Prompt]:
    return [Prompt(text=text) for text in TEXTS]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_a_token_replaced_by_itself_gives_the_greedy_answer(make_model: MakeModel, family: str, batch_size: int) -> None:
    model = make_model(family)
    greedy = [r.greedy for r in model.generate([GenerationRequest(p) for p in prompts()], SETTINGS)]
    heads = [tuple(tuple(g.tokens[: t + 1]) for t in range(len(g.tokens))) for g in greedy if g is not None]
    asked = [GenerationRequest(p, greedy=False, forced=h) for p, h in zip(prompts(), heads, strict=True)]
    for answer, result in zip(greedy, model.generate(asked, GenerationSettings(max_new_tokens=9, batch_size=batch_size)), strict=True):
        assert result.greedy is None
        assert len(result.forced) == len(answer.tokens)
        for again in result.forced:
            assert again.text.encode() == answer.text.encode()
            assert again.tokens == answer.tokens
            assert again.finish_reason == answer.finish_reason
            np.testing.assert_allclose(again.token_logprobs, answer.token_logprobs, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_follows_a_forced_beginning_is_what_the_model_gives_after_it_alone(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    prompt = Prompt(text="The capital")
    (ids,) = model.codec.encode([prompt])
    forced = ((40, 41), (40, 50, 60), (70,))
    (result,) = model.generate([GenerationRequest(prompt, forced=forced)], GenerationSettings(max_new_tokens=7))
    assert result.greedy is not None
    for head, answer in zip(forced, result.forced, strict=True):
        tokens = list(head)
        while len(tokens) < 7 and tokens[-1] not in model.eos_ids:
            scored = model.score_tokens([prompt] * 2, [[*tokens, 3], [*tokens, 4]])
            assert len(scored) == 2
            law = model.forward.full_logits(_ids(model, [*ids, *tokens]), last=1)[0, -1]
            tokens.append(int(law.argmax()))
        assert answer.tokens == tokens


def _ids(model: LocalModel, tokens: list[int]) -> Any:
    import torch

    return torch.tensor([tokens], device=model.forward.device)


def test_an_alternative_that_ends_the_sequence_stops_there(make_model: MakeModel) -> None:
    model = make_model()
    eos = model.eos_ids[0]
    (result,) = model.generate(
        [GenerationRequest(Prompt(text="x"), greedy=False, forced=((40, eos), (eos,)))], GenerationSettings(max_new_tokens=6)
    )
    assert [a.tokens for a in result.forced] == [[40, eos], [eos]]
    assert [a.finish_reason for a in result.forced] == ["eos", "eos"]
    assert result.forced[1].text == ""


def test_padding_and_roles_are_dropped_but_the_end_is_kept(make_model: MakeModel) -> None:
    model = make_model()
    bos = model.tokenizer.bos_token_id
    assert bos in model.drop_token_ids
    assert not set(model.eos_ids) & model.drop_token_ids
    assert alternatives([9, model.eos_ids[0], bos, 5, 6, 7, 8], 9, model.drop_token_ids) == [model.eos_ids[0], 5, 6, 7]
    assert alternatives([9, 5], 9) == [5]
    assert alternatives([5, 9, 6], 9) == [5, 6]


def test_perturbed_answers_start_as_the_greedy_one_and_part_at_the_point(make_model: MakeModel) -> None:
    model = make_model()
    greedy = [r.greedy for r in model.generate([GenerationRequest(p) for p in prompts()], SETTINGS)]
    rows = perturb(model, [*zip(prompts(), greedy, strict=True), (Prompt(text="?"), None)], PERTURBATIONS, SETTINGS)
    assert set(rows) == set(PERTURBATIONS)
    for kind, items in rows.items():
        assert items[-1] == [{"error": "not asked: the item has no greedy answer"}]
        for answer, lines in zip(greedy, items, strict=False):
            assert answer is not None
            at = perturbation_point(answer.stats["token_entropy"], kind)
            assert [line["perturbed_at"] for line in lines] == [at] * 4
            assert len({line["tokens"][at] for line in lines} | {answer.tokens[at]}) == 5
            assert all(line["tokens"][:at] == answer.tokens[:at] for line in lines)
            best = [t for t in answer.topk_ids[at] if t != answer.tokens[at] and t not in model.drop_token_ids][:4]
            assert [line["tokens"][at] for line in lines] == best


def test_more_alternatives_begin_with_the_same_ones(make_model: MakeModel) -> None:
    model = make_model()
    answers = [(p, r.greedy) for p, r in zip(prompts(), model.generate([GenerationRequest(p) for p in prompts()], SETTINGS), strict=True)]
    four, six = (perturb(model, answers, PERTURBATIONS[:1], SETTINGS, n)[PERTURBATIONS[0]] for n in (4, 6))
    for few, many in zip(four, six, strict=True):
        assert len(many) == 6
        assert [line["text"] for line in many[:4]] == [line["text"] for line in few]


def test_points_that_coincide_are_decoded_once(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    (result,) = model.generate([GenerationRequest(Prompt(text="x"))], GenerationSettings(1, greedy_columns=SETTINGS.greedy_columns))
    seen: list[int] = []
    generate = model.generate
    monkeypatch.setattr(model, "generate", lambda asked, s: seen.extend(len(r.forced) for r in asked) or generate(asked, s))
    rows = perturb(model, [(Prompt(text="x"), result.greedy)], PERTURBATIONS, GenerationSettings(1))
    assert seen == [4]
    assert rows[PERTURBATIONS[0]] == rows[PERTURBATIONS[1]] == rows[PERTURBATIONS[2]]


def test_points_take_the_first_of_equals_and_refuse_nonsense() -> None:
    flat = [0.3, 0.3, 0.3]
    assert [perturbation_point(flat, kind) for kind in PERTURBATIONS] == [0, 0, 1]
    assert [perturbation_point([0.7], kind) for kind in PERTURBATIONS] == [0, 0, 0]
    for entropy in ([], [np.nan], [[0.1]], [np.inf, 1.0]):
        with pytest.raises(InputError):
            perturbation_point(entropy, "perturb_max_entropy")
    with pytest.raises(InputError, match="unknown perturbation"):
        perturbation_point([0.1], "perturb_middle")


def test_beginnings_that_cannot_be_forced_are_refused(make_model: MakeModel) -> None:
    model = make_model()
    for forced in (((),), ((1, 2, 3),)):
        with pytest.raises(InputError, match="forced"):
            model.generate([GenerationRequest(Prompt(text="x"), forced=forced)], GenerationSettings(max_new_tokens=2))
    (result,) = model.generate([GenerationRequest(Prompt(text="x"), forced=((10**6,),))], GenerationSettings(max_new_tokens=2))
    assert result.error is not None
