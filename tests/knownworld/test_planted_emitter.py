"""The planted emitter: as right as it is certain, markers as the examples show, or by lot."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.knownworld import load_model
from trueline.knownworld.planted_emitter import PlantedEmitter
from trueline.models.base import GenerationRequest, GenerationSettings, Prompt


def ask(model: PlantedEmitter, text: str, **request: object) -> list[str]:
    (found,) = model.generate([GenerationRequest(Prompt(text), **request)], GenerationSettings())  # type: ignore[arg-type]
    return [found.error or ""] if found.greedy is None else [found.greedy.text, *(s.text for s in found.samples)]


def test_it_is_right_as_often_as_it_says() -> None:
    model = PlantedEmitter(n=2000)
    true = [model.world.places.index(place) for _, place in model.world.facts]
    right = np.array(true) == np.array(model.believed)
    for certainty in (0.95, 0.35):
        own = right[model.certainty == certainty]
        assert len(own) > 900
        assert abs(own.mean() - certainty) < 4 * np.sqrt(certainty * (1 - certainty) / len(own))


def test_without_examples_there_is_no_marker() -> None:
    model = load_model("planted-emitter", n=20)
    assert isinstance(model, PlantedEmitter)
    name, _ = model.world.facts[3]
    greedy, *drawn = ask(model, f"Question: Where is {name} ?\nAnswer:", sample_seeds=tuple(range(200)))
    assert greedy == f" {model.world.places[model.believed[3]]}"
    share = np.mean([text == greedy for text in drawn])
    assert abs(share - model.certainty[3]) < 0.15
    assert ask(model, "Question: Where is Oslo ?\nAnswer:")[0].startswith("the prompt names nothing")


def test_log_probs_are_those_of_its_law() -> None:
    model = PlantedEmitter(n=20)
    name, _ = model.world.facts[0]
    request = GenerationRequest(Prompt(f"Where is {name} ? Answer:"))
    (found,) = model.generate([request], GenerationSettings(greedy_columns=frozenset({"topk"}), top_k_alternatives=5))
    assert found.greedy is not None
    assert found.greedy.token_logprobs is not None
    assert np.exp(found.greedy.token_logprobs[-1]) == pytest.approx(model.certainty[0])
    assert found.greedy.topk_logprobs is not None
    assert found.greedy.topk_logprobs.shape == (1, 5)
    assert "logprobs" not in PlantedEmitter(logprobs=False).capabilities


def test_bad_certainties() -> None:
    with pytest.raises(InputError, match=r"unsure is 0\.9"):
        PlantedEmitter(unsure=0.9, sure=0.8)
    with pytest.raises(InputError, match="does not score"):
        PlantedEmitter().score([], [])
