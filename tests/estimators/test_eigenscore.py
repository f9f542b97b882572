from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.eigenscore import EigenScore, eigenscore
from trueline.traces import make_trace


def test_equal_states_score_less_than_spread_ones() -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(5, 16))
    assert eigenscore(np.repeat(states[:1], 5, axis=0)) < eigenscore(states)
    centred = states - states.mean(axis=1, keepdims=True)
    sign, logdet = np.linalg.slogdet(centred @ centred.T + 1e-3 * np.eye(5))
    assert sign == 1
    assert eigenscore(states) == pytest.approx(logdet / 5)


@pytest.mark.parametrize("bad", [np.zeros((1, 4)), np.full((2, 4), np.nan), np.zeros(4)])
def test_refusals(bad) -> None:
    with pytest.raises(InputError):
        eigenscore(bad)
    with pytest.raises(InputError, match="alpha"):
        eigenscore(np.zeros((2, 4)), alpha=0.0)


def test_from_a_trace() -> None:
    states = np.random.default_rng(1).normal(size=(6, 2, 8)).astype(np.float32)

    def sample(item: str, k: int | None) -> dict[str, object]:
        row = {"item_id": item, "kind": "sample", "text": "" if k is None else "x"}
        return row if k is None else {**row, "n_layers": 4, "hidden_layers": [2, 4], "hidden_last": states[k].tolist()}

    trace = make_trace(
        [*(sample("a", k) for k in (0, 1, 2)), sample("b", 3), sample("b", None), sample("c", 4), sample("c", None), sample("c", 5)]
    )
    expected = [eigenscore(states[:3, 0]), np.nan, eigenscore(states[[4, 5], 0])]
    np.testing.assert_allclose(EigenScore().score(trace), expected, atol=1e-8)
    np.testing.assert_allclose(EigenScore(depth=1.0).score(trace)[0], eigenscore(states[:3, 1]), atol=1e-8)
    with pytest.raises(MissingTraceField, match="layer 1"):
        EigenScore(depth=0.1).score(trace)
    with pytest.raises(MissingTraceField, match="at least 2"):
        EigenScore().score(make_trace([sample("b", 3), sample("b", None)]))
