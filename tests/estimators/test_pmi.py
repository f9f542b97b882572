from __future__ import annotations

import pytest

from trueline.errors import InputError
from trueline.estimators.pmi import conditional_pmi, mean_pmi


def test_by_hand() -> None:
    assert mean_pmi([-1.0, -2.0], [-9.0, -3.0]) == pytest.approx(-(-3.0 + 3.0) / 2)
    assert conditional_pmi([-1.0, -2.0, -1.0], [-9.0, -3.0, -5.0], [1.0, 1.0, 0.0], weight=2.0) == pytest.approx(-(-4.0 + 2 * 3.0) / 3)
    assert conditional_pmi([-1.0], [-9.0], [5.0]) == 1.0, "the first token has no prior"


def test_refusals() -> None:
    with pytest.raises(InputError):
        mean_pmi([-1.0], [-1.0, -2.0])
    with pytest.raises(InputError, match="entropies"):
        conditional_pmi([-1.0], [-1.0], [1.0, 2.0])
