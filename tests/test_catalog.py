"""What every estimator of the catalog must do, whatever it computes. A new line in the catalog brings these tests with it."""

from __future__ import annotations

import importlib
import inspect
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.capture.planner import N_ALTERNATIVES
from trueline.catalog import ENTRIES, Entry
from trueline.errors import MissingTraceField
from trueline.estimators.base import Estimator
from trueline.estimators.engine import judge_trace
from trueline.estimators.equivalence import Verdicts
from trueline.estimators.fitting import Trained
from trueline.estimators.loading import load_estimators
from trueline.estimators.pairs import COMPARED, JUDGED
from trueline.estimators.similarity import Char3, compare_trace
from trueline.estimators.verbalized import SCALE
from trueline.knownworld.two_hop import simulated_outputs, two_hop_world
from trueline.metrics import auroc
from trueline.traces.judgements import ItemJudgement, Judgements
from trueline.traces.schema import PERTURBATIONS
from trueline.traces.trace import Trace, make_trace

Row = dict[str, Any]

ESTIMATORS = [entry for entry in ENTRIES if entry.kind == "estimator"]
N_ITEMS, N_SAMPLES, VOCABULARY = 7, 5, 9
LAYERS, HEADS, WIDTH = 4, 3, 6
ANSWERS = ("paris", "it is paris", "the capital is paris", "lyon", "it could be lyon", "i do not know")


def each(entries: Sequence[Entry]) -> Callable[..., Any]:
    return pytest.mark.parametrize("entry", entries, ids=[entry.name for entry in entries])


# -- a trace that serves every need ---------------------------------------------------------------------------------


def inside(rng: np.random.Generator, n_tokens: int, kind: str) -> Row:
    """Made-up states of every layer and attention maps."""
    states = {"n_layers": LAYERS, "hidden_layers": list(range(1, LAYERS + 1)), "hidden_last": rng.normal(size=(LAYERS, WIDTH)).tolist()}
    if kind != "greedy":
        return states
    maps = rng.dirichlet(np.ones(n_tokens), size=(LAYERS, HEADS, n_tokens))
    return {
        **states,
        "hidden_mean": rng.normal(size=(LAYERS, WIDTH)).tolist(),
        "hidden_prompt": rng.normal(size=(LAYERS, WIDTH)).tolist(),
        "prior_logprobs": -rng.exponential(3.0, size=n_tokens),
        "attn_prev": maps.diagonal(-1, -2, -1).tolist(),
        "attn_diag_logsum": np.log(maps.diagonal(0, -2, -1)).sum(-1).mean(-1).tolist(),
        "csl_attention": maps[:, :, -1].tolist(),
    }


def generation(rng: np.random.Generator, text: str, kind: str = "sample") -> Row:
    """One answer with all that a white-box model shows, computed from a made-up next-token law at each step."""
    law = np.log(rng.dirichlet(np.full(VOCABULARY, 0.7), size=int(rng.integers(3, 7))))
    ordered = np.sort(law, axis=1)[:, ::-1]
    soft = np.exp(law / 2) / np.exp(law / 2).sum(axis=1, keepdims=True)
    affinity = np.sqrt(soft / VOCABULARY).sum(axis=1)
    return {
        "text": text,
        "finish_reason": "eos",
        "tokens": [int(t) for t in law.argmax(axis=1)],
        "token_logprobs": ordered[:, 0],
        "token_entropy": -(np.exp(law) * law).sum(axis=1),
        "token_mean_logp": law.mean(axis=1),
        "token_n_finite": np.full(len(law), float(VOCABULARY)),
        "token_max_logp": ordered[:, 0],
        "token_second_logp": ordered[:, 1],
        "token_renyi": -2 * np.log(affinity),
        "token_fisher_rao": 2 / np.pi * np.arccos(np.clip(affinity, 0, 1)),
        "topk_ids": [[int(t) for t in np.argsort(-step)[:5]] for step in law],
        "topk_logprobs": [list(step[:5]) for step in ordered],
        "topk_texts": [[f"w{t} " for t in np.argsort(-step)[:5]] for step in law],
        "token_texts": [f"{text.split()[k % len(text.split())]} " for k in range(len(law))],
        **inside(rng, len(law), kind),
    }


def item_rows(index: int) -> list[Row]:
    """Greedy decode, samples and probes of one item."""
    rng = np.random.default_rng([11, index])
    item = {"item_id": f"item-{index}"}
    confidence = 0.05 + 0.9 * rng.random(2)
    probe = np.log(rng.dirichlet([1.0, 1.0]) * 0.9)
    return [
        {**item, "kind": "greedy", **generation(rng, ANSWERS[index % len(ANSWERS)], "greedy")},
        *(
            {
                **item,
                "kind": "sample",
                "draw": k,
                "temperature": 1.0,
                "top_p": 1.0,
                "top_k": 0,
                "seed": k,
                **generation(rng, str(rng.choice(ANSWERS))),
            }
            for k in range(N_SAMPLES)
        ),
        *(
            {**item, "kind": kind, "draw": k, "text": str(rng.choice(ANSWERS)), "perturbed_at": 0}
            for kind in PERTURBATIONS
            for k in range(N_ALTERNATIVES)
        ),
        {**item, "kind": "p_true", "options": ["A", "B"], "option_logprobs": probe},
        {**item, "kind": "verbalized_1s", "text": f"Answer: paris\nProbability: {confidence[0]:.2f}"},
        {**item, "kind": "verbalized_2s", "text": f"Probability: {confidence[1]:.2f}"},
        {**item, "kind": "verbalized_topk", "text": f"G1: paris\nP1: {confidence[0]:.2f}\nG2: lyon\nP2: 0.01"},
        {**item, "kind": "verbalized_linguistic", "text": f"Answer: paris\nConfidence: {rng.choice(list(SCALE))}"},
        *({**item, "kind": "selfcheck_prompt", "text": str(rng.choice(["Yes", "No.", "perhaps"]))} for _ in range(N_SAMPLES)),
    ]


def verdict(premise: str, hypothesis: str) -> NDArray[np.float64]:
    """Entail, neutral, contradict: any fixed function of the two texts."""
    if premise == hypothesis:
        return np.array([0.98, 0.01, 0.01])
    return np.random.default_rng(crc32(f"{premise}\n{hypothesis}".encode())).dirichlet([1.0, 0.6, 0.8])


class MadeUp:
    """A judge that gives ``verdict``."""

    name, self_pairs, batch_size = "made up", False, 64

    def fingerprint(self) -> str:
        return "made up"

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        return premise, hypothesis

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        return Verdicts(np.array([verdict(a, b) for a, b in pairs]).reshape(-1, 3), np.zeros(len(pairs), dtype=bool))


def judged(rows: Sequence[Row]) -> Trace:
    """The trace of these rows with verdicts between its texts and all their similarities."""
    trace = make_trace(rows)
    trace = trace.with_similarities(compare_trace(trace, Char3(), wanted=COMPARED))
    more = judge_trace(trace, MadeUp(), wanted=JUDGED).pairs
    items = []
    for item_id in trace.item_ids:
        greedy = [r.get("text") for r in rows if r["item_id"] == item_id and r["kind"] == "greedy"]
        samples = [r.get("text") for r in rows if r["item_id"] == item_id and r["kind"] == "sample"]
        texts = sorted({t for t in greedy + samples if t is not None})
        index = {text: k for k, text in enumerate(texts)}
        probs = np.array([[verdict(a, b) for b in texts] for a in texts]).reshape(len(texts), len(texts), 3)
        where = np.array([index.get(t, -1) for t in samples], dtype=np.int64)
        items.append(ItemJudgement(where, index.get(greedy[0], -1) if greedy else -1, probs) if texts else None)
    return trace.with_judgements(Judgements("made up", tuple(items), pairs=more))


def asked_of(trace: Trace, other: Trace) -> Trace:
    """The trace with the verdicts and similarities of another one."""
    assert other.judgements is not None
    assert other.similarities is not None
    return trace.with_judgements(other.judgements).with_similarities(other.similarities)


def thoughts(index: int, draw: int, text: str) -> Row:
    """A made-up reasoning before the answer: its first token."""
    rng = np.random.default_rng([12, index, draw])
    place = str(rng.choice(["North", "South", "East"]))
    guesses = " ".join(f"Is it Old Harbour {k}? Wait." for k in range(rng.integers(index % 4 + 1)))
    reasoning = f"{guesses} {text.capitalize()} stands in {place}."
    return {"reasoning": reasoning, "reasoning_span": [0, 1], "answer_start": 1}


def rows_of(indices: Sequence[int]) -> list[Row]:
    rows = [row for index in indices for row in item_rows(index)]
    answers = ("greedy", "sample")
    return [
        {**row, **thoughts(int(row["item_id"][5:]), row.get("draw", 99), row["text"])} if row["kind"] in answers else row for row in rows
    ]


def failed(row: Row) -> Row:
    """What a capture stores when this generation fails."""
    kept = ("item_id", "kind", "temperature", "top_p", "top_k", "seed")
    return {**{k: row[k] for k in kept if k in row}, "error": "the model ran out of memory"}


#: Estimators that do nothing without a model of their own: how they are named here.
WITH_A_MODEL = {"race_ca": "race_ca(proxy=world:small)"}


def unfitted(entry: Entry) -> Estimator:
    (estimator,) = load_estimators([WITH_A_MODEL.get(entry.name, entry.name)]).values()
    return estimator


def estimator_of(entry: Entry) -> Estimator:
    """The estimator of an entry; a trained one is fitted on items that no test scores."""
    return fitted(entry.name)


@cache
def fitted(name: str) -> Estimator:
    (estimator,) = load_estimators([WITH_A_MODEL.get(name, name)]).values()
    if not isinstance(estimator, Trained):
        return estimator
    labelled = range(100, 140)
    return estimator.fit(make_trace(rows_of(labelled)), [k % 2 for k in labelled])


def score(entry: Entry, rows: Sequence[Row]) -> NDArray[np.float64]:
    return estimator_of(entry).score(judged(rows))


def assert_same(actual: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


# -- the contract ---------------------------------------------------------------------------------------------------


def test_the_catalog_names_each_thing_once() -> None:
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names)
    assert ESTIMATORS


@each(ENTRIES)
def test_entry_resolves_documented_and_cited(entry: Entry) -> None:
    module, _, name = entry.target.partition(":")
    target = getattr(importlib.import_module(module), name)
    assert inspect.getdoc(target), f"{entry.target} has no docstring"
    assert entry.summary
    assert entry.source or entry.kind == "equivalence", f"{entry.name}: say where the method comes from"
    if entry.proof:
        assert (Path(__file__).parents[1] / "docs" / entry.proof).is_file(), f"{entry.name}: docs/{entry.proof} is missing"


@each(ESTIMATORS)
def test_estimator_declares_its_contract(entry: Entry) -> None:
    estimator = estimator_of(entry)
    assert isinstance(estimator, Estimator)
    assert isinstance(estimator.needs, Needs)
    assert estimator.needs != Needs(), "an estimator that needs nothing measures nothing"
    assert estimator == unfitted(entry), "settings are a frozen record: two of the same are equal"
    assert hash(estimator) == hash(unfitted(entry))
    assert entry.cost
    assert entry.color in {"white", "logprobs", "black"}


@each(ESTIMATORS)
def test_one_finite_score_an_item_and_the_same_each_time(entry: Entry) -> None:
    rows = rows_of(range(N_ITEMS))
    scores = score(entry, rows)
    assert scores.shape == (N_ITEMS,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert scores.tobytes() == score(entry, rows).tobytes()


@each(ESTIMATORS)
def test_scores_tell_items_apart(entry: Entry) -> None:
    assert len(np.unique(score(entry, rows_of(range(N_ITEMS))))) > 1


@each(ESTIMATORS)
def test_order_of_items_and_rows_changes_nothing(entry: Entry) -> None:
    expected = score(entry, rows_of(range(N_ITEMS)))
    order = np.random.default_rng(3).permutation(N_ITEMS)
    assert_same(score(entry, rows_of(order)), expected[order])
    mixed = rows_of(range(N_ITEMS))
    random.Random(3).shuffle(mixed)
    trace = make_trace(mixed, item_ids=[f"item-{k}" for k in range(N_ITEMS)])
    assert_same(estimator_of(entry).score(asked_of(trace, judged(rows_of(range(N_ITEMS))))), expected)


@each(ESTIMATORS)
def test_scored_one_by_one_or_together(entry: Entry) -> None:
    alone = np.concatenate([score(entry, rows_of([k])) for k in range(N_ITEMS)])
    assert_same(alone, score(entry, rows_of(range(N_ITEMS))))


@each(ESTIMATORS)
def test_failed_item_is_missing_alone(entry: Entry) -> None:
    expected = score(entry, rows_of(range(N_ITEMS)))
    expected[2] = np.nan
    rows = [failed(row) if row["item_id"] == "item-2" else row for row in rows_of(range(N_ITEMS))]
    assert_same(score(entry, rows), expected)


@each(ESTIMATORS)
def test_item_without_rows_is_missing_alone(entry: Entry) -> None:
    expected = score(entry, rows_of(range(N_ITEMS)))
    expected[2] = np.nan
    whole = judged(rows_of(range(N_ITEMS)))
    assert whole.judgements is not None
    verdicts = [None if k == 2 else v for k, v in enumerate(whole.judgements.items)]
    trace = make_trace([r for r in rows_of(range(N_ITEMS)) if r["item_id"] != "item-2"], item_ids=whole.item_ids)
    more = judge_trace(trace, MadeUp(), wanted=JUDGED).pairs
    trace = trace.with_similarities(compare_trace(trace, Char3(), wanted=COMPARED))
    assert_same(estimator_of(entry).score(trace.with_judgements(Judgements("made up", tuple(verdicts), pairs=more))), expected)


@each(ESTIMATORS)
def test_a_stored_trace_gives_the_same_scores(entry: Entry, tmp_path: Path) -> None:
    trace = judged(rows_of(range(N_ITEMS)))
    pq.write_table(trace.table, tmp_path / "trace.parquet")
    again = asked_of(Trace(pq.read_table(tmp_path / "trace.parquet"), trace.item_ids, trace.questions), trace)
    estimator = estimator_of(entry)
    assert estimator.score(again).tobytes() == estimator.score(trace).tobytes()


# -- refusals -------------------------------------------------------------------------------------------------------


def lacking(needs: Needs) -> dict[str, Trace]:
    """What is gone -> a trace that has all but that."""
    rows = rows_of(range(N_ITEMS))

    def without(kind: str, column: str | None = None) -> Trace:
        if column is None:
            return judged([row for row in rows if row["kind"] != kind])
        return judged([{**row, column: None} if row["kind"] == kind else row for row in rows])

    traces = {f"greedy {column}": without("greedy", column) for column in needs.greedy - {"text"}}
    traces |= {f"sample {column}": without("sample", column) for column in needs.sample_columns - {"text"}}
    traces |= {f"probe {name}": without(name) for name in needs.probes}
    if needs.greedy:
        traces["greedy rows"] = without("greedy")
    if needs.samples:
        traces["sample rows"] = without("sample")
    if needs.equivalence:
        traces["verdicts"] = make_trace(rows)
    if needs.similarity:
        traces["similarities"] = make_trace(rows)
    return traces


@each(ESTIMATORS)
def test_refuses_a_trace_without_its_needs(entry: Entry) -> None:
    estimator = estimator_of(entry)
    traces = lacking(estimator.needs)
    assert traces
    accepted = []
    for missing, trace in traces.items():
        try:
            estimator.score(trace)
        except MissingTraceField:
            continue
        accepted.append(missing)
    assert not accepted, f"{entry.name} names these as needs but scores without them: {accepted}"


# -- direction ------------------------------------------------------------------------------------------------------


def asks_the_model(entry: Entry) -> bool:
    """The score is what the model says of itself."""
    return bool(estimator_of(entry).needs.probes - set(PERTURBATIONS))


def reads_reasoning(entry: Entry) -> bool:
    """The score is about what was thought before the answer."""
    return "reasoning" in unfitted(entry).needs.greedy


REASONED = [entry for entry in ESTIMATORS if reads_reasoning(entry)]
OBSERVED = [entry for entry in ESTIMATORS if not asks_the_model(entry) and not reads_reasoning(entry)]
#: Scores that say nothing about the facts of the known world; their proof page says why.
NO_BETTER_THAN_CHANCE = frozenset({"attention_score", "mahalanobis", "relative_mahalanobis", "linear_probe", "saplma"}) | {
    f"perturb_{ratio}_{point}" for ratio in ("vr", "vro") for point in ("max_entropy", "min_entropy", "max_increase")
}
SELF_REPORTED = [entry for entry in ESTIMATORS if asks_the_model(entry)]


@pytest.fixture(scope="session")
def known_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The shipped model on a sample of the shipped facts."""
    from trueline.measuring import measure

    names = [entry.name for entry in OBSERVED]
    return measure("world:chat", "world:facts", names, samples=10, limit=150, out=tmp_path_factory.mktemp("known") / "run", validate=False)


@pytest.fixture(scope="session")
def fit_run(known_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same on other items, for the trained estimators."""
    from trueline.measuring import measure
    from trueline.tasks.loading import load_task

    task = load_task("world:facts")
    held = set(known_run.items["item_id"])
    others = replace(task, name="test:others", items=[item for item in task.items if item.id not in held])
    names = [entry.name for entry in OBSERVED if is_trained(entry)]
    return measure("world:chat", others, names, samples=0, limit=400, out=tmp_path_factory.mktemp("fit") / "run", validate=False)


def is_trained(entry: Entry) -> bool:
    return unfitted(entry).needs.unfitted


@each(OBSERVED)
def test_wrong_answers_of_the_known_world_score_higher(entry: Entry, known_run: Any, request: pytest.FixtureRequest) -> None:
    correct = known_run.grades["correct"]
    assert correct.null_count() == 0
    wrong = ~correct.to_numpy()
    if is_trained(entry):
        name = f"{entry.name}(fit={request.getfixturevalue('fit_run').path})"
        known_run.score([name])
    else:
        name = entry.name
    scores = known_run.scores[name].to_numpy()
    assert np.isfinite(scores).all()
    assert 20 < wrong.sum() < 130
    found = auroc(scores, wrong, ci=None).value
    if entry.name in NO_BETTER_THAN_CHANCE:
        page = (Path(__file__).parents[1] / "docs" / entry.proof).read_text(encoding="utf-8")
        assert f"`{entry.name}`" in page, "say on the proof page why it is no use here"
        assert found > 0.35, "no use is one thing, the wrong sign another"
    else:
        assert found > 0.5


@each(SELF_REPORTED)
def test_wrong_answers_score_higher_when_the_model_reports_what_it_knows(entry: Entry) -> None:
    """What the shipped model says of itself is trained to be worthless, so these are tried on a model that reports its true chances."""
    rng = np.random.default_rng(5)
    chances = rng.uniform(0.02, 0.98, size=200)
    wrong = rng.random(200) > chances
    rows: list[Row] = []
    for k, chance in enumerate(chances):
        item = {"item_id": f"item-{k}"}
        rows += [
            {**item, "kind": "greedy", "text": "paris"},
            {**item, "kind": "p_true", "options": ["A", "B"], "option_logprobs": np.log([chance, 1 - chance]) - 0.1},
            {**item, "kind": "verbalized_1s", "text": f"Answer: paris\nProbability: {chance:.2f}"},
            {**item, "kind": "verbalized_2s", "text": f"Probability: {chance:.2f}"},
            {**item, "kind": "verbalized_topk", "text": f"G1: paris\nP1: {chance:.2f}\nG2: lyon\nP2: 0.01"},
            {**item, "kind": "verbalized_linguistic", "text": f"Confidence: {min(SCALE, key=lambda w: abs(SCALE[w] - chance))}"},
            *({**item, "kind": "sample", "text": "paris"} for _ in range(10)),
            *({**item, "kind": "selfcheck_prompt", "text": "yes" if rng.random() < chance else "no"} for _ in range(10)),
        ]
    assert auroc(estimator_of(entry).score(make_trace(rows)), wrong, ci=None).value > 0.7


@each([entry for entry in REASONED if entry.name not in WITH_A_MODEL])
def test_wrong_answers_score_higher_where_the_reasoning_is_made_up(entry: Entry) -> None:
    """The shipped facts are answered at once, so these are tried on simulated reasoning about them; trained models: the proof pages."""
    rng = np.random.default_rng(2)
    world = two_hop_world(rng, n_people=400)
    trace = make_trace(simulated_outputs(world, 5, rng))
    wrong = np.array([text != world.answer(k) for k, text in enumerate(trace.greedy.texts)])
    assert 40 < wrong.sum() < 360
    assert auroc(estimator_of(entry).score(trace), wrong, ci=None).value > 0.55
