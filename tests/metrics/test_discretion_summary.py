"""The record of a preference table: what it warns about, and names that do not fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics.discretion_summary import discretion_summary

NAN = math.nan


def test_warnings_are_said_where_they_apply() -> None:
    rng = np.random.default_rng(0)
    one = rng.choice([1.0, -1.0], size=(50, 1))
    P = np.hstack([one, one, one, one, np.full((50, 1), NAN)])
    P[0, 0] = 0
    found = discretion_summary(P, {"judge": one[:, 0]}, list("abcde"), oracle="judge", ci=None)
    assert found["discrepancies"] == []
    assert found["annotators"]["judge"]["arbitrariness"]["1"]["value"] == 0
    text = " ".join(found["warnings"])
    for part in (
        "judge also judged",
        "1 judgements followed the position",
        "5 principles amount to about",
        "Never relevant: e.",
        "5 no games",
    ):
        assert part in text


def test_quiet_where_nothing_is_wrong() -> None:
    rng = np.random.default_rng(1)
    P = rng.choice([1.0, -1.0, NAN], size=(400, 3))
    a, b = rng.choice([1.0, -1.0], size=(2, 400))
    found = discretion_summary(P, {"a": a, "b": b}, ["p", "q", "r"], ci=None)
    assert found["warnings"] == []
    assert sum(share["value"] for share in found["regions"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"P": [[1], [1]], "principles": ["p"]}, "'p' is given; conflicts need at least two"),
        ({"principles": ["p"]}, "1 names for 2 principles"),
        ({"annotators": {}}, "no annotator"),
        ({"annotators": {"human": [1, 5]}}, r"human\[1\] is 5"),
        ({"oracle": "humans"}, "did you mean human"),
        ({"prior": -1}, "prior is -1"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"P": [[1, -1], [1, 1]], "annotators": {"human": [1, 1]}, "principles": ["p", "q"]} | changes
    with pytest.raises(InputError, match=message):
        discretion_summary(arguments.pop("P"), arguments.pop("annotators"), arguments.pop("principles"), **arguments, ci=None)
