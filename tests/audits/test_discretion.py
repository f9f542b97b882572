"""The discretion audit from texts to findings: planted truth is found through a judge, faults of the judge are seen, nothing is made up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueline.audits import DiscretionAudit, Likelihood, Principle
from trueline.errors import InputError
from trueline.knownworld.planted_pairs import PlantedJudge, planted_pairs
from trueline.metrics.discretion_summary import discretion_summary
from trueline.models.base import GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.tasks.preferences import PreferenceTable, Turns, load_preferences

WORLD = planted_pairs(n=400, k=6, seed=3)
PRINCIPLES = [Principle(name, text) for name, text in WORLD.principles]
STRENGTHS = dict(zip((name for name, _ in WORLD.principles), WORLD.w.tolist(), strict=True))


def table(rows: Sequence[Mapping[str, Any]] = WORLD.rows) -> PreferenceTable:
    return PreferenceTable("planted.jsonl", tuple(range(1, len(rows) + 1)), tuple(rows))


def reward(conversations: Sequence[Turns], responses: Sequence[str]) -> list[float]:
    del conversations
    judge = PlantedJudge(STRENGTHS)
    return [judge._merit(text, None) for text in responses]


def test_through_a_judge_the_audit_finds_what_the_truth_says() -> None:
    annotators: Any = {"human": "human", "other": "other", "judge": PlantedJudge(STRENGTHS), "reward": reward}
    audit = DiscretionAudit(PRINCIPLES, PlantedJudge(), annotators, ci=None)
    assert audit.calls(400) == 400 * (6 * 2 + 2)
    found = audit.run(table())
    np.testing.assert_array_equal(found.P, WORLD.P)
    truth = discretion_summary(WORLD.P, {n: [r[n] for r in WORLD.rows] for n in ("human", "other")}, list(STRENGTHS), ci=None)
    for name in ("human", "other"):
        assert json.dumps(found.document["annotators"][name]) == json.dumps(truth["annotators"][name])
    # the planted judge and reward follow the human's strengths without the human's noise
    np.testing.assert_array_equal(
        found.preferences["judge"], np.where(found.preferences["reward"] == 0, math.nan, found.preferences["reward"])
    )
    for name in ("judge", "reward"):
        assert found.document["annotators"][name]["arbitrariness"]["1"]["value"] == 0
    apart = {(d["a"], d["b"]): d["value"] for d in found.document["discrepancies"]}
    assert apart["human", "reward"] < 0.25 < apart["other", "reward"]
    assert found.document["oracle"]["calls"] == 4800
    assert found.document["oracle"]["invalid"] == 0


def test_errors_of_the_judge_look_like_arbitrariness_and_shrink_where_principles_agree() -> None:
    audits = [DiscretionAudit(PRINCIPLES, PlantedJudge(noise=noise), {"reward": reward}, ci=None) for noise in (0.0, 0.15)]
    clean, noisy = (audit.run(table()).document for audit in audits)
    assert clean["annotators"]["reward"]["arbitrariness"]["1"]["value"] == 0
    # a principle that falls silent in a conflict makes a consensus of the others, perhaps of the wrong ones
    one, two, three = (entry["value"] for entry in noisy["annotators"]["reward"]["arbitrariness"].values())
    print(f"\narbitrariness where the judge errs in 15 %: {one:.3f}, {two:.3f}, {three:.3f}; flip rate {noisy['flip_rate']['value']:.3f}")
    assert one > 0.1
    assert one > two > three
    assert noisy["flip_rate"]["value"] > 0.15


def test_a_biased_judge_is_seen_and_one_order_is_warned_of() -> None:
    both = DiscretionAudit(PRINCIPLES, PlantedJudge(position=0.3), {"human": "human"}).run(table()).document
    assert both["oracle"]["first_shown"]["low"] > 0.5
    assert any("followed the position" in w for w in both["warnings"])
    fair = DiscretionAudit(PRINCIPLES, PlantedJudge(), {"human": "human"}).run(table()).document
    assert fair["oracle"]["first_shown"]["value"] == 0.5
    one = DiscretionAudit(PRINCIPLES, PlantedJudge(), {"human": "human"}, both_orders=False, ci=None).run(table()).document
    assert any("one order" in w for w in one["warnings"])
    assert one["oracle"]["calls"] == 2400


def test_the_oracle_as_an_annotator_is_flagged() -> None:
    annotators: Any = {"human": "human", "itself": PlantedJudge(), "alike": PlantedJudge(STRENGTHS)}
    found = DiscretionAudit(PRINCIPLES, PlantedJudge(), annotators, ci=None).run(table())
    flags = [w for w in found.document["warnings"] if "also judged the principles" in w]
    assert [w.split()[0] for w in flags] == ["itself"]


def test_a_silent_judge_leaves_undefined_numbers_and_says_so() -> None:
    found = DiscretionAudit(PRINCIPLES, PlantedJudge(chatter=0.95), {"human": "human"}).run(table(WORLD.rows[:30])).document
    assert found["regions"]["indifference"]["value"] == 1
    assert found["annotators"]["human"]["arbitrariness"]["1"]["value"] is None
    assert found["oracle"]["first_shown"]["value"] is None
    assert any("In 360 of 360 calls the judge would rather say something else" in w for w in found["warnings"])


class Policy(PlantedJudge):
    """Continues a prompt with log-probs by merit; refuses one of the pairs."""

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        bad = [p.messages[-1].content == "What do you make of case 0?" for p in prompts]
        merits = [[self._merit(t, None) - 50.0 for t in texts] for texts in options]
        return [OptionScores(np.full(2, np.nan), "too long") if b else OptionScores(np.array(m)) for b, m in zip(bad, merits, strict=True)]


def test_a_policy_prefers_what_it_would_rather_say() -> None:
    found = DiscretionAudit((), None, {"policy": Likelihood(Policy(STRENGTHS)), "human": "human"}, ci=None).run(
        table([row | {"principle_a": 1, "principle_b": -1} for row in WORLD.rows])
    )
    expected = np.sign([reward((), [r["response_0"]])[0] - reward((), [r["response_1"]])[0] for r in WORLD.rows])
    assert math.isnan(found.preferences["policy"][0])
    np.testing.assert_array_equal(found.preferences["policy"][1:], expected[1:])
    assert any("policy could not score some pairs: too long" in w for w in found.document["warnings"])


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_the_judged_table_is_audited_again_without_a_judge(tmp_path: Path, suffix: str) -> None:
    rows = [row | {"prompt": [{"role": "user", "content": row["prompt"]}]} if suffix != ".csv" else row for row in WORLD.rows[:80]]
    annotators: Any = {"human": "human", "reward": reward}
    first = DiscretionAudit(PRINCIPLES, PlantedJudge(position=0.1), annotators, ci=None).run(table(rows))
    path = first.write_table(tmp_path / "new" / f"judged{suffix}")
    second = DiscretionAudit((), None, {"human": "human", "reward": "reward"}, ci=None).run(path)
    np.testing.assert_array_equal(second.P, first.P)
    assert json.dumps(second.document["annotators"]) == json.dumps(first.document["annotators"])
    assert load_preferences(path).pairs()[3].turns == (("user", WORLD.rows[3]["prompt"]),)


class Mute(PlantedJudge):
    """A judge whose every call fails."""

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        return [OptionScores(np.full(len(o), np.nan), "no memory") for o in options]

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        raise NotImplementedError


def test_a_failing_judge_is_counted_with_its_reason() -> None:
    found = DiscretionAudit(PRINCIPLES, Mute(), {"human": "human"}, ci=None).run(table(WORLD.rows[:5])).document
    assert found["oracle"]["failed"] == found["oracle"]["calls"] == 60
    assert found["oracle"]["mean_mass"] is None
    assert any("The judge failed in 60 of 60 calls: no memory." in w for w in found["warnings"])


ROW = {"prompt": "p", "response_0": "a", "response_1": "b", "who": 1, "principle_a": 1, "principle_b": -1}


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([{"who": 1}], {}, "no column that starts with 'principle_'"),
        ([ROW], {"principles": ["principle_a", "principle_a"]}, "'principle_a' is named twice"),
        ([ROW], {"principles": ["principle_c"]}, "no column 'principle_c'"),
        ([ROW], {"annotators": {"x": "whom"}}, "no column 'whom'.*did you mean who"),
        ([ROW], {"annotators": {}}, "no annotator"),
        ([ROW], {"annotators": {"r": lambda c, r: [[1.0]]}}, r"returned shape \(1, 1\)"),
        ([ROW], {"oracle": PlantedJudge(), "principles": ["one"]}, "1 principles are given"),
        ([ROW | {"item_id": "x"}] * 2, {}, "stands on line 1 too"),
        ([{"who": 1}], {"oracle": PlantedJudge(), "principles": ["one", "two"]}, "no column for prompt"),
        ([ROW], {"annotators": {"l": Likelihood(PlantedJudge(samples=True))}}, "cannot score given texts"),
    ],
)
def test_bad_input_is_named(rows: list[dict[str, Any]], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DiscretionAudit(**({"annotators": {"who": "who"}, "ci": None} | settings)).run(table(rows))


def test_a_table_of_another_kind_is_not_written(tmp_path: Path) -> None:
    found = DiscretionAudit((), None, {"who": "who"}, ci=None).run(table([ROW]))
    with pytest.raises(InputError, match=r"ends in '.txt'"):
        found.write_table(tmp_path / "t.txt")
