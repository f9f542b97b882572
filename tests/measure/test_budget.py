"""A budget buys the greedy answer's scores first, then samples, then calls of their own; the rest is named with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lawmodel import LawModel, make_task

import trueline as tl
from trueline.capture import budget as budgets
from trueline.capture.budget import Budget, calls_per_item, fit_to_calls, parse_budget
from trueline.capture.needs import Needs
from trueline.capture.planner import Plan, make_plan
from trueline.errors import InputError
from trueline.models.base import SamplingLaw

NEEDS = {
    "likelihood": Needs(greedy=frozenset({"token_logprobs"})),
    "entropy": Needs(greedy=frozenset({"token_entropy"})),
    "sampling": Needs(samples=2, sample_columns=frozenset({"token_logprobs"})),
    "five": Needs(samples=5),
    "asked": Needs(probes=frozenset({"p_true"})),
    "stated": Needs(probes=frozenset({"verbalized_1s"})),
    "prior": Needs(greedy=frozenset({"prior_logprobs"})),
}
EVERYTHING = frozenset({"greedy", "samples", "logprobs", "token_stats", "topk", "score", "chat", "prior"})


def plan_of(needs: dict[str, Needs], samples: int) -> Plan:
    law = SamplingLaw()
    shared = {"model": "m", "capabilities": EVERYTHING, "task": "t", "n_items": 7, "law": law, "max_new_tokens": 8, "judge": None}
    return make_plan(needs=needs, n_samples=samples, strict=False, **shared)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("calls", "samples", "served"),
    [
        (1, 0, {"likelihood", "entropy"}),
        (4, 3, {"likelihood", "entropy", "sampling"}),
        (6, 5, {"likelihood", "entropy", "sampling", "five"}),
        (12, 10, {"likelihood", "entropy", "sampling", "five", "asked"}),
        (13, 10, {"likelihood", "entropy", "sampling", "five", "asked", "stated"}),
        (40, 10, set(NEEDS)),
    ],
)
def test_what_a_number_of_calls_buys(calls: int, samples: int, served: set[str]) -> None:
    plan = fit_to_calls(plan_of, NEEDS, 10, calls)
    assert set(plan.estimators) == served
    assert plan.n_samples == samples
    assert calls_per_item(plan) <= calls
    assert set(plan.left_out) == set(NEEDS) - set(plan.estimators)
    assert all(plan.left_out.values())


@given(st.integers(1, 30), st.integers(0, 12), st.sets(st.sampled_from(sorted(NEEDS)), min_size=1))
@settings(max_examples=60)
def test_a_budget_is_kept_and_everything_is_served_or_named(calls: int, samples: int, names: set[str]) -> None:
    needs = {name: NEEDS[name] for name in NEEDS if name in names}
    plan = fit_to_calls(plan_of, needs, samples, calls)
    assert calls_per_item(plan) <= calls
    assert set(plan.estimators) | set(plan.left_out) == set(needs)
    assert {"likelihood", "entropy"} & names <= set(plan.estimators)  # the greedy answer is always there
    if calls > 1 + samples + 3:  # a call for each probe and pass beside all samples
        assert set(plan.left_out) == {name for name in names if NEEDS[name].samples > samples}


def test_what_a_budget_is() -> None:
    assert parse_budget("calls=12") == Budget(calls=12)
    assert parse_budget("seconds=1.5") == Budget(seconds=1.5)
    for text in ("calls=0", "calls=two", "seconds=-1", "seconds=inf", "seconds=nan", "money=3", "12", ""):
        with pytest.raises(InputError, match="a budget is"):
            parse_budget(text)


def test_a_run_within_a_budget_of_calls(tmp_path: Path) -> None:
    task = make_task(6)
    run = tl.measure(LawModel(), task, ["sequence_nll", "semantic_entropy", "p_true"], samples=8, budget="calls=4", out=tmp_path / "run")
    plan = run.manifest["plan"]
    assert plan["budget"] == "calls=4"
    assert plan["estimators"] == ["sequence_nll", "semantic_entropy"]
    assert run.scores.columns == ["item_id", "sequence_nll", "semantic_entropy"]
    assert run.manifest["settings"]["samples"] == 3


def test_seconds_are_turned_into_calls_and_a_begun_run_keeps_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, names = make_task(6), ["sequence_nll", "semantic_entropy", "p_true"]
    ticks = iter(float(t) for t in (0, 6, 10, 36))  # 1 s an item greedy, 4.33 s with eight samples: .4167 s a sample
    monkeypatch.setattr(budgets.time, "perf_counter", lambda: next(ticks))
    run = tl.measure(LawModel(), task, names, samples=8, budget="seconds=14", out=tmp_path / "run")
    assert run.manifest["settings"]["samples"] == 3  # (14 / 6 - 1) / .4167 = 3.2 samples
    again = tl.measure(LawModel(), task, names, samples=8, budget="seconds=14", out=tmp_path / "run")  # no trial: no ticks are left
    assert again.manifest["plan"]["estimators"] == run.manifest["plan"]["estimators"]
    ticks = iter(float(t) for t in (0, 6, 10, 36))
    with pytest.raises(InputError, match="try --limit 5"):
        tl.measure(LawModel(), task, names, budget="seconds=5", out=tmp_path / "other")


def test_servers_have_no_budget_of_seconds() -> None:
    from trueline.models.server import load
    from trueline.models.server.probing import Capabilities

    model = load("m", base_url="http://127.0.0.1:9/v1")
    model._seen = Capabilities("chat", True, True, 20, True)
    with pytest.raises(InputError, match="give calls=N"):
        tl.plan(model, make_task(2), budget="seconds=5")
    assert tl.plan(model, make_task(2), budget="calls=1").n_samples == 0
