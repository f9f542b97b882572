"""Pairs beside whole answers, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.claim_conditioned import CCP
from trueline.estimators.engine import judge_trace
from trueline.estimators.equivalence import Exact, Normalised, Verdicts
from trueline.estimators.pairs import COMPARED, JUDGED
from trueline.estimators.selfcheck import SelfCheckNgram, SelfCheckNLI, SelfCheckPrompt, SelfCheckSimilarity
from trueline.estimators.similarity import Char3, compare_trace
from trueline.traces import Trace, make_trace

GREEDY = {
    "text": "It is Paris.",
    "tokens": [5, 6, 9],
    "token_texts": ["It is", " Paris.", ""],
    "token_logprobs": np.log([0.5, 0.5, 1.0]).tolist(),
    "topk_ids": [[5, 1], [2, 6, 3], [9, 1]],
    "topk_logprobs": [np.log([0.5, 0.5]).tolist(), np.log([0.5, 0.5, 0.25]).tolist(), [0.0, -9.0]],
    "topk_texts": [["It is", "In"], [" Lyon.", " Paris.", " paris"], ["", " x"]],
}


def trace(greedy: dict[str, object] | None = None, samples: Sequence[str | None] = ("Paris. It is.", "Lyon", None)) -> Trace:
    rows: list[dict[str, object]] = [{"item_id": "a", "kind": "greedy", **(GREEDY if greedy is None else greedy)}]
    rows += [{"item_id": "a", "kind": "sample", "text": text, "error": None if text is not None else "failed"} for text in samples]
    return make_trace(rows, questions={"a": "Where?"})


class Asked:
    """Says contradiction; remembers."""

    name, self_pairs, batch_size = "asked", False, 64

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def fingerprint(self) -> str:
        return "asked"

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        return f"{question} {premise}", f"{question} {hypothesis}"

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        self.pairs += pairs
        return Verdicts(np.tile([0.1, 0.2, 0.7], (len(pairs), 1)), np.zeros(len(pairs), dtype=bool))


def test_layouts() -> None:
    assert next(JUDGED["sentences"](trace())) == [("It is Paris.", "Paris. It is."), ("It is Paris.", "Lyon")]
    swaps = next(JUDGED["alternatives"](trace()))
    whole = "It is Paris."
    assert swaps == [pair for text in ("In Paris.", "It is Lyon.", "It is paris") for pair in ((whole, text), (text, whole))]
    assert next(COMPARED["sentences"](trace())) == [("It is Paris.", part) for part in ("Paris.", "It is.", "Lyon")]
    assert next(COMPARED["greedy_tokens"](trace())) == [
        ("Where? It is Paris.", "Where? Paris."),
        ("Where? It is Paris.", "Where? It is"),
        ("Where? It is Paris.", "Where? It is Paris."),
    ]
    assert next(COMPARED["samples"](trace())) == [("Paris. It is.", "Lyon")]


def test_every_pair_is_asked_once_and_no_text_against_itself() -> None:
    judge = Asked()
    found = judge_trace(trace(samples=("Lyon", "Lyon", "It is Paris.")), judge, wanted={"samples", "greedy_samples", *JUDGED})
    assert len(judge.pairs) == len(set(judge.pairs))
    assert all(a != b for a, b in judge.pairs)
    np.testing.assert_array_equal(found.pairs["sentences"][0][2], [1.0, 0.0, 0.0])
    assert found.pairs["alternatives"][0].shape == (6, 3)


def test_ccp_from_a_trace() -> None:
    hard = trace().with_judgements(judge_trace(trace(), Normalised(), wanted={"alternatives"}))
    # "In" and "Lyon" contradict; "paris" is the same up to punctuation and case
    expected = -(0.5 / 1.0) * (0.75 / 1.25)
    assert CCP().score(hard).tolist() == pytest.approx([expected])
    alone = trace({**GREEDY, "tokens": [9], "token_texts": [""], "token_logprobs": [0.0], "topk_ids": [[9]], "topk_logprobs": [[0.0]],
                   "topk_texts": [[""]], "text": ""})  # fmt: skip
    assert np.isnan(CCP().score(alone.with_judgements(judge_trace(alone, Exact(), wanted={"alternatives"})))).all()
    with pytest.raises(MissingTraceField, match="alternatives"):
        CCP().score(trace())


def test_ccp_needs_no_sample() -> None:
    lone = trace(samples=())
    assert np.isfinite(CCP().score(lone.with_judgements(judge_trace(lone, Normalised(), wanted={"alternatives"})))).all()


def test_unknown_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="no pairs are called 'words'"):
        judge_trace(trace(), Exact(), wanted={"words"})


def test_selfcheck_from_a_trace() -> None:
    both = trace(samples=("It is Paris.", "Lyon", None))
    judged = both.with_judgements(judge_trace(both, Normalised(), wanted={"sentences"}))
    assert SelfCheckNLI().score(judged).tolist() == [0.5]
    compared = both.with_similarities(compare_trace(both, Char3(), wanted={"sentences"}))
    assert SelfCheckSimilarity().score(compared).tolist() == [0.5]
    # words: it, is, paris. twice and lyon once
    assert SelfCheckNgram().score(both).tolist() == pytest.approx([np.log(7 / 2)])
    assert SelfCheckNgram(reduce="mean").score(both).tolist() == pytest.approx([np.log(7 / 2)])
    rows = [{"item_id": "a", "kind": "selfcheck_prompt", "text": text} for text in ("Yes", "no", "well", None)]
    asked = _with(both, rows)
    assert SelfCheckPrompt().score(asked).tolist() == [0.5]


def _with(trace_: Trace, rows: list[dict[str, object]]) -> Trace:
    old = [{k: v for k, v in row.items() if v is not None and k != "item_index"} for row in trace_.table.to_pylist()]
    return make_trace([*old, *rows])


def test_best_sentence_of_each_sample_counts() -> None:
    two = trace({"text": "Paris is big. Lyon is old."}, samples=("Lyon is old. It rains.", "Paris is big."))
    compared = two.with_similarities(compare_trace(two, Char3(), wanted={"sentences"}))
    values = compared.similarities.values["sentences"][0]
    first, second = values[:3], values[3:]
    expected = 1 - np.mean([first[:2].max(), first[2], second[:2].max(), second[2]])
    assert SelfCheckSimilarity().score(compared).tolist() == pytest.approx([expected])
    assert second[:2].max() == 1.0


def test_bigrams_start_at_sentences() -> None:
    two = trace({"text": 'He said "Yes." Then he left.'}, samples=("Then he left.", 'He said "Yes."'))
    assert np.isfinite(SelfCheckNgram(n=2).score(two)).all()
    assert np.isfinite(SelfCheckNgram(n=3, reduce="mean").score(two)).all()


@pytest.mark.parametrize("estimator", [SelfCheckNLI(), SelfCheckNgram(), SelfCheckPrompt(), SelfCheckSimilarity()], ids=repr)
def test_answers_without_a_sentence_are_missing(estimator) -> None:
    silent = trace({"text": " ..."}, samples=("Lyon", "Paris"))
    silent = _with(silent, [{"item_id": "a", "kind": "selfcheck_prompt", "error": "not asked"}])
    silent = silent.with_judgements(judge_trace(silent, Exact(), wanted={"sentences"}))
    silent = silent.with_similarities(compare_trace(silent, Char3(), wanted={"sentences"}))
    assert np.isnan(estimator.score(silent)).all()


def test_refused_options() -> None:
    for options in ({"n": 0}, {"reduce": "sum"}):
        with pytest.raises(InputError):
            SelfCheckNgram(**options)
