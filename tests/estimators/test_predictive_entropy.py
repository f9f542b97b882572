from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import EmptySequenceError, InputError, LawError, MissingTraceField
from trueline.estimators.predictive_entropy import PredictiveEntropy


def test_by_hand_and_per_token(make) -> None:
    trace = make({"a": [("x", [-1.0, -2.0]), ("y", [-0.5])]})
    assert PredictiveEntropy().score(trace)[0] == pytest.approx(1.75)
    assert PredictiveEntropy(length_normalize=True).score(trace)[0] == pytest.approx(1.0)


@pytest.mark.parametrize("law", [{"temperature": 0.7}, {"top_p": 0.9}, {"top_k": 50}])
def test_other_laws_are_refused_unless_asked_for(make, law) -> None:
    trace = make({"a": [("x", [-1.0]), ("y", [-0.5])]}, **law)
    with pytest.raises(LawError, match=f"'a'.*{next(iter(law))}"):
        PredictiveEntropy().score(trace)
    assert PredictiveEntropy(any_law=True).score(trace)[0] == 0.75
    assert PredictiveEntropy().needs.model_law
    assert not PredictiveEntropy(any_law=True).needs.model_law


def test_unknown_law_of_imported_samples_passes(make) -> None:
    assert PredictiveEntropy().score(make({"a": [("x", [-1.0]), ("y", [-0.5])]}, temperature=None, top_p=None, top_k=None))[0] == 0.75


def test_missing_samples_are_left_out(make) -> None:
    failed = {"text": None, "token_logprobs": None, "error": "out of memory"}
    trace = make({"a": [("x", [-1.0]), failed, ("y", [-2.0])], "b": [("x", [-1.0]), failed], "c": []})
    scores = PredictiveEntropy().score(trace)
    assert scores[0] == 1.5
    assert np.isnan(scores[1:]).all()


def test_empty_samples(make) -> None:
    trace = make({"a": [("x", [-1.0]), ("", []), ("y", [-2.0])]})
    with pytest.raises(EmptySequenceError, match="'a'"):
        PredictiveEntropy().score(trace)
    assert PredictiveEntropy(on_empty="nan").score(trace)[0] == 1.5


def test_one_sample_everywhere_is_an_error(make) -> None:
    with pytest.raises(InputError, match="at least 2"):
        PredictiveEntropy().score(make({"a": [("x", [-1.0])], "b": [("x", [-1.0])]}))
    with pytest.raises(MissingTraceField, match=r"samples\.token_logprobs"):
        PredictiveEntropy().score(make(greedy={"a": ("x", [-1.0])}))
    with pytest.raises(InputError, match=r"'b'.*0.5"):
        PredictiveEntropy().score(make({"a": [("x", [-1.0])] * 2, "b": [("x", [0.5])] * 2}))
