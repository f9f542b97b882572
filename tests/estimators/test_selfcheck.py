from __future__ import annotations

import math

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.selfcheck import selfcheck_ngram, selfcheck_nli, selfcheck_prompt


def test_contradiction_without_the_neutral_part() -> None:
    verdicts = [[[0.6, 0.2, 0.2], [0.0, 0.5, 0.5]], [[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]]
    assert selfcheck_nli(verdicts) == pytest.approx([(0.25 + 1) / 2, 0.5])


def test_bigram_counts() -> None:
    scores = selfcheck_ngram("a b", ["a b", "a c"], ["a b"], n=2)
    assert scores.average[0] == pytest.approx((0.0 - math.log(2 / 3)) / 2)
    assert scores.maximum[0] == pytest.approx(-math.log(2 / 3))


def test_passage_scores_and_unknown_words() -> None:
    scores = selfcheck_ngram("A b", ["b b"], ["a", "b", "zebra"])
    assert scores.average == pytest.approx([math.log(4), math.log(4 / 3), math.inf])
    assert math.isinf(scores.passage_average)
    two = selfcheck_ngram("A b", ["b b"], ["a b", "b"])
    assert two.passage_maximum == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)
    assert two.passage_average == pytest.approx(((math.log(4) + math.log(4 / 3)) / 2 + math.log(4 / 3)) / 2)


def test_prompted_replies() -> None:
    assert selfcheck_prompt([["Yes.", " no", "N/A"], ["yesterday", "No, it is not"]]).tolist() == [0.5, 0.75]


@pytest.mark.parametrize(
    "call",
    [
        lambda: selfcheck_nli(np.zeros((1, 0, 3))),
        lambda: selfcheck_nli(np.full((1, 1, 3), np.nan)),
        lambda: selfcheck_ngram("a", [], [""]),
        lambda: selfcheck_ngram("a", [], []),
        lambda: selfcheck_ngram("a", [], ["a"], n=0),
        lambda: selfcheck_prompt([[]]),
    ],
)
def test_refusals(call) -> None:
    with pytest.raises(InputError):
        call()
