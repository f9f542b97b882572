from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.sar import sar, sentence_sar, token_sar


def test_relevant_tokens_weigh_more() -> None:
    assert token_sar([-1.0, -3.0], [0.5, 0.0]) == pytest.approx((0.5 * 1 + 1.0 * 3) / 1.5)
    assert token_sar([-1.0, -3.0], [1.0, 1.0]) == 2.0, "no relevant token: the mean"


def test_support_of_similar_samples() -> None:
    apart = sentence_sar([-1.0, -2.0], np.eye(2), t=1.0)
    assert apart == pytest.approx(1.5), "without similarity it is the predictive entropy"
    together = sentence_sar([-1.0, -2.0], np.ones((2, 2)), t=1.0)
    assert together == pytest.approx(-np.log(np.exp(-1) + np.exp(-2)))
    assert sentence_sar([-2000.0, -2000.0], np.eye(2), t=1.0) == pytest.approx(2000.0), "no underflow"


def test_both_shifts() -> None:
    assert sar([[-1.0, -3.0], [-2.0]], [[0.5, 0.0], [0.3]], np.eye(2), t=1.0) == pytest.approx((3.5 / 1.5 + 2.0) / 2)


@pytest.mark.parametrize("call", [lambda: token_sar([], []), lambda: token_sar([-1.0], [0.1, 0.2]), lambda: sentence_sar([-1.0], [[1.0]])])
def test_refusals(call) -> None:
    with pytest.raises(InputError):
        call()
    with pytest.raises(InputError, match="t=0"):
        sentence_sar([-1.0, -1.0], np.eye(2), t=0)
