from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.verbalized import Verbalized, parse_confidence
from trueline.traces import make_trace


@pytest.mark.parametrize(
    ("reply", "confidence"),
    [
        ("0.85", 0.85),
        (" 85 %", 0.85),
        ("Answer: 1984. Probability: 95%", 0.95),
        ("Answer: 1984.\nCONFIDENCE : .4", 0.4),
        ("+0.5", 0.5),
        ("about 1e-2", 0.01),
        ("Probability: 0", 0.0),
        ("100%", 1.0),
        ("1.0.", 1.0),
        ("0.9, surely", 0.9),
        ("Answer: 7. Probability: unknown", None),
        ("1984, 95%", None),
        ("85", None),
        ("-0.2", None),
        ("-20%", None),
        ("150%", None),
        ("0,85", None),
        ("1,000", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_contract(reply, confidence) -> None:
    assert parse_confidence(reply) == pytest.approx(math.nan if confidence is None else confidence, nan_ok=True)


@settings(deadline=None)
@given(st.text())
def test_any_reply_is_in_range_or_missing(reply: str) -> None:
    value = parse_confidence(reply)
    assert math.isnan(value) or 0 <= value <= 1


def test_scores_and_missing() -> None:
    replies = ["95%", "no idea", None]
    trace = make_trace([{"item_id": f"i{k}", "kind": "verbalized_2s", "text": r} for k, r in enumerate(replies)])
    scores = Verbalized("2s").score(trace)
    assert scores[0] == pytest.approx(0.05)
    assert np.isnan(scores[1:]).all()
    with pytest.raises(MissingTraceField, match="verbalized_1s"):
        Verbalized().score(trace)
    with pytest.raises(InputError, match="form"):
        Verbalized("3s")


@pytest.mark.parametrize(
    ("reply", "confidence"),
    [
        ("Answer: Paris\nConfidence: Almost certain", 0.95),
        ("Confidence: probably not.", 0.25),
        ("Confidence: **highly   unlikely**", 0.05),
        ("confidence: Unlikely", 0.2),
        ("Confidence: likely, I mean unlikely", float("nan")),
        ("Confidence: almost certain, highly likely, likely", float("nan")),
        ("Confidence: likelyish", float("nan")),
        ("It is likely Paris", float("nan")),
        ("Confidence:", float("nan")),
        ("", float("nan")),
        (None, float("nan")),
    ],
)
def test_expressions(reply, confidence) -> None:
    assert Verbalized("linguistic").confidence(reply) == pytest.approx(confidence, nan_ok=True)


@pytest.mark.parametrize(
    ("reply", "confidence"),
    [
        ("G1: Paris\nP1: 0.7\nG2: Lyon\nP2: 0.2", 0.7),
        ("G1: 1984\nP1: 95 %", 0.95),
        ("G1: 1984\nP1: \nG2: 0.5", float("nan")),
        ("G1: 0.5\nG2: 0.25\nP2: 0.1", float("nan")),
        ("P1: 1.5", float("nan")),
        ("", float("nan")),
        (None, float("nan")),
    ],
)
def test_the_best_of_several_guesses(reply, confidence) -> None:
    assert Verbalized("topk").confidence(reply) == pytest.approx(confidence, nan_ok=True)
