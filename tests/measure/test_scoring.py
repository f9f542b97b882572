"""Scoring block by block: what one block lacks does not take the estimator from the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import LawError, MissingTraceField
from trueline.estimators.equivalence import Exact
from trueline.estimators.loading import load_estimators
from trueline.scoring import score_blocks
from trueline.traces import Trace, make_trace

LAW = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
FAILED = {"text": None, "error": "out of memory"}
NAMES = "sequence_nll,predictive_entropy,semantic_entropy,lexical_similarity"


def block(item: str, answer: dict[str, Any], n_samples: int = 3, **law: Any) -> Trace:
    rows = [{"item_id": item, "kind": "greedy", **answer}]
    return make_trace([*rows, *({"item_id": item, "kind": "sample", **LAW, **law, **answer} for _ in range(n_samples))])


GOOD = {"text": "x", "token_logprobs": [-0.5, -1.0]}


@pytest.mark.parametrize("where", [0, 1, 2])
def test_block_of_failures_is_missing_alone(where: int) -> None:
    blocks = [block(f"i{k}", FAILED if k == where else GOOD) for k in range(3)]
    scores = score_blocks(blocks, load_estimators(NAMES), Exact())
    assert scores.left_out == {}
    for name in NAMES.split(","):
        assert np.flatnonzero(np.isnan(scores.columns[name])).tolist() == [where]
        assert sum(scores.reasons[name].values()) == 1
    assert scores.reasons["sequence_nll"] == {"the greedy generation failed": 1}
    assert scores.reasons["predictive_entropy"] == {"fewer than 2 usable samples": 1}


def test_what_every_block_lacks_is_left_out_with_its_reason() -> None:
    blocks = [block(f"i{k}", GOOD, n_samples=1) for k in range(3)]
    scores = score_blocks(blocks, load_estimators(NAMES), Exact())
    assert set(scores.columns) == {"sequence_nll"}
    assert set(scores.left_out) == set(NAMES.split(",")) - {"sequence_nll"}
    assert all("at least 2" in reason for reason in scores.left_out.values())
    with pytest.raises(MissingTraceField, match="at least 2"):
        score_blocks(blocks, load_estimators(NAMES), Exact(), strict=True)


def test_other_sampling_law_in_any_block_leaves_the_estimator_out() -> None:
    blocks = [block("a", GOOD), block("b", GOOD, temperature=0.5)]
    scores = score_blocks(blocks, load_estimators(NAMES), Exact())
    assert set(scores.left_out) == {"predictive_entropy"}
    assert "temperature=0.5" in scores.left_out["predictive_entropy"]
    with pytest.raises(LawError):
        score_blocks(blocks, load_estimators("predictive_entropy"), strict=True)
