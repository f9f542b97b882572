from __future__ import annotations

import numpy as np
import pytest

from trueline.estimators.self_certainty import FisherRaoUncertainty, RenyiUncertainty, SelfCertainty
from trueline.traces import make_trace

COLUMNS = ("token_mean_logp", "token_n_finite", "token_renyi", "token_fisher_rao")


def scores(*laws: list[float]) -> list[float]:
    """The three scores of one answer with these next-token laws, from first principles."""
    p = np.array(laws)
    soft = np.sqrt(p) / np.sqrt(p).sum(axis=1, keepdims=True)
    affinity = np.sqrt(soft / p.shape[1]).sum(axis=1)
    row = {
        "token_mean_logp": np.log(p).mean(axis=1),
        "token_n_finite": np.full(len(p), float(p.shape[1])),
        "token_renyi": -2 * np.log(affinity),
        "token_fisher_rao": 2 / np.pi * np.arccos(np.minimum(affinity, 1)),
    }
    trace = make_trace([{"item_id": "a", "kind": "greedy", **row}])
    return [float(e.score(trace)[0]) for e in (SelfCertainty(), RenyiUncertainty(), FisherRaoUncertainty())]


def test_uniform_law_is_the_most_uncertain_one() -> None:
    uniform, flat, peaked = scores([0.25] * 4), scores([0.4, 0.2, 0.2, 0.2]), scores([0.97, 0.01, 0.01, 0.01])
    assert uniform == pytest.approx([0.0, 0.0, 0.0], abs=1e-7)
    for best, middle, worst in zip(peaked, flat, uniform, strict=True):
        assert best < middle < worst + 1e-12


def test_self_certainty_by_hand() -> None:
    law = [0.7, 0.2, 0.1]
    divergence = sum(1 / 3 * np.log(1 / 3 / p) for p in law)
    assert scores(law)[0] == pytest.approx(-divergence)
