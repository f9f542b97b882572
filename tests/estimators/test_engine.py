from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import EmptySequenceError, InputError, LawError, MissingTraceField
from trueline.estimators.engine import judge_trace, missing_reasons, score_trace
from trueline.estimators.equivalence import Exact, Normalised, Oracle, PairCache, Verdicts
from trueline.estimators.loading import load_estimators
from trueline.traces import Trace, make_trace


class Letters:
    """A judge of pairs that compares first letters and remembers what it was asked."""

    name = "letters"
    batch_size = 3

    def __init__(self, self_pairs: bool = False) -> None:
        self.self_pairs = self_pairs
        self.asked: list[tuple[str, str]] = []

    def fingerprint(self) -> str:
        return "letters-1"

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        return f"{question} {premise}", f"{question} {hypothesis}"

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        self.asked += pairs
        same = np.array([a.split()[1][0] == b.split()[1][0] for a, b in pairs])
        return Verdicts(np.stack([same * 0.9, np.full(len(pairs), 0.05), 0.95 - same * 0.9], axis=1), np.zeros(len(pairs), dtype=bool))


def questions(samples: dict[str, list[str | None]], greedy: dict[str, str], asked: dict[str, str]) -> Trace:
    rows = [{"item_id": i, "kind": "greedy", "text": t} for i, t in greedy.items()]
    rows += [{"item_id": i, "kind": "sample", "text": t} for i, texts in samples.items() for t in texts]
    return make_trace(rows, questions=asked, item_ids=list(samples))


@pytest.fixture
def trace() -> Trace:
    samples = {"a": ["ox", "owl", "ox", None], "b": ["ox", "owl", "cat"], "c": [None, None]}
    return questions(samples, {"a": "cow", "b": "ox"}, {"a": "who?", "b": "who?", "c": "what?"})


def test_distinct_ordered_pairs_are_asked_once_over_the_whole_run(trace) -> None:
    judge = Letters()
    verdicts = judge_trace(trace, judge)
    assert len(judge.asked) == len(set(judge.asked)) == verdicts.settings["pairs"] == verdicts.settings["asked"]
    assert all(a != b for a, b in judge.asked)
    texts = {"ox", "owl", "cow"}, {"ox", "owl", "cat"}
    assert set(judge.asked) == {(f"who? {p}", f"who? {q}") for group in texts for p in group for q in group if p != q}
    assert verdicts.items[2] is None
    a, b = verdicts.items[:2]
    assert a is not None
    assert b is not None
    assert a.text_index.tolist() == [0, 1, 0, -1]
    assert a.greedy_index == 2
    assert b.greedy_index == 0
    assert a.probs[0, 0].tolist() == [1.0, 0.0, 0.0], "an answer entails itself"
    assert a.samples()[0, 1].argmax() == 0
    assert a.greedy_to_samples()[0, 0].argmax() == 2
    assert not np.isnan(b.probs).any()


def test_greedy_answers_cost_nothing_when_not_wanted(trace) -> None:
    judge = Letters()
    verdicts = judge_trace(trace, judge, wanted={"samples"})
    assert not any("cow" in text for pair in judge.asked for text in pair)
    assert verdicts.items[0] is not None
    assert verdicts.items[0].greedy_index == -1


def test_self_pairs_are_asked_on_demand(trace) -> None:
    judge = Letters(self_pairs=True)
    verdicts = judge_trace(trace, judge)
    assert ("who? ox", "who? ox") in judge.asked
    assert verdicts.items[0] is not None
    assert verdicts.items[0].probs[0, 0] == pytest.approx([0.9, 0.05, 0.05])


def test_cached_pairs_are_never_asked_again(trace, tmp_path) -> None:
    first, second, seen = Letters(), Letters(), []
    one = judge_trace(trace, first, tmp_path / "judgements.sqlite", progress=lambda done, total: seen.append((done, total)))
    two = judge_trace(trace, second, tmp_path / "judgements.sqlite")
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert second.asked == []
    assert two.settings["asked"] == 0
    for a, b in zip(one.items, two.items, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a.probs.tobytes() == b.probs.tobytes()


def test_verdicts_got_before_a_crash_are_kept(trace, tmp_path) -> None:
    class Fragile(Letters):
        def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
            if len(self.asked) >= 6:
                raise RuntimeError("killed")
            return super().judge(pairs)

    with pytest.raises(RuntimeError, match="killed"):
        judge_trace(trace, Fragile(), tmp_path / "c.sqlite")
    after = Letters()
    assert judge_trace(trace, after, tmp_path / "c.sqlite").settings["asked"] == 4
    with PairCache(tmp_path / "c.sqlite") as cache:
        assert len(cache) == 10


def test_judge_that_returns_rubbish_is_refused(trace) -> None:
    class Broken(Letters):
        def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
            return Verdicts(np.full((len(pairs), 3), np.nan), np.zeros(len(pairs), dtype=bool))

    with PairCache() as cache:
        with pytest.raises(InputError, match="letters"):
            judge_trace(trace, Broken(), cache)
        assert len(cache) == 0


def test_keys_are_asked_once_an_answer() -> None:
    asked = []

    def canonical(item: str, text: str) -> str:
        asked.append((item, text))
        return text.lower()

    trace = questions({"a": ["X", "x", "X", "y"] * 20, "b": ["x", "y"]}, {"a": "x"}, {})
    verdicts = judge_trace(trace, Oracle(canonical))
    assert len(asked) == len(set(asked)) == 5
    assert verdicts.hard
    a = verdicts.items[0]
    assert a is not None
    assert a.text_index[:4].tolist() == [0, 0, 0, 1]
    assert a.greedy_index == 0
    assert a.probs.shape == (2, 2, 3)


def test_normalised_keys() -> None:
    trace = questions({"a": ["The 07 Owls!", "owls 7", "7 owls", "seven owls"]}, {}, {})
    a = judge_trace(trace, Normalised()).items[0]
    b = judge_trace(trace, Normalised(numbers=False)).items[0]
    assert a is not None
    assert b is not None
    assert a.text_index.tolist() == [0, 1, 0, 2]
    assert b.text_index.tolist() == [0, 1, 2, 3]


def test_judging_needs_samples() -> None:
    with pytest.raises(MissingTraceField, match="samples"):
        judge_trace(make_trace([{"item_id": "a", "kind": "greedy", "text": "x"}]), Exact())


# -- scoring ----------------------------------------------------------------------------------------------------------


def test_one_empty_answer_does_not_end_a_run(make) -> None:
    trace = make(greedy={"a": ("x", [-0.5]), "b": ("", [])})
    names = ["sequence_nll", "perplexity", "max_token_nll"]
    scores = score_trace(trace, load_estimators(names))
    assert all(np.isfinite(scores[n][0]) and np.isnan(scores[n][1]) for n in names)
    with pytest.raises(EmptySequenceError, match="sequence_nll: item 'b'"):
        score_trace(trace, load_estimators(names), on_empty=None)


def test_errors_keep_their_class_and_name_the_estimator(make) -> None:
    with pytest.raises(LawError, match=r"^predictive_entropy: .*'a'"):
        score_trace(make({"a": [("x", [-1.0])] * 2}, temperature=0.3), load_estimators("predictive_entropy"))


def test_scores_of_another_length_are_refused(make) -> None:
    @dataclass(frozen=True)
    class Short:
        @property
        def needs(self) -> Needs:
            return Needs(answer=True)

        def score(self, trace: Trace) -> NDArray[np.float64]:
            return np.zeros(1)

    with pytest.raises(InputError, match=r"short returned scores of shape \(1,\)"):
        score_trace(make({"a": ["x"], "b": ["y"]}), {"short": Short()})


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("sequence_nll", {"empty answer, or no log-probs": 1, "the greedy generation failed": 1, "no greedy generation": 1}),
        ("semantic_entropy_discrete", {"fewer than 2 usable samples": 2}),
        ("verbalized_1s", {"no confidence could be read from the reply": 1, "no verbalized_1s generation": 3}),
    ],
)
def test_missing_scores_have_reasons_that_add_up(make, exact, name, reasons) -> None:
    failed = {"text": None, "error": "out of memory"}
    samples = {"a": ["x", "y"], "b": ["x", failed], "c": ["x", "x"], "d": [failed, failed], "e": ["x", "y"]}
    greedy = {"a": ("x", [-1.0]), "b": ("", []), "c": failed, "d": ("x", [-1.0])}
    trace = make(samples, greedy=greedy, judge=exact)
    probes = [{"item_id": i, "kind": "verbalized_1s", "text": t, "item_index": 0} for i, t in (("a", "0.5"), ("b", "no idea"))]
    rows = [*trace.table.to_pylist(), *probes]
    trace = make_trace(rows, item_ids=trace.item_ids).with_judgements(trace.judgements)
    estimator = load_estimators(name)[name]
    scores = score_trace(trace, {name: estimator})[name]
    found = missing_reasons(trace, estimator, scores)
    assert found == reasons
    assert sum(found.values()) == np.isnan(scores).sum()
