"""The policy that puts examples with markers before prompts."""

from __future__ import annotations

import pytest

from trueline.errors import InputError
from trueline.knownworld.planted_emitter import PlantedEmitter
from trueline.models.base import GenerationRequest, GenerationSettings, Message, Model, Prompt
from trueline.policies import EmitMarkers, Shot, with_shots
from trueline.tasks.item import Item, Task

ITEM = Item("a", "Where is Oslo?", references=("Norway",))
TASK = Task("t", [ITEM], system="Be brief.")
SHOTS = (Shot(ITEM, "I think it is Norway"),)


def test_examples_stand_before_texts_and_turns() -> None:
    asked = Prompt("Question: Where is Rome?\nAnswer:", (Message("system", "Be brief."), Message("user", "Where is Rome?")))
    found = with_shots(asked, SHOTS, TASK)
    assert found.text == "Question: Where is Oslo?\nAnswer: I think it is Norway\n\nQuestion: Where is Rome?\nAnswer:"
    assert [(m.role, m.content) for m in found.messages] == [
        ("system", "Be brief."),
        ("user", "Where is Oslo?"),
        ("assistant", "I think it is Norway"),
        ("user", "Where is Rome?"),
    ]
    assert with_shots(asked, (), TASK) is asked
    assert with_shots(Prompt(text="x"), SHOTS, TASK).messages == ()


def test_it_is_a_model_and_does_what_the_examples_say() -> None:
    inner = PlantedEmitter(n=40)
    task = inner.task()
    order = sorted(range(40), key=lambda k: inner.certainty[k])
    shots = [Shot(task.items[k], f"I think it is {task.items[k].references[0]}") for k in order[:3]]
    shots += [Shot(task.items[k], task.items[k].references[0]) for k in order[-3:]]
    model = EmitMarkers(inner, task, tuple(shots))
    assert isinstance(model, Model)
    requests = [GenerationRequest(Prompt(f"Question: {task.items[k].question} Answer:")) for k in (order[5], order[-5])]
    unsure, sure = (r.greedy.text for r in model.generate(requests, GenerationSettings()) if r.greedy is not None)
    assert unsure.startswith(" I think it is ")
    assert "think" not in sure
    assert model.capabilities == inner.capabilities
    assert model.n_places == 30  # what only some models have comes from the model
    with pytest.raises(AttributeError):
        _ = model.nothing_of_the_kind


def test_other_examples_are_another_model() -> None:
    one, two = (EmitMarkers(PlantedEmitter(), TASK, (Shot(ITEM, said),)) for said in ("Norway", "Maybe it is Norway"))
    assert one.uri != two.uri
    assert one.fingerprint() != two.fingerprint()
    with pytest.raises(InputError, match="no example"):
        EmitMarkers(PlantedEmitter(), TASK, ())
