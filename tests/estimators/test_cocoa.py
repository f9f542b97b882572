from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.cocoa import cocoa


def test_product_and_missing() -> None:
    scores = cocoa([2.0, 2.0, 2.0], [[0.5, 1.0], [0.5, np.nan], [np.nan, np.nan]])
    assert scores[:2] == pytest.approx([0.5, 1.0])
    assert np.isnan(scores[2])


@pytest.mark.parametrize(("u", "s"), [([1.0], [[1.5]]), ([1.0, 2.0], [[0.5]]), ([1.0], [0.5])])
def test_refusals(u, s) -> None:
    with pytest.raises(InputError):
        cocoa(u, s)
