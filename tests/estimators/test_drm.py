"""DRM on small groups: by hand, missing parts, pairs, the estimator on a captured trace."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import trueline as tl
from trueline.errors import EmptySequenceError, InputError, MissingTraceField, ModelError
from trueline.estimators.drm import (
    DRM,
    Candidate,
    CrossEncoder,
    DRMEstimator,
    DRMItem,
    DRMWeights,
    TokenOverlap,
    best_and_worst,
    confidence,
    group_z,
    items_of,
    relevance_total,
    repetition_share,
    tune_weights,
)
from trueline.traces import make_trace

GOOD = Candidate("Ann works at Axo. Axo is in Kelby.", "Kelby", [-0.1, -0.1], [-0.2])
BAD = Candidate("The weather is fine.", "Kelby", [-1.0, -3.0], [-0.2])
ITEM = DRMItem("i0", "Q: ", (BAD, GOOD), question="In which city does Ann work?")


def longest_first(question: str, reasoning: str, context: str | None) -> float:
    assert "Kelby" not in question, "the answer is not shown"
    return float(len(reasoning))


def test_components_and_score() -> None:
    drm = DRM(TokenOverlap(), longest_first)
    table = drm.components([ITEM])
    assert table["confidence"].to_list() == pytest.approx([-2.2, -0.3])
    assert table["relevance_a"].to_list() == [0.0, 1.0]
    assert table["relevance_d"].is_nan().all()
    assert table["coherence"].to_list() == [20.0, 34.0]
    (scores,) = drm.score([ITEM])
    assert scores[1] > 0 > scores[0]
    assert scores.sum() == pytest.approx(0.0)


def test_raw_scores_without_coherence() -> None:
    (scores,) = DRM(TokenOverlap(), weights=DRMWeights(1.0, 2.0, 5.0), normalise="none").score([ITEM])
    assert scores[1] == pytest.approx(-0.3 + 2 * (1.0 + TokenOverlap()(GOOD.reasoning, ITEM.question)))


def test_context_is_the_query_and_reasoning_the_document() -> None:
    seen = []

    def relevance(a: str, b: str) -> float:
        seen.append((a, b))
        return 0.5

    table = DRM(relevance).components([DRMItem("i", "", (GOOD,), "q", "the context")])
    assert ("the context", GOOD.reasoning) in seen
    assert table["relevance"][0] == 1.5


def test_pairs_for_preference_training() -> None:
    alike = DRMItem("i1", "P", (GOOD, GOOD))
    rows = DRM(TokenOverlap()).pairs([ITEM, alike], completion="{reasoning} So {answer}")
    assert rows == [
        {
            "prompt": "Q: ",
            "chosen": "Ann works at Axo. Axo is in Kelby. So Kelby",
            "rejected": "The weather is fine. So Kelby",
            "margin": pytest.approx(rows[0]["margin"]),
        }
    ]
    assert rows[0]["margin"] > 2
    assert DRM(TokenOverlap()).pairs([ITEM], min_margin=100.0) == []
    assert DRM(TokenOverlap()).idle_groups([ITEM, alike]) == ["i1"]


def test_an_empty_candidate() -> None:
    item = DRMItem("i9", "", (GOOD, Candidate("", "Kelby", [], [-0.1]), BAD))
    with pytest.raises(EmptySequenceError, match=r"item 'i9', candidate 1"):
        DRM(TokenOverlap()).score([item])
    (scores,) = DRM(TokenOverlap(), allow_empty=True).score([item])
    assert np.isnan(scores).tolist() == [False, True, False]
    assert best_and_worst(scores) == (0, 2)


@pytest.mark.parametrize("logprobs", [[0.5], [math.nan]])
def test_impossible_log_probs_are_refused_by_name(logprobs: list[float]) -> None:
    with pytest.raises(InputError, match="item 'i2'"):
        DRM(TokenOverlap()).score([DRMItem("i2", "", (Candidate("a", "b", logprobs, [-0.1]),))])


def test_an_impossible_token_ranks_last() -> None:
    assert confidence([-math.inf, -1.0], [-0.1]).total == -math.inf
    assert group_z([-math.inf, -math.inf]).tolist() == [0.0, 0.0]
    assert group_z([-math.inf, -1.0, -5.0]).argmin() == 0


@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(-1e6, 1e6)))
def test_z_scores_have_no_mean(values: np.ndarray) -> None:
    z = group_z(values)
    assert abs(z.sum()) < 1e-5
    assert (z <= math.sqrt(len(values))).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: group_z([math.inf, 0.0]),
        lambda: DRMWeights(0.0, 0.0, 0.0),
        lambda: DRMWeights(-1.0),
        lambda: confidence([-1.0], [-1.0], "max"),
        lambda: relevance_total(math.nan, None, 0.5),
        lambda: repetition_share("abc", 0),
        lambda: tune_weights([[0.0, 0.0]], [1], [0]),
        lambda: tune_weights(np.zeros((2, 3)), [1, 1], [0, 0]),
        lambda: tune_weights(np.zeros((2, 3)), [1, 0], [0, 0], step=0.3),
        lambda: DRM(TokenOverlap(), normalise="z"),
        lambda: DRMEstimator(normalise="z"),
        lambda: DRMEstimator(weights=(1.0, 1.0)),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_refused(call: Any) -> None:
    with pytest.raises(InputError):
        call()


def test_repetition() -> None:
    assert repetition_share(["so", "so", "so", "so", "so", "so"]) == pytest.approx(2 / 3)
    assert repetition_share(["a", "b", "c"]) == 0.0


def test_checkpoints_that_are_none() -> None:
    with pytest.raises(ModelError, match="no directory"):
        CrossEncoder("/nowhere")("a", "b")


def test_the_estimator_on_a_captured_trace(tmp_path: Path) -> None:
    from thinker import Thinker, thinking_task

    run = tl.measure(Thinker(), thinking_task(10), ["drm", "drm(normalise=group)"], samples=3, reasoning="think", out=tmp_path / "run")
    items = items_of(run.trace())
    assert sorted(items) == [0, 1, 2, 3, 5, 6, 7, 8]
    first = items[0].candidates[0]
    assert len(first.reasoning_logprobs) == 8
    assert len(first.answer_logprobs) == 1, "the end of the sequence is left out"
    score = run.scores["drm"].to_list()
    assert math.isnan(score[4])
    said = confidence(first.reasoning_logprobs, first.answer_logprobs).total
    q = TokenOverlap()(first.reasoning, "Where does P0 work?")
    assert score[0] == pytest.approx(-(said + q + 1.0))
    assert run.score_info["drm"]["notes"]
    assert np.isfinite(run.scores["drm(normalise=group)"][0])


def test_a_trace_without_reasoning_is_refused() -> None:
    with pytest.raises(MissingTraceField):
        DRMEstimator().score(make_trace([{"item_id": "a", "kind": "greedy", "text": "x", "token_logprobs": [-0.1]}]))
