from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.p_true import PTrue, p_true_uncertainty
from trueline.traces import make_trace


def trace(*pairs):
    return make_trace(
        [{"item_id": f"i{k}", "kind": "p_true", "options": ["A", "B"], "option_logprobs": pair} for k, pair in enumerate(pairs)]
    )


def test_forms() -> None:
    pair = np.log([0.6, 0.2])
    t = trace(pair, None)
    assert PTrue().score(t)[0] == pytest.approx(0.25)
    assert PTrue("one_way").score(t)[0] == pytest.approx(0.4)
    assert PTrue(compat="lm_polygraph").score(t)[0] == pytest.approx(-np.log(0.6))
    assert np.isnan(PTrue().score(t)[1])


def test_far_options_do_not_overflow() -> None:
    assert p_true_uncertainty(-2000.0, -2001.0) == pytest.approx(1 / (1 + np.e))
    assert p_true_uncertainty(-np.inf, -1.0) == 1.0
    assert np.isnan(p_true_uncertainty(-np.inf, -np.inf))


@pytest.mark.parametrize(("pair", "message"), [([-1.0], "1 options"), ([-1.0, 0.5], "at most 0"), ([-1.0, np.nan], "at most 0")])
def test_bad_probe(pair, message) -> None:
    with pytest.raises(InputError, match=rf"'i1'.*{message}"):
        PTrue().score(trace([-1.0, -1.0], pair))


def test_refusals(make) -> None:
    with pytest.raises(MissingTraceField, match="p_true"):
        PTrue().score(make({"a": ["x", "y"]}))
    with pytest.raises(InputError, match="form"):
        PTrue("three_way")
