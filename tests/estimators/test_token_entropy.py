from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import EmptySequenceError, InputError, LawError
from trueline.estimators.token_entropy import TokenEntropy
from trueline.traces import make_trace


def trace(row, **more):
    return make_trace([{"item_id": "a", "kind": "greedy", "token_entropy": row, **more}])


def test_mean_and_max() -> None:
    assert TokenEntropy().score(trace([0.5, 1.5]))[0] == 1.0
    assert TokenEntropy("max").score(trace([0.5, 1.5]))[0] == 1.5


@pytest.mark.parametrize(("row", "error"), [([], EmptySequenceError), ([np.nan], InputError)])
def test_bad_rows(row, error) -> None:
    with pytest.raises(error, match="'a'"):
        TokenEntropy().score(trace(row))
    with pytest.raises(LawError):
        TokenEntropy().score(trace([0.5], temperature=1.0))
    with pytest.raises(InputError, match="reduce='sum'"):
        TokenEntropy("sum")
