"""The whole record: which corner was given up, and why."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from trueline.cli.terminal import _json_safe
from trueline.errors import InputError
from trueline.knownworld.planted_preferences import PlantedPreferences, planted_preferences
from trueline.metrics.preferences import Goal, flip_robustness, given_up, make_votes, trilemma_report
from trueline.stats import CI

QUICK = CI(n_boot=100)


def planted(n_items: int = 200, noise: float = 0.3, raters: int = 12) -> tuple[PlantedPreferences, Any]:
    world = planted_preferences(n_items, (noise,), 1)
    return world, world.panel(raters, np.random.default_rng(1))


def test_nothing_given_up() -> None:
    world, votes = planted()
    flips = flip_robustness(np.zeros((200, 2)))
    document = trilemma_report(votes, Goal(0.15, 0.02, budget=1e4), model_prob=world.rates.mean(axis=1), flips=flips, ci=QUICK)
    assert {c["verdict"] for c in document["corners"].values()} == {"shown"}
    assert not given_up(document)
    json.dumps(_json_safe(document), allow_nan=False)


def test_a_model_of_the_majority_gives_up_representativeness() -> None:
    world, votes = planted(noise=3.0)
    document = trilemma_report(votes, Goal(0.1), model_prob=world.rates[:, 0], ci=QUICK)
    assert document["corners"]["representative"]["verdict"] == "shown false"
    assert given_up(document) == ["representative"]
    assert document["reward"]["worst"]["low"] > document["reward"]["floor_worst"]["high"]


def test_too_few_labels_too_few_pairs_too_little_money() -> None:
    _, votes = planted(n_items=10, raters=3)
    flips = flip_robustness(np.zeros((20, 1)))
    document = trilemma_report(votes, Goal(0.05, 0.01, budget=100, label_cost=2.0), flips=flips, ci=QUICK)
    verdicts = {name: c["verdict"] for name, c in document["corners"].items()}
    assert verdicts == {"representative": "not shown", "robust": "not shown", "tractable": "shown false"}
    assert document["ten_times"]["epsilon_covered"] == pytest.approx(document["rates"]["epsilon_reached"] / math.sqrt(10))
    assert document["ten_times"]["upper_any"] == pytest.approx(0.0149, abs=2e-4)
    assert document["frontier"]["labels"] == 50
    assert any("fewer than 10 annotators" in w for w in document["warnings"])


def test_frail_pairs_are_shown_false() -> None:
    _, votes = planted(n_items=20)
    document = trilemma_report(votes, Goal(delta=0.05), flips=flip_robustness(np.ones((30, 1))), ci=QUICK)
    assert document["corners"]["robust"]["verdict"] == "shown false"
    unknown = trilemma_report(votes, flips=flip_robustness([[math.nan]]), ci=QUICK)
    assert unknown["corners"]["robust"]["verdict"] == "not shown"


def test_groups_without_votes_contexts_and_correlation() -> None:
    _, votes = planted(n_items=20)
    more = make_votes(votes.item, np.array(["a", "b"])[votes.group], votes.choice, votes.annotator, groups=["a", "b", "c"])
    contexts = np.where(votes.item < 15, "home", "work")
    document = trilemma_report(more, Goal(icc=0.2, population=1e6, budget=1e6), target=[0.5, 0.4, 0.1], contexts=contexts, ci=QUICK)
    assert document["corners"]["representative"] == {"verdict": "shown false", "why": "10.0% of the target did not vote at all"}
    assert document["rates"]["epsilon_reached"] == math.inf
    assert 0 < document["rates"]["epsilon_covered"] < 1
    assert document["rates"]["contexts"] == ["home", "work"]
    assert document["rates"]["labels"][0] == [180, 60]
    assert document["plan"]["groups"] == 3
    assert document["plan"]["cells"] == 2
    assert document["plan"]["design_effect"] == pytest.approx(1 + 19 * 0.2)
    assert document["paper_order"]["d_context"] == 1
    assert "constant unknown" in document["paper_order"]["note"]
    without = trilemma_report(more, target=[0.5, 0.5, 0.0], ci=QUICK)
    assert without["rates"]["epsilon_reached"] < 1
    assert without["sample"]["uncovered"] == []


def test_votes_of_nobody_known() -> None:
    votes = make_votes(["x", "x", "y"], ["a", "a", "b"], [1, 0, 1])
    document = trilemma_report(votes, target=[1, 0], ci=QUICK)
    assert document["n_annotators"] is None
    assert document["sample"]["unit"] == "votes"
    assert any("No annotator column" in w for w in document["warnings"])
    assert any("not in the target: b" in w for w in document["warnings"])


def test_refusals() -> None:
    votes = make_votes(["x"], ["a"], [1])
    with pytest.raises(InputError, match="contexts"):
        trilemma_report(votes, contexts=["home", "work"])
    with pytest.raises(InputError, match="epsilon"):
        trilemma_report(votes, Goal(epsilon=0))
    with pytest.raises(InputError, match="target"):
        trilemma_report(votes, target=[0.5, 0.5])
