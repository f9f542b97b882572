from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from trueline.errors import InputError, MissingTraceField
from trueline.estimators import clusters as module
from trueline.estimators.clusters import RULES, cluster, sample_clusters
from trueline.traces import Judgements

E, N, C = np.eye(3)


def verdicts(table: list[str]) -> NDArray[np.float64]:
    """One letter a pair: e, n, c."""
    return np.array([[{"e": E, "n": N, "c": C}[letter] for letter in row] for row in table])


def by_loops(probs: NDArray[np.float64], rule: str) -> list[int]:
    """First fit, spelled out."""

    def same(i: int, j: int) -> bool:
        one, two = int(probs[i, j].argmax()), int(probs[j, i].argmax())
        return {"strict": one == two == 0, "either": 0 in (one, two), "loose": 2 not in (one, two) and not one == two == 1}[rule]

    first: list[int] = []
    labels = []
    for i in range(len(probs)):
        for label, member in enumerate(first):
            if same(i, member):
                labels.append(label)
                break
        else:
            labels.append(len(first))
            first.append(i)
    return labels


def test_rules_by_hand() -> None:
    one_way = verdicts(["een", "ncc", "cce"])  # 0 entails 1, 1 is neutral to 0
    assert cluster(one_way).tolist() == [0, 1, 2]
    assert cluster(one_way, "either").tolist() == [0, 0, 1]
    assert cluster(one_way, "loose").tolist() == [0, 0, 1]


def test_first_fit_stands_when_verdicts_are_not_transitive() -> None:
    chain = verdicts(["eec", "eee", "cee"])  # 0 = 1, 1 = 2, 0 != 2
    assert cluster(chain).tolist() == [0, 0, 1]
    assert cluster(chain, "components").tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 7).flatmap(lambda m: arrays(np.int64, (3, m, m), elements=st.integers(0, 2))), st.sampled_from(RULES[:3]))
def test_stack_agrees_with_loops(labels: NDArray[np.int64], rule: str) -> None:
    probs = np.eye(3)[labels]
    assert cluster(probs, rule).tolist() == [by_loops(p, rule) for p in probs]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9).flatmap(lambda m: arrays(np.int64, (m, m), elements=st.integers(0, 2))))
def test_components_agree_with_scipy(labels: NDArray[np.int64]) -> None:
    from scipy.sparse.csgraph import connected_components

    entail = np.eye(3)[labels]
    edges = (labels == 0) & (labels.T == 0)
    expected = connected_components(edges, directed=False)[1]
    found = cluster(entail, "components")
    assert len({(a, b) for a, b in zip(expected, found, strict=True)}) == len(set(expected)) == len(set(found.tolist()))
    assert found[0] == 0
    assert (np.diff(np.maximum.accumulate(found)) <= 1).all(), "labels count in the order of opening"


@pytest.mark.parametrize(
    ("probs", "rule"),
    [(np.zeros((2, 3, 3)), "strict"), (np.full((2, 2, 3), np.nan), "strict"), (np.zeros((2, 2)), "strict"), (np.zeros((2, 2, 3)), "tight")],
)
def test_bad_input(probs, rule) -> None:
    with pytest.raises(InputError):
        cluster(probs, rule)


def test_labels_of_hard_verdicts_follow_the_order_of_draws(make, exact) -> None:
    trace = make({"a": ["y", "x", "y"], "b": [None, "q", "p", "q"], "c": []}, greedy={"a": "x", "b": "p", "c": "z"}, judge=exact)
    found = sample_clusters(trace)
    assert found.label.tolist() == [0, 1, 0, -1, 0, 1, 0]
    assert found.counts.tolist() == [3, 3, 0]


def test_soft_verdicts_give_the_same_clusters_in_any_block(make, exact, monkeypatch) -> None:
    words = ["p", "q", "r"]
    rng = np.random.default_rng(0)
    samples = {f"i{k}": [None if rng.random() < 0.2 else str(rng.choice(words)) for _ in range(5)] for k in range(20)}
    hard = make(samples, judge=exact)
    assert hard.judgements is not None
    soft = hard.with_judgements(Judgements("soft", hard.judgements.items, hard=False))
    expected = sample_clusters(hard)
    monkeypatch.setattr(module, "BLOCK", 3)
    for rule in RULES:
        found = sample_clusters(soft, rule)
        assert found.label.tolist() == expected.label.tolist()


def test_needs_verdicts_that_fit(make, exact) -> None:
    with pytest.raises(MissingTraceField, match="judge_trace"):
        sample_clusters(make({"a": ["x", "y"]}))
    two = make({"a": ["x", "y"], "b": ["x", "y"]}, judge=exact)
    one = make({"a": ["x", "y"]})
    with pytest.raises(InputError, match="2 items"):
        sample_clusters(one.with_judgements(two.judgements))


def test_item_without_verdicts_counts_as_missing(make, exact) -> None:
    trace = make({"a": ["x", "y"], "b": ["x", "x"]}, judge=exact)
    assert trace.judgements is not None
    found = sample_clusters(trace.with_judgements(Judgements("x", (None, trace.judgements.items[1]))))
    assert found.label.tolist() == [-1, -1, 0, 0]
    assert found.counts.tolist() == [0, 2]
