"""Failure scores: values by hand, sign, agreement of logits and probabilities, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax
from scipy.stats import entropy

from trueline.errors import InputError
from trueline.perception import energy, failure_scores, max_logit, max_softmax, softmax_entropy, softmax_margin


@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0.1, 40))
@settings(max_examples=40, deadline=None)
def test_against_scipy(seed: int, k: int, spread: float) -> None:
    z = np.random.default_rng(seed).normal(0, spread, (5, k))
    p = softmax(z, axis=1)
    found = failure_scores(logits=z)
    top = np.sort(p, axis=1)
    assert found["max_softmax"] == pytest.approx(1 - top[:, -1], abs=1e-12)
    assert found["softmax_entropy"] == pytest.approx(entropy(p, axis=1), abs=1e-12)
    assert found["softmax_margin"] == pytest.approx(1 - top[:, -1] + top[:, -2], abs=1e-12)
    assert found["max_logit"] == pytest.approx(-z.max(axis=1))
    assert found["energy"] == pytest.approx(-logsumexp(z, axis=1))
    assert energy(logits=z, temperature=2.0) == pytest.approx(-2 * logsumexp(z / 2, axis=1))
    for name, values in failure_scores(probabilities=p).items():
        assert values == pytest.approx(found[name], abs=1e-9)


def test_every_score_grows_with_doubt() -> None:
    for name, values in failure_scores(logits=[[9.0, 0.0, 0.0], [4.0, 0.0, 0.0], [1.0, 0.0, 0.0]]).items():
        assert (np.diff(values) > 0).all(), name


def test_extremes() -> None:
    certain = failure_scores(logits=[[1e4, -1e4], [60.0, 0.0]])
    assert all(np.isfinite(values).all() for values in certain.values())
    assert certain["max_softmax"][1] == pytest.approx(np.exp(-60.0))
    log_probabilities = np.log([[0.7, 0.3], [0.5, 0.5]])
    assert list(failure_scores(logits=log_probabilities)) == ["max_softmax", "softmax_entropy", "softmax_margin"]
    assert softmax_entropy(probabilities=[[1.0, 0.0]]).tolist() == [0.0]
    assert softmax_margin(probabilities=[[0.5, 0.5]]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_softmax(), "either logits"),
        (lambda: max_softmax(logits=[[1, 2]], probabilities=[[0.5, 0.5]]), "either logits"),
        (lambda: max_softmax(probabilities=[[3.0, 1.0]]), "not a distribution"),
        (lambda: softmax_entropy(probabilities=[[np.nan, 1.0]]), "row 0 of the probabilities"),
        (lambda: max_logit(logits=[[1.0, 2.0], [np.nan, 0.0]]), "row 1 of the logits"),
        (lambda: energy(logits=[[1.0, 2.0]], temperature=0), "temperature"),
        (lambda: energy(logits=np.empty((0, 3))), "n >= 1"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
