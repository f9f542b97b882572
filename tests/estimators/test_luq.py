from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import MissingTraceField
from trueline.estimators.luq import LUQ, Contradiction
from trueline.traces import ItemJudgement, Judgements


def test_hard_verdicts(make, exact) -> None:
    trace = make({"a": ["x", "x", "y"], "b": ["x", "x"], "c": ["x", None]}, greedy={"a": "x", "b": "y", "c": "x"}, judge=exact)
    assert LUQ().score(trace)[:2] == pytest.approx([2 / 3, 0.0])
    assert Contradiction().score(trace)[:2] == pytest.approx([1 / 3, 1.0])
    assert np.isnan(LUQ().score(trace)[2])
    assert np.isnan(Contradiction().score(trace)[2])


def test_wholly_neutral_says_as_much_for_as_against(make) -> None:
    probs = np.zeros((2, 2, 3))
    probs[..., 1] = 1.0
    trace = make({"a": ["x", "y"]}).with_judgements(Judgements("n", (ItemJudgement(np.arange(2), -1, probs),)))
    assert LUQ().score(trace)[0] == 0.5


def test_needs_a_greedy_answer(make, exact) -> None:
    with pytest.raises(MissingTraceField, match="greedy"):
        Contradiction().score(make({"a": ["x", "y"]}, judge=exact))
