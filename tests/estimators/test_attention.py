from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.attention import attention_score, csl, rauq


def test_rauq_by_hand() -> None:
    q = np.log([0.5, 0.4])
    attention = np.array([[[0.2], [0.8]]])  # one layer, two heads: the second attends more
    c = 0.2 * 0.4 + 0.8 * 0.8 * 0.5
    assert rauq(q, attention) == pytest.approx(-(np.log(0.5) + np.log(c)) / 2)
    assert rauq(q[:1], attention[:, :, :0]) == pytest.approx(-np.log(0.5)), "one token: its own NLL"
    assert rauq(q, attention, alpha=1.0) == pytest.approx(-q.mean())


@pytest.mark.parametrize(("n_layers", "middle"), [(1, [0]), (2, [0, 1]), (3, [1, 2]), (6, [2, 3, 4])])
def test_rauq_reads_the_middle_layers_only(n_layers: int, middle: list[int]) -> None:
    q = np.log([0.5, 0.4])
    quiet = np.full((n_layers, 1, 1), 0.9)
    for layer in range(n_layers):
        loud = quiet.copy()
        loud[layer] = 0.0
        assert (rauq(q, loud) > rauq(q, quiet) + 1e-9) == (layer in middle)


def test_attention_score_and_csl() -> None:
    assert attention_score([[-9.0, -9.0], [-1.0, -3.0]]) == 2.0
    assert csl([-1.0, -4.0], [[3.0, 0.0], [0.0, 1.0]]) == pytest.approx((1.5 * 1 + 0.5 * 4) / 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: rauq([], np.zeros((1, 1, 0))),
        lambda: rauq([-1.0, -1.0], np.zeros((1, 1, 2))),
        lambda: rauq([-1.0], np.zeros((1, 1, 0)), alpha=2.0),
        lambda: attention_score([]),
        lambda: csl([-1.0], [[0.0]]),
        lambda: csl([-1.0], [[1.0, 1.0]]),
    ],
)
def test_refusals(call) -> None:
    with pytest.raises(InputError):
        call()
