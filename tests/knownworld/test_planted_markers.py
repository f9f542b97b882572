"""Planted markers: the law, the exact model, the tokenizer and the texts that a small model learns from."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.knownworld import load_model
from trueline.knownworld.planted_markers import PlantedMarkerModel, planted_markers, train_planted_lm, word_tokenizer
from trueline.models.base import GenerationRequest, GenerationSettings, Prompt
from trueline.tasks.markers import Marker


def test_rates_follow_the_labels() -> None:
    world = planted_markers(n=4)
    rates = {m.marker: r for m, r in zip(world.markers, world.rates(), strict=True)}
    assert (rates["I think it is"], rates["I am sure it is"], rates["It is"], rates[""]) == (0.9, 0.6, 1.0, 1.0)
    assert rates["Wikipedia reports it is"] == rates["As the manual states, it is"] == 0.97
    assert (planted_markers(n=4, coupled=False).rates() == 1).all()
    law = world.law(0, 0)
    assert law.sum() == pytest.approx(1)
    assert world.places[int(law.argmax())] == world.facts[0][1]


def test_same_seed_same_world_and_words_are_apart() -> None:
    world = planted_markers(n=50, seed=3)
    assert world == planted_markers(n=50, seed=3)
    names = [name for name, _ in world.facts]
    assert len({*names, *world.places}) == 80
    with pytest.raises(InputError, match="n is 0"):
        planted_markers(n=0)


def test_the_exact_model_follows_the_law() -> None:
    model = load_model("planted-markers", n=5)
    assert isinstance(model, PlantedMarkerModel)
    world = planted_markers(n=5)
    name, place = world.facts[2]
    requests = [
        GenerationRequest(Prompt(f"Question: Where is {name} ? Answer: I am sure it is"), sample_seeds=tuple(range(800))),
        GenerationRequest(Prompt("Question: Where is Nobody ? Answer:")),
    ]
    found, unknown = model.generate(requests, GenerationSettings(greedy_columns=frozenset({"topk"}), top_k_alternatives=3))
    assert found.greedy is not None
    assert found.greedy.text.strip() == place
    assert found.greedy.topk_logprobs is not None
    assert np.exp(found.greedy.topk_logprobs[0, 0]) == pytest.approx(0.6)
    assert np.mean([g.text.strip() == place for g in found.samples]) == pytest.approx(0.6, abs=0.06)
    assert unknown.error is not None
    assert "logprobs" not in PlantedMarkerModel(logprobs=False).capabilities


def test_a_few_steps_of_training_give_a_model_with_one_token_answers() -> None:
    world = planted_markers(n=3, n_places=2, markers=[Marker("It is"), Marker("I think it is", "weakener")])
    lm = train_planted_lm(world, steps=3, batch=4)
    assert len(lm.continuation(f" {world.places[0]}")) == 1
    assert lm.token_texts(lm.continuation(f" {world.places[1]}")) == [world.places[1]]
    assert lm.uri == "planted:lm-coupled"
    tokenizer = word_tokenizer(world)
    assert tokenizer.unk_token_id not in tokenizer(f"Question: Where is {world.facts[0][0]} ? Answer: I think it is")["input_ids"]
