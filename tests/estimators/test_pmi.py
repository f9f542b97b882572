from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import EmptySequenceError, InputError
from trueline.estimators.pmi import ConditionalPMI, MeanPMI, conditional_pmi, mean_pmi
from trueline.traces import make_trace


def test_by_hand() -> None:
    assert mean_pmi([-1.0, -2.0], [-9.0, -3.0]) == pytest.approx(-(-3.0 + 3.0) / 2)
    assert conditional_pmi([-1.0, -2.0, -1.0], [-9.0, -3.0, -5.0], [1.0, 1.0, 0.0], weight=2.0) == pytest.approx(-(-4.0 + 2 * 3.0) / 3)
    assert conditional_pmi([-1.0], [-9.0], [5.0]) == 1.0, "the first token has no prior"


def test_refusals() -> None:
    with pytest.raises(InputError):
        mean_pmi([-1.0], [-1.0, -2.0])
    with pytest.raises(InputError, match="entropies"):
        conditional_pmi([-1.0], [-1.0], [1.0, 2.0])


def test_from_a_trace() -> None:
    base = {"kind": "greedy", "text": "x"}
    full = {"token_logprobs": [-1.0, -2.0], "prior_logprobs": [-9.0, -3.0], "token_entropy": [1.0, 1.0]}
    one = {"token_logprobs": [-1.0], "prior_logprobs": [-9.0], "token_entropy": [5.0]}
    empty = {"token_logprobs": [], "prior_logprobs": [], "token_entropy": []}
    trace = make_trace([{"item_id": name, **base, **row} for name, row in (("full", full), ("one", one), ("empty", empty))])
    np.testing.assert_allclose(MeanPMI(on_empty="nan").score(trace), [0.0, 1.0, np.nan], atol=1e-12)
    expected = [conditional_pmi([-1.0, -2.0], [-9.0, -3.0], [1.0, 1.0]), 1.0, np.nan]
    np.testing.assert_allclose(ConditionalPMI(on_empty="nan").score(trace), expected)
    np.testing.assert_allclose(ConditionalPMI(tau=10.0, on_empty="nan").score(trace), [1.5, 1.0, np.nan])
    with pytest.raises(EmptySequenceError):
        MeanPMI().score(trace)


def test_a_prior_that_is_no_number_is_refused() -> None:
    row = {"item_id": "a", "kind": "greedy", "text": "x", "token_logprobs": [-1.0, -2.0], "prior_logprobs": [-1.0, float("nan")]}
    with pytest.raises(InputError, match="prior_logprobs"):
        MeanPMI().score(make_trace([row]))
    with pytest.raises(InputError, match="shapes"):
        MeanPMI().score(make_trace([{**row, "prior_logprobs": [-1.0]}]))
