from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.semantic_density import SemanticDensity, density
from trueline.traces import ItemJudgement, Judgements


def test_distinct_texts_count_once(make) -> None:
    probs = np.zeros((3, 3, 3))
    probs[2, 0] = [0.5, 0.4, 0.1]  # greedy -> x: kernel 0.7
    probs[2, 1] = [0.0, 0.2, 0.8]  # greedy -> y: kernel 0.1
    trace = make({"a": [("x", [-1.0, -1.0]), ("y", [-2.0]), ("x", [-9.0])]}, greedy={"a": ("z", [-0.5])})
    trace = trace.with_judgements(Judgements("given", (ItemJudgement(np.array([0, 1, 0]), 2, probs),)))
    w = np.exp([-1.0, -2.0])
    assert SemanticDensity().score(trace)[0] == pytest.approx(1 - (0.7 * w[0] + 0.1 * w[1]) / w.sum(), abs=1e-9)
    own = np.exp(-0.5)
    expected = -(0.7 * w[0] + 0.1 * w[1] + own) / (w.sum() + own)
    assert SemanticDensity(compat="lm_polygraph").score(trace)[0] == pytest.approx(expected, abs=1e-9)
    every = np.append(w, np.exp(-9.0))
    assert SemanticDensity(compat="uqlm").score(trace)[0] == pytest.approx(1 - every @ [0.7, 0.1, 0.7] / every.sum(), abs=1e-9)


def test_missing_items(make, exact) -> None:
    samples = {"a": [("x", [-1.0])] * 2, "b": [("x", [-1.0]), None], "c": [("x", [-1.0])] * 2}
    scores = SemanticDensity().score(make(samples, greedy={"a": "x", "b": "x"}, judge=exact))
    assert scores[0] == 0.0
    assert np.isnan(scores[1:]).all()
    with pytest.raises(InputError, match="positive sum"):
        density([1.0], [0.0])
