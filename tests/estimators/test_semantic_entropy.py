from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import EmptySequenceError, InputError, LawError, MissingTraceField
from trueline.estimators.engine import judge_trace
from trueline.estimators.equivalence import Exact
from trueline.estimators.semantic_entropy import MaxClusterProbability, SemanticEntropy
from trueline.traces import make_trace

FORMS = [
    SemanticEntropy(),
    SemanticEntropy(length_normalize=True),
    SemanticEntropy(estimator="monte_carlo"),
    SemanticEntropy(estimator="monte_carlo", unique=True),
    SemanticEntropy(estimator="cluster_mean"),
    SemanticEntropy(weights="count"),
    SemanticEntropy(weights="count", normalize=True),
    MaxClusterProbability(),
    MaxClusterProbability(weights="logprob"),
]


def by_loops(samples: list[tuple[str, list[float]]], form: SemanticEntropy | MaxClusterProbability) -> float:
    """The definitions, spelled out; a cluster is a text."""
    weight = [1.0 if form.weights == "count" else math.exp(sum(lp) / (len(lp) if form.length_normalize else 1)) for _, lp in samples]
    texts = sorted({t for t, _ in samples})
    mass = {t: sum(w for w, (u, _) in zip(weight, samples, strict=True) if u == t) for t in texts}
    share = {t: m / sum(mass.values()) for t, m in mass.items()}
    if isinstance(form, MaxClusterProbability):
        return 1 - max(share.values())
    if form.estimator == "monte_carlo":
        first = {t: next(w for w, (u, _) in zip(weight, samples, strict=True) if u == t) for t in texts}
        return -sum(math.log((first if form.unique else mass)[t]) for t, _ in samples) / len(samples)
    if form.estimator == "cluster_mean":
        return -sum(math.log(m) for m in mass.values()) / len(mass)
    entropy = -sum(p * math.log(p) for p in share.values())
    return entropy / math.log(len(samples)) if form.normalize else entropy


answers = st.tuples(st.sampled_from("abc"), st.lists(st.floats(-9, -0.01), min_size=1, max_size=4))
items = st.lists(st.lists(answers, min_size=2, max_size=6), min_size=1, max_size=4)


def trace_of(items: list[list[tuple[str, list[float]]]]):
    law = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
    rows = [
        {"item_id": f"i{k}", "kind": "sample", "text": t, "token_logprobs": lp, **law}
        for k, answers in enumerate(items)
        for t, lp in answers
    ]
    trace = make_trace(rows)
    return trace.with_judgements(judge_trace(trace, Exact()))


@settings(deadline=None, max_examples=40)
@given(items)
def test_every_form_agrees_with_its_definition(items) -> None:
    trace = trace_of(items)
    for form in FORMS:
        assert form.score(trace) == pytest.approx([by_loops(answers, form) for answers in items], abs=2e-9), form


@settings(deadline=None, max_examples=30)
@given(items, st.randoms(use_true_random=False))
def test_order_of_samples_changes_nothing_but_which_repeat_is_the_first(items, random) -> None:
    mixed = [random.sample(answers, len(answers)) for answers in items]
    for form in FORMS:
        if not (isinstance(form, SemanticEntropy) and form.unique):
            assert form.score(trace_of(mixed)) == pytest.approx(form.score(trace_of(items)), abs=1.5e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 12), st.lists(st.floats(-800, 0), min_size=1, max_size=5))
def test_one_meaning_is_exactly_zero(n: int, logprobs: list[float]) -> None:
    trace = trace_of([[("a", logprobs)] * n])
    for form in (FORMS[0], FORMS[1], FORMS[5], FORMS[6], FORMS[7], FORMS[8]):
        assert str(form.score(trace)[0]) == "0.0"


def test_bounds_of_the_discrete_form(make, exact) -> None:
    trace = make({"a": list("abcdefghij")}, judge=exact)
    assert SemanticEntropy(weights="count").score(trace)[0] == pytest.approx(math.log(10), abs=1e-9)
    assert SemanticEntropy(weights="count", normalize=True).score(trace)[0] == 1.0


def test_vanishing_likelihoods_do_not_break(make, exact) -> None:
    trace = make({"a": [("x", [-2000.0]), ("y", [-2001.0])], "b": [("x", [-1.0]), ("y", [-2000.0])]}, judge=exact)
    p = 1 / (1 + math.exp(-1))
    scores = SemanticEntropy().score(trace)
    assert scores[0] == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p), abs=1e-9)
    assert scores[1] == 0.0


def test_sample_without_logprobs_or_text_is_left_out(make, exact) -> None:
    half = {"text": "z", "token_logprobs": None}
    trace = make({"a": [("x", [-1.0]), half, ("y", [-1.0]), {"text": None}], "b": [("x", [-1.0]), half]}, judge=exact)
    scores = SemanticEntropy().score(trace)
    assert scores[0] == pytest.approx(math.log(2), abs=1e-9)
    assert np.isnan(scores[1])
    assert SemanticEntropy(weights="count").score(trace) == pytest.approx([math.log(3), math.log(2)], abs=1e-9)


def test_refusals(make, exact) -> None:
    with pytest.raises(InputError, match="estimator='mean'"):
        SemanticEntropy(estimator="mean")
    with pytest.raises(InputError, match="weights='count'"):
        SemanticEntropy(weights="count", length_normalize=True)
    with pytest.raises(InputError, match="unique"):
        SemanticEntropy(unique=True)
    with pytest.raises(MissingTraceField, match="equivalence"):
        SemanticEntropy().score(make({"a": [("x", [-1.0])] * 2}))
    with pytest.raises(MissingTraceField, match="token_logprobs"):
        SemanticEntropy().score(make({"a": ["x", "y"]}, judge=exact))
    hot = make({"a": [("x", [-1.0])] * 2}, judge=exact, temperature=0.5)
    assert SemanticEntropy().score(hot)[0] == 0.0
    with pytest.raises(LawError):
        SemanticEntropy(estimator="monte_carlo").score(hot)
    with pytest.raises(EmptySequenceError):
        SemanticEntropy().score(make({"a": [("x", [-1.0]), ("", [])]}, judge=exact))
    with pytest.raises(InputError, match="at least 2"):
        SemanticEntropy(weights="count").score(make({"a": ["x"]}, judge=exact))
