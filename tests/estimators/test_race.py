"""RACE on small traces: signals by hand, missing parts, models behind the parts, the pair cache, weights."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import trueline as tl
from trueline.errors import InputError, MissingTraceField, NotFitted
from trueline.estimators.equivalence.base import Verdicts
from trueline.estimators.equivalence.cache import PairCache
from trueline.estimators.loading import load_estimator
from trueline.estimators.race import (
    RACE,
    HashedNgrams,
    ModelStepExtractor,
    RaceSignal,
    RuleEntities,
    RuleStepExtractor,
    SlotRules,
    answer_uncertainty,
    combine,
    fit_race_weights,
    reasoning_consistency,
    speculation,
    step_weights,
)
from trueline.models.base import Generation, RequestResult
from trueline.traces import make_trace

HOP = "Ann works at {e}. {e} is in {c}."


def rows(item: str, outputs: Sequence[tuple[str | None, str | None]]) -> list[dict[str, Any]]:
    """The first output is the greedy one."""
    return [
        {"item_id": item, "kind": "sample" if k else "greedy", "text": text, "reasoning": reasoning}
        for k, (reasoning, text) in enumerate(outputs)
    ]


def hop(e: str, c: str) -> tuple[str, str]:
    return HOP.format(e=e, c=c), c


AGREE = [hop("Axo", "Kelby")] * 4
OTHER_WAY = [hop("Axo", "Kelby"), *[hop("Bix", "Kelby")] * 3]
SPREAD = [hop("Axo", "Kelby"), hop("Axo", "Kelby"), hop("Bix", "Tisk"), hop("Cul", "Norwick")]


def trace(*items: Sequence[tuple[str | None, str | None]]) -> Any:
    return make_trace(
        [row for k, outputs in enumerate(items) for row in rows(f"i{k}", outputs)],
        questions={f"i{k}": f"In which city does Ann{k} work?" for k in range(len(items))},
    )


class Proxy:
    """Entropy 0.5 a word; attends to the first part three times as much."""

    def entropies(self, prompt: str, continuations: Sequence[str]) -> list[NDArray[np.float64]]:
        return [np.full(len(c.split()), 0.5) for c in continuations]

    def attention_to(self, head: str, parts: Sequence[str], tail: str, reader: str) -> NDArray[np.float64] | None:
        return np.array([3.0, *[1.0] * (len(parts) - 1)])


def test_agreeing_answers_by_other_ways_are_told_by_the_reasoning_alone() -> None:
    found = RACE().components(trace(AGREE, OTHER_WAY, SPREAD))
    assert found["aa"][:2].tolist() == [0.0, 0.0]
    assert found["cc"].tolist() == [0.0, 0.5, pytest.approx(1 / 3)]  # of two steps, "Ann works at" clashes
    assert found["aa"][2] > 0.5
    assert "ca" not in found
    scores = RACE().score(trace(AGREE, OTHER_WAY, SPREAD))
    assert scores[0] < scores[1] < scores[2]


def test_attention_weighs_the_steps() -> None:
    found = RACE(proxy=Proxy()).components(trace(OTHER_WAY))
    assert found["cc"][0] == pytest.approx(0.75)
    assert found["ca"][0] == pytest.approx(0.5)


def test_the_sum_and_its_table() -> None:
    race = RACE(proxy=Proxy(), weights=(1.0, 2.0, 4.0, 0.0))
    table = race.table(trace(OTHER_WAY, [*AGREE[:1], (None, None), AGREE[1]]))
    assert table.columns == ["item_id", "race", "s_cc", "s_aa", "s_ca", "s_coh", "n_used"]
    assert table["race"][0] == pytest.approx(2 * 0.5 + 4 * 0.75)
    assert table["n_used"].to_list() == [3, 1]


def test_which_signals_ran_is_said() -> None:
    assert RACE().notes == ("sum of S_AA, S_CC, S_COH", "S_CA left out: no proxy; give proxy=hf:PATH (or world:NAME), a local model")
    assert RACE(nli="none", weights=(1.0, 0.0, 1.0, 0.0)).notes[0] == "sum of S_AA"
    assert RACE(reasoning_mode="cot").signals == ("aa", "cc")
    with pytest.raises(InputError, match="no signal"):
        RACE(nli="none", weights=(0.0, 0.0, 1.0, 0.0))


def test_standardised_signals_weigh_alike() -> None:
    scores = RACE(standardise=True, weights=(1.0, 0.0, 1.0, 0.0)).score(trace(AGREE, OTHER_WAY, SPREAD))
    assert scores.sum() == pytest.approx(0.0, abs=1e-8)
    assert RACE(standardise=True).whole_run
    assert (RACE(standardise=True).score(trace(AGREE, AGREE)) == 0).all()


def test_an_empty_answer_is_skipped_not_disagreement() -> None:
    found = RACE(proxy=Proxy()).components(trace([*AGREE, ("Ann works at Bix.", "")]))
    assert found["cc"][0] == 0.0
    assert found["ca"][0] == 0.5


def test_nothing_to_compare_is_ten() -> None:
    found = RACE(proxy=Proxy()).components(trace([("No idea.", "Kelby"), ("", ""), ("", "")]))
    assert found["cc"][0] == 10.0
    assert found["ca"][0] == 10.0


def test_a_main_output_without_an_answer_has_no_score() -> None:
    unclosed = [("<think>Ann works", None), *AGREE[1:]]
    scores = RACE().score(trace(unclosed, AGREE))
    assert math.isnan(scores[0])
    assert scores[1] == 0.0
    with pytest.raises(MissingTraceField, match="reasoning"):
        RACE().score(trace([(None, "Kelby"), (None, "Kelby")]))


def test_modes() -> None:
    labelled = [(None, f"Thought: {HOP.format(e=e, c='Kelby')} Answer: Kelby") for e in ("Axo", "Bix", "Bix")]
    assert RACE(reasoning_mode="cot").components(trace(labelled))["cc"][0] == 0.5
    direct = [(None, "Ann works in Kelby."), (None, "Ann works in Tisk."), (None, "Ann works in Kelby.")]
    found = RACE(reasoning_mode="direct").components(trace(direct))
    assert found["cc"][0] == 0.5
    assert "coh" not in found


def test_one_sample_is_allowed_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="fewer than 2"):
        assert RACE().score(trace(AGREE[:2]))[0] == 0.0


def test_only_the_first_samples_count() -> None:
    assert RACE(n_samples=2).components(trace([*AGREE[:3], *SPREAD[2:]]))["aa"][0] == 0.0


@pytest.mark.parametrize(
    "settings",
    [
        {"reasoning_mode": "none"},
        {"n_samples": 0},
        {"sindex_threshold": 0.0},
        {"template": "no place"},
        {"weights": (1.0, 1.0, 1.0)},
        {"weights": (1.0, -1.0, 1.0, 1.0)},
        {"weights": (math.nan, 1.0, 1.0, 1.0)},
        {"entities": "ner"},
    ],
)
def test_settings_that_mean_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        RACE(**settings).score(trace(AGREE))


def test_nan_of_a_part_is_refused() -> None:
    def broken(premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float64]:
        return np.full(len(premises), np.nan)

    with pytest.raises(InputError, match="NaN"):
        RACE(nli=broken).score(trace(AGREE))
    with pytest.raises(InputError, match=r"item 'i0'.*zero"):
        RACE(embedder=lambda texts: np.zeros((len(texts), 3))).score(trace(AGREE))


@dataclasses.dataclass(frozen=True)
class Judge:
    """Says contradiction for pairs with different ends; counts what it is asked."""

    asked: list[tuple[str, str]] = dataclasses.field(default_factory=list, compare=False)
    name: str = "test"
    self_pairs: bool = False
    batch_size: int = 8

    def fingerprint(self) -> str:
        return "test-1"

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        return premise, hypothesis

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        self.asked.extend(pairs)
        clash = np.array([p not in h for p, h in pairs], dtype=float)
        return Verdicts(np.stack([0.5 * (1 - clash), np.full(len(pairs), 0.5), 0.5 * clash], axis=1), np.zeros(len(pairs), dtype=bool))


def test_no_pair_is_judged_twice_over_runs(tmp_path: Path) -> None:
    for expected in (4, 0):  # two steps against the same and against another reasoning
        judge = Judge()
        with PairCache(tmp_path / "pairs.sqlite") as cache:
            found = RACE(nli=judge).with_cache(cache).components(trace(OTHER_WAY, AGREE))
        assert found["cc"].tolist() == [1.0, 0.0]
        assert len(judge.asked) == expected


def test_steps_by_rule() -> None:
    steps = RuleStepExtractor()
    reasoning = "The sky is blue. Ann works at Axo. Wait, Ann works at Bix? Axo is in Kelby. Actually Kelby is nice."
    assert steps("", reasoning, "Kelby") == ["Ann works at Axo.", "Axo is in Kelby."]
    assert steps("", reasoning, "Tisk") == []
    assert RuleStepExtractor(max_steps=1)("", reasoning, "Kelby") == ["Axo is in Kelby."]
    with pytest.raises(InputError):
        RuleStepExtractor(max_steps=0)


@given(st.text(max_size=200), st.text(max_size=50))
def test_steps_are_sentences_of_the_reasoning(reasoning: str, answer: str) -> None:
    steps = RuleStepExtractor()("", reasoning, answer)
    assert len(steps) <= 8
    assert all(step in reasoning for step in steps)


class Rewriter:
    """Rewrites to two steps; refuses prompts that are too long."""

    uri = "test:rewriter"
    capabilities = frozenset({"greedy"})

    def __init__(self, longest: int = 10**6) -> None:
        self.longest, self.prompts = longest, list[str]()

    def generate(self, requests: Any, settings: Any) -> list[RequestResult]:
        results = []
        for request in requests:
            text = request.prompt.messages[0].content
            self.prompts.append(text)
            too_long = len(text) > self.longest
            results.append(RequestResult(error="it passes the model's context") if too_long else RequestResult(Generation("### a\n### b ")))
        return results


def test_steps_by_a_model() -> None:
    extract = ModelStepExtractor(Rewriter())
    assert extract("q {answer}", "r {question}", "a") == ["a", "b"]
    assert "q {answer}" in extract.model.prompts[0]
    assert extract.n_truncated == 0


def test_a_reasoning_too_long_is_cut_from_its_beginning() -> None:
    model = Rewriter(longest=4000)
    extract = ModelStepExtractor(model)
    assert extract("q", "x" * 9000 + "END", "the answer") == ["a", "b"]
    assert extract.n_truncated == 1
    assert "END\nFinal answer: the answer" in model.prompts[-1]
    with pytest.raises(tl.errors.ModelError):
        ModelStepExtractor(Rewriter(longest=10))("q", "x" * 100, "a")


@pytest.mark.parametrize(
    ("premise", "hypothesis", "expected"),
    [
        ("Ann works at Axo.", "Ann works at Bix.", 1.0),
        ("Ann works at Axo.", "Bob works at Bix.", 0.0),
        ("Ann works at Axo.", "Ann works at Bix.\nAnn works at Axo.", 0.0),
        ("12 + 30 = 42.", "12 + 30 = 43.", 1.0),
        ("The flag of Kelby is red.", "The flag of Tisk is blue.", 0.0),
        ("The flag of Kelby is red.", "The flag of Kelby is dark blue.", 1.0),
        ("", "Ann works at Axo.", 0.0),
    ],
)
def test_contradiction_by_rule(premise: str, hypothesis: str, expected: float) -> None:
    assert SlotRules()([premise], [hypothesis]).tolist() == [expected]


def test_entities_by_rule() -> None:
    found = RuleEntities()("Ann saw the Tower of Orla on 3 May. She met Bob Lind in Kelby in 1999-02-03, 12.5 miles away.")
    assert set(found) >= {"Tower of Orla", "Bob Lind", "Kelby", "12.5", "1999-02-03"}
    assert "She" not in found
    assert speculation(["The Thames", "Rhine"], ["thames"]) == 0.5


def test_embeddings_by_letters() -> None:
    table = HashedNgrams()(["Kelby", "kelby ", "Tisk", " "])
    assert (table[0] == table[1]).all()
    assert (np.linalg.norm(table, axis=1) > 0).all()


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_answer_uncertainty_does_not_depend_on_the_order(texts: list[str], random: Any) -> None:
    axes = dict(zip("abcd", np.eye(4), strict=True))
    shuffled = random.sample(texts, len(texts))
    one, two = (answer_uncertainty(t, np.array([axes[x] for x in t])).value for t in (texts, shuffled))
    assert one == two >= 0
    assert one <= math.log(len(texts)) + 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: answer_uncertainty([], np.zeros((0, 2))), "embeddings"),
        (lambda: answer_uncertainty(["a"], [[math.inf, 1.0]]), "finite"),
        (lambda: reasoning_consistency([[1.2]]), "probabilities"),
        (lambda: reasoning_consistency([[0.2]], [0.5]), "sum to 1"),
        (lambda: step_weights(np.zeros((1, 1, 3, 3)), [(0, 1)], (1, 2)), "no attention"),
        (lambda: step_weights(np.ones((1, 1, 3, 3)), [(0, 1)], (2, 5)), "outside"),
        (lambda: step_weights(np.ones((3, 3)), [(0, 1)], (1, 2)), "layers"),
        (lambda: fit_race_weights(np.ones((3, 3)), [1, 0, 1]), r"\(n, 4\)"),
        (lambda: fit_race_weights(np.ones((3, 4)), [1, 1, 1]), "right and wrong"),
        (lambda: fit_race_weights(np.ones((3, 4)), [1, 2, 0]), "labels"),
        (lambda: fit_race_weights(np.ones((2, 4)), [1, 0], step=0.3), "divide"),
    ],
)
def test_bad_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_fitted_weights_find_the_signal_that_tells() -> None:
    rng = np.random.default_rng(0)
    wrong = rng.random(80) < 0.5
    x = rng.normal(size=(80, 4))
    x[:, 2] += 3 * wrong
    x[:, 3] = np.nan
    found = fit_race_weights(x, wrong.astype(float), step=0.25)
    assert found.weights[2] >= 0.5
    assert found.weights[3] == 0.0
    assert found.auroc > 0.9
    assert sum(found.weights) == pytest.approx(1.0)
    assert found.n == 80


def test_a_signal_of_weight_zero_may_be_missing() -> None:
    assert combine(1.0, math.nan, 2.0, None, (1.0, 0.0, 1.0, 1.0)) == 3.0


def test_by_name() -> None:
    name, race = load_estimator("race(weights=[1,1,0,1],nli=none,n_samples=3)")
    assert isinstance(race, RACE)
    assert race.weights == (1.0, 1.0, 0.0, 1.0)
    assert "weights" in name
    _, alone = load_estimator("race_cc")
    assert isinstance(alone, RaceSignal)
    with pytest.raises(NotFitted, match="proxy"):
        load_estimator("race_ca")[1].score(trace(AGREE))
    with pytest.raises(InputError, match="no option"):
        load_estimator("race(_cache=1)")


def test_measured_by_name_with_a_judge_on_disk(tmp_path: Path) -> None:
    from thinker import Thinker, thinking_task

    names = ["race", "race_aa", "race_cc", "race_coh"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = tl.measure(Thinker(), thinking_task(20), names, samples=4, reasoning="think", out=tmp_path / "run")
    scores = run.scores
    assert scores["race"].is_nan().sum() == 4
    parts = sum(scores[f"race_{name}"].to_numpy() for name in ("aa", "cc", "coh"))
    np.testing.assert_allclose(scores["race"].to_numpy(), parts, atol=1e-8)
    assert any("S_CA left out" in note for note in run.score_info["race"]["notes"])
    again = run.score("race(standardise=true)")
    assert abs(np.nanmean(again["race(standardise=true)"].to_numpy())) < 1e-6
