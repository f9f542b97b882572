from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trueline.errors import InputError, MissingTraceField
from trueline.estimators import clusters, graph
from trueline.estimators.graph import Degree, Eccentricity, EigenValue, eccentricity, jaccard, symmetric_weights
from trueline.traces import ItemJudgement, Judgements

ALL = [kind(weight) for kind in (EigenValue, Degree, Eccentricity) for weight in ("jaccard", "entail", "contra")]


def definitions(w: NDArray[np.float64]) -> tuple[float, float, float]:
    """EigV, Deg, Ecc of one weight matrix, as printed in the paper."""
    m = len(w)
    d = np.diag(w.sum(axis=1))
    root = np.diag(1 / np.sqrt(np.diag(d)))
    values, vectors = np.linalg.eigh(np.eye(m) - root @ w @ root)
    v = vectors[:, values < 0.9]
    return np.maximum(0, 1 - values).sum(), np.trace(m * np.eye(m) - d) / m**2, np.linalg.norm(v - v.mean(axis=0))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.sampled_from(["a b", "b c", "A", "", "c c"]), min_size=3, max_size=5), min_size=1, max_size=4))
def test_batched_scores_agree_with_the_definitions(items: list[list[str]]) -> None:
    from trueline.traces import make_trace

    trace = make_trace({"item_id": f"i{k}", "kind": "sample", "text": t} for k, texts in enumerate(items) for t in texts)
    expected = np.array([definitions(jaccard(texts)) for texts in items])
    for column, kind in enumerate((EigenValue, Degree, Eccentricity)):
        assert kind().score(trace) == pytest.approx(expected[:, column], abs=1e-7)


def test_jaccard_of_empty_texts() -> None:
    assert jaccard(["", "", "a"]).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert jaccard(["", "", "a"], "lm_polygraph").tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert jaccard(["a B", "b c"])[0, 1] == pytest.approx(1 / 3)


def test_hard_verdicts_count_meanings(make, exact) -> None:
    trace = make({"a": ["x", "x", "y", "z"], "b": ["x"] * 4}, judge=exact)
    for weight in ("entail", "contra"):
        assert EigenValue(weight).score(trace).tolist() == [3.0, 1.0]
        assert Degree(weight).score(trace).tolist() == [0.625, 0.0]
        assert Eccentricity(weight).score(trace)[1] == 0.0


def test_diagonal_is_one_unless_compatible() -> None:
    probs = np.random.default_rng(0).dirichlet([1, 1, 1], size=(1, 3, 3))
    ours, theirs = symmetric_weights(probs), symmetric_weights(probs, compat="lm_polygraph")
    assert np.diagonal(ours, axis1=1, axis2=2).tolist() == [[1.0, 1.0, 1.0]]
    assert np.diagonal(theirs, axis1=1, axis2=2)[0] == pytest.approx(np.diagonal(probs[0, ..., 0]))
    assert ours == pytest.approx(np.swapaxes(ours, 1, 2))


def test_isolated_answer_stays_alone() -> None:
    w = np.zeros((1, 2, 2))
    assert eccentricity(w).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("estimator", ALL)
def test_blocks_and_missing_items(make, exact, monkeypatch, estimator) -> None:
    rng = np.random.default_rng(1)
    samples = {f"i{k}": [None if rng.random() < 0.3 else str(rng.choice(["p q", "q r", "r"])) for _ in range(4)] for k in range(25)}
    samples["alone"] = ["p", None, None, None]
    trace = make(samples, judge=exact)
    whole = estimator.score(trace)
    monkeypatch.setattr(graph, "BLOCK", 2)
    monkeypatch.setattr(clusters, "BLOCK", 2)
    assert estimator.score(make(samples, judge=exact)).tobytes() == whole.tobytes()
    few = np.array([sum(t is not None for t in texts) < 2 for texts in samples.values()])
    assert np.array_equal(np.isnan(whole), few)


def test_order_of_samples_changes_nothing(make) -> None:
    rng = np.random.default_rng(2)
    probs = rng.dirichlet([1, 1, 1], size=(5, 5))
    order = rng.permutation(5)
    trace = make({"a": list("abcde")})
    one = trace.with_judgements(Judgements("x", (ItemJudgement(np.arange(5), -1, probs),)))
    two = trace.with_judgements(Judgements("x", (ItemJudgement(order, -1, probs),)))
    for kind in (EigenValue, Degree, Eccentricity):
        assert kind("entail").score(one) == pytest.approx(kind("entail").score(two), abs=1e-9)


def test_refusals(make) -> None:
    with pytest.raises(InputError, match="weight"):
        EigenValue("cosine")
    with pytest.raises(InputError, match="compat"):
        Degree(compat="uqlm")
    with pytest.raises(MissingTraceField, match="equivalence"):
        EigenValue("entail").score(make({"a": ["x", "y"]}))
    with pytest.raises(InputError, match="at least 2"):
        Degree().score(make({"a": ["x"]}))
