from __future__ import annotations

import json
import math
from collections import Counter, defaultdict

import pytest

from trueline.errors import InputError
from trueline.knownworld import World, load_task, oracle
from trueline.knownworld.generator import STRATA
from trueline.knownworld.questions import BUILDERS, build_task

WORLD = World(0, "tiny")
TASKS = WORLD.tasks()


def test_the_shipped_facts_task() -> None:
    task = load_task("facts")
    assert len(task) >= 1500
    strata = Counter(int(i.truth["exposure"]) for i in task.items if i.metadata["kind"] == "fact")
    assert set(strata) == set(STRATA)
    assert len(set(strata.values())) == 1


@pytest.mark.parametrize("name", BUILDERS)
def test_every_task_is_complete_and_deterministic(name: str) -> None:
    task = TASKS[name]
    assert build_task(WORLD, name).items == task.items
    assert task.grade_oracle is oracle.grade
    assert task.canonical is oracle.canonical
    for item in task.items:
        law = oracle.distribution(item)
        assert sum(law.values()) == pytest.approx(1.0)
        assert item.truth["aleatoric"] == oracle.entropy(item)
        assert item.truth["epistemic"] == 0.0 - math.log1p(item.truth["exposure"])
        assert item.references
        assert item.prompt_text is not None
        assert item.question in item.prompt_text
        assert json.loads(json.dumps(dict(item.metadata))) == item.metadata


@pytest.mark.parametrize("name", ["facts", "ambiguous", "markers", "facts_heldout"])
def test_items_of_one_person_share_a_cluster(name: str) -> None:
    clusters = defaultdict(set)
    for item in TASKS[name].items:
        clusters[item.metadata["person"]].add(item.cluster)
        assert item.metadata["person"] in item.question
    assert all(len(c) == 1 for c in clusters.values())
    assert len(clusters) == len({c for cs in clusters.values() for c in cs})


def test_shifted_questions_ask_for_the_same_facts() -> None:
    facts = {(i.metadata["person"], i.metadata["relation"]): i.references for i in TASKS["facts"].items}
    clean = {i.question for i in TASKS["facts"].items}
    for name in ("facts_heldout", "facts_typos_02", "facts_typos_05", "facts_typos_10", "facts_distractor"):
        items = TASKS[name].items
        assert all(facts[i.metadata["person"], i.metadata["relation"]] == i.references for i in items)
        assert sum(i.question not in clean for i in items) > 0.3 * len(items)


def test_more_typos_damage_more_questions() -> None:
    damaged = []
    for name in ("facts_typos_02", "facts_typos_05", "facts_typos_10"):
        items = TASKS[name].items
        forms = {r.name: r.questions for r in WORLD.relations.values()}
        clean = [forms[i.metadata["relation"]][i.metadata["paraphrase"]].format(p=i.metadata["person"]) for i in items]
        damaged.append(sum(c != i.question for c, i in zip(clean, items, strict=True)))
    assert damaged[0] < damaged[1] < damaged[2]


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(InputError, match="ambiguous"):
        load_task("ambigous")
