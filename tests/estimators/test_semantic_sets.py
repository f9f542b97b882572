from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.semantic_sets import NumSemanticSets


def test_counts_meanings(make, exact) -> None:
    trace = make({"a": ["x", "y", "x"], "b": ["x", "x"], "c": ["x", None]}, judge=exact)
    scores = NumSemanticSets().score(trace)
    assert scores[:2].tolist() == [2.0, 1.0]
    assert np.isnan(scores[2])
    assert NumSemanticSets("strict").score(trace)[0] == 2.0
    with pytest.raises(InputError, match="rule"):
        NumSemanticSets("none")
