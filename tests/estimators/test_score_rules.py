from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.estimators.score_rules import score_rule_decomposition


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 10**6))
def test_parts_are_non_negative_and_add_up(n_models: int, n_outcomes: int, seed: int) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.ones(n_outcomes), size=n_models)
    for evaluated in range(n_models):
        d = score_rule_decomposition(probs, evaluated)
        assert min(d.zero_one_epistemic, d.log_epistemic) >= 0
        assert d.zero_one_total == pytest.approx(d.zero_one_aleatoric + d.zero_one_epistemic)
        assert d.log_total == pytest.approx(d.log_aleatoric + d.log_epistemic)


def test_impossible_outcome_of_another_model_is_infinite() -> None:
    d = score_rule_decomposition([[0.5, 0.5], [1.0, 0.0]])
    assert math.isinf(d.log_total)
    assert d.log_aleatoric == pytest.approx(math.log(2))
    assert score_rule_decomposition([[0.5, 0.5], [1.0, 0.0]], 1).log_aleatoric == 0.0


@pytest.mark.parametrize(("probs", "evaluated"), [([0.5, 0.5], 0), ([[0.5, 0.6]], 0), ([[0.5, 0.5]], 1), ([[np.nan, 1.0]], 0), ([], 0)])
def test_refusals(probs, evaluated) -> None:
    with pytest.raises(InputError):
        score_rule_decomposition(probs, evaluated)
