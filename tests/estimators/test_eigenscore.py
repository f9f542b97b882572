from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.eigenscore import eigenscore


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
