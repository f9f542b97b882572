from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.claim_conditioned import Alternative, ccp

log = np.log


def test_verdicts_of_both_directions_are_merged() -> None:
    token = [
        Alternative(log(0.5), "contra", "contra"),  # the chosen token: its own verdict does not count
        Alternative(log(0.2), "entail", "neutral"),
        Alternative(log(0.1), "entail", "contra"),
        Alternative(log(0.1), "neutral", "contra"),
        Alternative(log(0.05), "neutral", "neutral"),
    ]
    assert ccp([token]) == pytest.approx(-0.7 / 0.8)
    assert ccp([token, token]) == pytest.approx(-((0.7 / 0.8) ** 2))
    assert ccp([token[:1]]) == -1.0


def test_refusals() -> None:
    for tokens in ([], [[]], [[Alternative(0.0, "entail", "entail"), Alternative(0.0, "maybe", "entail")]]):
        with pytest.raises(InputError):
            ccp(tokens)
