from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.self_consistency import SelfConsistency, confidence_weighted_consistency


def test_majority_and_greedy_share(make, exact) -> None:
    trace = make({"a": ["x", "y", "x", "z"], "b": ["x", "x"], "c": ["x", None]}, greedy={"a": "y", "b": "x", "c": "x"}, judge=exact)
    majority = SelfConsistency().score(trace)
    assert majority[:2].tolist() == [0.5, 0.0]
    assert str(majority[1]) == "0.0"
    assert np.isnan(majority[2])
    assert SelfConsistency("greedy").score(trace)[:2].tolist() == [0.75, 0.0]


def test_without_greedy_answer(make, exact) -> None:
    trace = make({"a": ["x", "y"], "b": ["x", "x"]}, greedy={"b": "x"}, judge=exact)
    scores = SelfConsistency("greedy").score(trace)
    assert np.isnan(scores[0])
    assert scores[1] == 0.0
    with pytest.raises(MissingTraceField, match="greedy"):
        SelfConsistency("greedy").score(make({"a": ["x", "y"]}, judge=exact))
    with pytest.raises(InputError, match="reference"):
        SelfConsistency("first")


def test_confidence_weights() -> None:
    assert confidence_weighted_consistency([0, 0, 1], [0.9, 0.3, 0.8]) == (pytest.approx(0.4), 0)
    score, missing = confidence_weighted_consistency([0, 1], [np.nan, np.nan])
    assert np.isnan(score)
    assert missing == 2
    for clusters, confidence in (([0], [0.5]), ([0, 1], [0.5]), ([0, 1], [0.5, 1.5])):
        with pytest.raises(InputError):
            confidence_weighted_consistency(clusters, confidence)
