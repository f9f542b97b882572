"""Capture: seeds, rows, failures, shards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawmodel import ANSWERS, LawModel, law, make_task

from trueline.capture import Needs, capture, capture_items, draw_seed, make_plan, refusal, union
from trueline.capture.probes import answer_prompt, probe_prompt
from trueline.errors import InputError
from trueline.models.base import SamplingLaw
from trueline.tasks.item import Item, Task
from trueline.traces.rundir import RunDirectory
from trueline.traces.schema import SCHEMA

FULL = Needs(
    greedy=frozenset({"token_logprobs", "token_entropy", "topk_logprobs"}),
    samples=2,
    sample_columns=frozenset({"token_logprobs"}),
    probes=frozenset({"p_true", "verbalized_1s", "verbalized_2s"}),
)


def plan_for(task, needs=FULL, samples=4):
    return make_plan(
        model="test:law",
        capabilities=LawModel.capabilities,
        task=task.name,
        n_items=len(task),
        needs={"x": needs},
        n_samples=samples,
        law=SamplingLaw(),
        max_new_tokens=8,
        judge=None,
        strict=True,
    )


def test_rows_follow_the_schema_and_count():
    task = make_task(5)
    table = capture_items(LawModel(), task, plan_for(task), task.items)
    assert table.schema.equals(SCHEMA)
    assert len(table) == 5 * (1 + 4 + 3)
    greedy = table.filter(pa.compute.equal(table["kind"], "greedy"))
    assert greedy["text"].to_pylist() == [t.strip() for t in greedy["text"].to_pylist()]
    assert greedy["seed"].null_count == 5  # nothing was drawn for a greedy answer
    sampled = table.filter(pa.compute.equal(table["kind"], "sample"))
    assert sampled["temperature"].to_pylist() == [1.0] * 20


def test_each_row_depends_on_its_item_alone():
    task = make_task(9)
    plan = plan_for(task)
    whole = capture_items(LawModel(), task, plan, task.items)
    one_by_one = [capture_items(LawModel(), task, plan, [item], indices=[k]) for k, item in enumerate(task.items)]
    assert whole.equals(pa.concat_tables(one_by_one))


def test_failed_item_keeps_its_rows_and_its_reason():
    task = make_task(4, broken=(2,))
    table = capture_items(LawModel(), task, plan_for(task), task.items).to_pylist()
    broken = [row for row in table if row["item_id"] == "q2"]
    assert len(broken) == 8
    assert all(row["text"] is None for row in broken)
    assert {row["error"] for row in broken if row["kind"] in ("greedy", "sample")} == {"the question is broken"}
    assert all(row["error"] for row in broken)
    assert all(row["error"] is None for row in table if row["item_id"] != "q2")


def test_perturbations_are_planned_and_asked_for_by_name_only():
    needs = {"p": Needs(probes=frozenset({"perturb_max_entropy", "perturb_max_increase"})), "q": Needs(greedy=frozenset({"text"}))}
    able = LawModel.capabilities | {"prefix_continuation"}
    settings = {"model": "m", "task": "t", "n_items": 10, "n_samples": 4, "law": SamplingLaw(), "max_new_tokens": 8, "judge": None}
    named = make_plan(capabilities=able, needs=needs, strict=True, **settings)
    assert named.estimators == ("p", "q")
    assert named.greedy_columns == {"token_entropy", "topk"}
    assert named.calls["perturbed_decodes_at_most"] == 10 * 4 * 2
    everything = make_plan(capabilities=able, needs=needs, strict=False, **settings)
    assert everything.estimators == ("q",)
    assert "name it" in everything.left_out["p"]
    with pytest.raises(InputError, match="given beginning"):
        make_plan(capabilities=LawModel.capabilities, needs=needs, strict=True, **settings)


def test_the_number_of_alternatives_is_planned():
    able = LawModel.capabilities | {"prefix_continuation"}
    settings = {"model": "m", "task": "t", "n_items": 10, "n_samples": 0, "law": SamplingLaw(), "max_new_tokens": 8, "judge": None}

    def planned(n):
        needs = {"p": Needs(probes=frozenset({"perturb_max_entropy"}), alternatives=n)}
        return make_plan(capabilities=able, needs=needs, strict=True, **settings)

    assert planned(12).calls["perturbed_decodes_at_most"] == 10 * 12
    assert planned(12).top_k_alternatives == 17  # room for the token itself, and for tokens that are passed over
    assert planned(4).top_k_alternatives == 15
    assert planned(12).captured()["n_alternatives"] == 12
    assert "n_alternatives" not in planned(4).captured()
    assert union([Needs(alternatives=4), Needs(alternatives=8, whole=frozenset({"greedy"}))]).alternatives == 8


def test_finished_shards_are_not_asked_again(tmp_path):
    task = make_task(10)
    run = RunDirectory(tmp_path / "run")
    run.prepare()
    first = LawModel()
    capture(first, task, plan_for(task, Needs(greedy=frozenset({"text"}))), run, shard_items=4)
    assert first.generate_calls == [4, 4, 2]
    before = [p.read_bytes() for p in run.shards()]
    run.shards()[1].unlink()
    again = LawModel()
    capture(again, task, plan_for(task, Needs(greedy=frozenset({"text"}))), run, shard_items=4)
    assert again.generate_calls == [4]
    assert [p.read_bytes() for p in run.shards()] == before


@given(st.integers(0, 2**31), st.text(max_size=20), st.integers(0, 1000))
def test_seeds_are_in_range_and_differ_by_draw(seed, item, draw):
    value = draw_seed(seed, item, draw)
    assert 0 <= value < 2**63
    assert value == draw_seed(seed, item, draw)
    assert value != draw_seed(seed, item, draw + 1)


def test_sampled_answers_follow_the_law():
    item = make_task(1).items[0]
    task = Task(name="t", items=[item])
    table = capture_items(LawModel(), task, plan_for(task, samples=4000), task.items)
    sampled = [r["text"] for r in table.to_pylist() if r["kind"] == "sample"]
    share = np.array([sampled.count(a) for a in ANSWERS]) / len(sampled)
    assert np.abs(share - law(item.question)).max() < 4 * np.sqrt(0.25 / 4000)


def test_plan_counts_calls_and_names_what_it_leaves_out():
    needs = {"cheap": Needs(greedy=frozenset({"token_logprobs"})), "many": Needs(samples=20)}
    plan = make_plan(
        model="m", capabilities=frozenset({"greedy", "samples", "logprobs"}), task="t", n_items=7, needs=needs,
        n_samples=10, law=SamplingLaw(), max_new_tokens=5, judge="nli:x", strict=False,
    )  # fmt: skip
    assert plan.estimators == ("cheap",)
    assert "at least 20 samples" in plan.left_out["many"]
    assert plan.n_samples == 0  # nothing that is served needs samples
    assert plan.judge is None
    assert "left out" in str(plan)


def test_a_named_estimator_that_cannot_be_served_is_an_error():
    with pytest.raises(InputError, match="gives no log-probs"):
        make_plan(
            model="m", capabilities=frozenset({"greedy"}), task="t", n_items=1,
            needs={"x": Needs(greedy=frozenset({"token_logprobs"}))}, n_samples=0, law=SamplingLaw(),
            max_new_tokens=5, judge=None, strict=True,
        )  # fmt: skip


def test_a_tempered_law_refuses_estimators_of_the_models_own_law():
    every = LawModel.capabilities
    need = Needs(samples=2, model_law=True)
    assert refusal(need, every, 10, SamplingLaw()) is None
    assert "temperature 0.7" in refusal(need, every, 10, SamplingLaw(temperature=0.7))


def test_union_of_needs():
    total = union([Needs(samples=3), Needs(samples=10, model_law=True), Needs(greedy=frozenset({"text"}))])
    assert total == Needs(greedy=frozenset({"text"}), samples=10, model_law=True)


def test_prompts_fill_braces_in_one_pass():
    item = Item(id="a", question="What is {answer}? {0} {x!r}")
    task = Task(name="t", items=[item], system="Be short.")
    prompt = probe_prompt("p_true", item, task, "{question}.")
    assert "What is {answer}? {0} {x!r}" in prompt.messages[-1].content
    assert "Proposed answer: {question}\n" in prompt.messages[-1].content
    assert prompt.messages[0].role == "system"
    assert answer_prompt(item, task).text == "Question: What is {answer}? {0} {x!r}\nAnswer:"


def test_second_stage_probe_shows_the_conversation():
    item = Item(id="a", question="Q?")
    task = Task(name="t", items=[item], prompts={"verbalized_2s": "How sure?"})
    turns = probe_prompt("verbalized_2s", item, task, "Kelby.").messages
    assert [(t.role, t.content) for t in turns] == [("user", "Q?"), ("assistant", "Kelby."), ("user", "How sure?")]


INSIDE = Needs(
    greedy=frozenset({"prior_logprobs", "hidden_prompt", "hidden_last", "attn_prev", "attn_diag_logsum", "csl_attention"}),
    samples=2,
    sample_columns=frozenset({"hidden_last"}),
    depths=frozenset({0.5, 1.0}),
)


def test_what_is_inside_becomes_columns_and_nothing_else_changes():
    task = make_task(3, broken=(1,))
    table = capture_items(LawModel(), task, plan_for(task, INSIDE), task.items)
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    greedy, sample = rows[0], rows[1]
    assert greedy["hidden_layers"] == sample["hidden_layers"] == [1, 2]
    assert np.shape(greedy["hidden_last"]) == np.shape(sample["hidden_last"]) == (2, 4)
    assert np.shape(greedy["attn_prev"]) == (2, 3, 1)
    assert np.shape(greedy["csl_attention"]) == (2, 3, 2)
    assert sample["hidden_prompt"] is sample["attn_prev"] is sample["prior_logprobs"] is None
    assert all(row["hidden_last"] is None for row in rows if row["item_id"] == "q1")
    bare = capture_items(LawModel(), task, plan_for(task, Needs(samples=2)), task.items)
    kept = [name for name in SCHEMA.names if bare[name].null_count < len(bare)]
    assert "hidden_last" not in kept
    assert table.select(kept).equals(bare.select(kept))


def test_the_plan_prints_what_looking_inside_costs():
    task = make_task(50)
    plan = make_plan(
        model="m", capabilities=LawModel.capabilities, task="t", n_items=50, needs={"x": INSIDE}, n_samples=4, law=SamplingLaw(),
        max_new_tokens=8, judge=None, strict=True, shape=LawModel.shape,
    )  # fmt: skip
    assert plan.hidden_depths == (0.5, 1.0)
    assert plan.calls["forwards_prior"] == plan.calls["forwards_csl"] == 50
    assert plan.calls["forwards_states_and_maps"] == 50 * (1 + 4)
    assert plan.bytes_at_most == {"hidden_states": 50 * (2 + 4) * 2 * 4 * 4, "attention": 50 * 2 * 2 * 3 * 8 * 4}
    assert "at most" in str(plan)
    assert "250 forwards states and maps" in str(plan)
    assert plan.captured()["hidden_depths"] == [0.5, 1.0]
    assert set(plan_for(task).calls).isdisjoint({"forwards_prior", "forwards_csl", "forwards_states_and_maps"})
    assert plan_for(task).bytes_at_most == {}


@pytest.mark.parametrize(
    ("column", "capability", "reason"),
    [
        ("prior_logprobs", "prior", "without its prompt"),
        ("hidden_last", "hidden", "no hidden states"),
        ("attn_prev", "attention", "no attention maps"),
    ],
)
def test_a_model_that_does_not_show_it_is_refused_with_the_reason(column, capability, reason):
    need = Needs(greedy=frozenset({column}), depths=frozenset({0.5}))
    assert refusal(need, LawModel.capabilities, 0, SamplingLaw()) is None
    assert reason in refusal(need, LawModel.capabilities - {capability}, 0, SamplingLaw())


def test_selfcheck_asks_each_sentence_of_each_sample_once():
    need = Needs(greedy=frozenset({"text"}), samples=2, sample_columns=frozenset({"text"}), probes=frozenset({"selfcheck_prompt"}))
    task, model = make_task(3, broken=(1,)), LawModel()
    rows = capture_items(model, task, plan_for(task, need), task.items).to_pylist()
    probes = [row for row in rows if row["kind"] == "selfcheck_prompt"]
    assert [row["draw"] for row in probes if row["item_id"] == "q0"] == [0, 1, 2, 3]
    assert all(row["text"] in ("Yes", "No") for row in probes if row["item_id"] != "q1")
    assert [row["error"] for row in probes if row["item_id"] == "q1"] == ["not asked: the item has no sentence or no sample to compare"]
    texts = {(row["item_id"], row["text"]) for row in rows if row["kind"] == "sample" and row["text"]}
    assert model.generate_calls == [3, model.generate_calls[1]]
    assert model.generate_calls[1] <= len(texts)  # equal prompts are asked once
    assert plan_for(task, need).calls["probe_selfcheck_prompt_a_sentence"] == 12
