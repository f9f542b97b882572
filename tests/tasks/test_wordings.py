"""Wordings of a question: what they keep, what is refused, and how a task is asked for with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.items import choose
from trueline.tasks.item import Item, Task
from trueline.tasks.loading import load_task
from trueline.tasks.wordings import keeps_answer, split_name, with_wordings


def test_facts_in_all_their_wordings() -> None:
    task = load_task("world:facts?wordings=paraphrases", limit=10)
    assert len(task.items) == 120
    groups = {item.metadata["wording_group"] for item in task.items}
    assert len(groups) == 10
    first = task.items[:12]
    assert first[0].metadata["wording"] == "canonical"
    assert sum(str(i.metadata["wording"]).startswith("held out") for i in first) == 4
    assert len({i.question for i in first}) == 12
    assert len({(i.cluster, i.references, i.metadata["answer"]) for i in first}) == 1
    assert all(i.question in (i.prompt_text or "") for i in first)


def test_a_run_of_wordings_finds_its_task_again() -> None:
    name = "world:sums?wordings=case,space,typos:0.1"
    task = load_task(name)
    assert task.name == name
    again = load_task(task.name)
    assert [i.question for i in task.items] == [i.question for i in again.items]
    kept = choose(task, 10, seed=1)
    groups = [i.metadata["wording_group"] for i in kept.items]
    assert len(kept.items) == 12
    assert all(groups.count(g) == 4 for g in groups)


def test_paraphrases_of_a_file_and_the_check_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    rows = [
        {
            "id": "a",
            "question": "Is it Rome or Oslo in 1960?",
            "answer": "Rome",
            "paraphrases": ["Rome or Oslo, 1960?", "Paris or Oslo in 1960?"],
        },
        {"id": "b", "question": "What is 2 + 3?", "answer": "5", "paraphrases": ["How much is 2 and 3?", "What is 2 + 4?"]},
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    task = load_task(f"{path}?wordings=paraphrases")
    assert [i.question for i in task.items] == [rows[0]["question"], "Rome or Oslo, 1960?", "What is 2 + 3?", "How much is 2 and 3?"]
    assert task.notes == ("2 wordings changed what is asked and were not used",)
    assert task.items[1].cluster == "a"


def test_messages_are_reworded_in_the_last_user_turn() -> None:
    messages = (("system", "Be kind."), ("user", "Hello"), ("assistant", "Hi"), ("user", "Please: Who wrote it?"))
    task = with_wordings(Task("t", [Item("a", "Who wrote it?", messages=messages)]), ["case"])
    assert task.items[1].messages == (*messages[:3], ("user", "Please: who wrote it?"))
    with pytest.raises(InputError, match="does not hold its question"):
        with_wordings(Task("t", [Item("a", "Who?", prompt_text="Something else")]), ["case"])


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60), st.sampled_from(["case", "space", "typos:0.05", "typos:0.5"]))
def test_noise_keeps_numbers_and_names_and_is_seeded(text: str, kind: str) -> None:
    item = Item("a", f"where was Dotonal born in 1960 {text}", references=("Dotonal",))
    task = Task("t", [item])
    made = with_wordings(task, [kind]).items[1:]
    assert [i.question for i in made] == [i.question for i in with_wordings(task, [kind]).items[1:]]
    for other in made:
        assert other.question != item.question
        assert keeps_answer(item, other.question)
        if kind.startswith("typos"):
            assert "Dotonal" in other.question


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("world:facts?wordings=", "unknown"),
        ("world:facts?wordings=paraphrase", "did you mean paraphrases"),
        ("world:facts?wordings=typos", "typos:0.02"),
        ("world:facts?wordings=typos:2", "typos:0.02"),
        ("world:facts?wordings=typos:nan", "typos:0.02"),
    ],
)
def test_bad_names(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        split_name(name)


def test_a_task_without_paraphrases() -> None:
    with pytest.raises(InputError, match="column `paraphrases`"):
        load_task("world:sums?wordings=paraphrases", limit=3)
