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
