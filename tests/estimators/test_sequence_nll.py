from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import EmptySequenceError, InputError, LawError, MissingTraceField
from trueline.estimators.sequence_nll import MaxTokenNLL, Perplexity, SequenceNLL
from trueline.traces import make_trace

ALL = [SequenceNLL(), SequenceNLL(length_normalize=True), Perplexity(), MaxTokenNLL()]


def greedy(*rows, **more):
    return make_trace([{"item_id": f"i{k}", "kind": "greedy", "token_logprobs": row, **more} for k, row in enumerate(rows)])


def test_by_hand() -> None:
    trace = greedy([-0.5, -0.25], [-1.0])
    assert SequenceNLL().score(trace).tolist() == [0.75, 1.0]
    assert SequenceNLL(length_normalize=True).score(trace).tolist() == [0.375, 1.0]
    assert Perplexity().score(trace) == pytest.approx(np.exp([0.375, 1.0]))
    assert MaxTokenNLL().score(trace).tolist() == [0.5, 1.0]


def test_certain_answer_scores_zero_without_a_sign() -> None:
    for estimator in (SequenceNLL(), MaxTokenNLL()):
        assert str(estimator.score(greedy([0.0, -0.0]))[0]) == "0.0"


def test_rounding_of_log_one_is_accepted() -> None:
    assert SequenceNLL().score(greedy([5e-7])).tolist() == [-5e-7]


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ([], EmptySequenceError, "'i1'.*no token"),
        ([-0.1, 0.2], InputError, "'i1'.*0.2"),
        ([-0.1, float("nan")], InputError, "'i1'.*NaN at position 1"),
        ([-0.1, float("-inf")], InputError, "'i1'.*-inf"),
    ],
)
def test_bad_rows_are_refused_by_name(estimator, row, error, message) -> None:
    with pytest.raises(error, match=message):
        estimator.score(greedy([-0.5], row))


@pytest.mark.parametrize("estimator", ALL)
def test_sampled_greedy_is_refused(estimator) -> None:
    with pytest.raises(LawError, match="i0"):
        estimator.score(greedy([-0.5], temperature=0.7))
    assert np.isfinite(estimator.score(greedy([-0.5], temperature=0.0))).all()


def test_empty_answer_can_count_as_missing() -> None:
    scores = SequenceNLL(on_empty="nan").score(greedy([-0.5], []))
    assert scores[0] == 0.5
    assert np.isnan(scores[1])


def test_item_without_greedy_row_is_missing() -> None:
    rows = [{"item_id": "a", "kind": "greedy", "token_logprobs": [-0.5]}, {"item_id": "c", "kind": "greedy", "token_logprobs": [-1.5]}]
    scores = SequenceNLL().score(make_trace(rows, item_ids=["a", "b", "c"]))
    assert scores[[0, 2]].tolist() == [0.5, 1.5]
    assert np.isnan(scores[1])


def test_trace_without_the_column_names_it() -> None:
    with pytest.raises(MissingTraceField, match="token_logprobs"):
        SequenceNLL().score(make_trace([{"item_id": "a", "kind": "greedy", "text": "x"}]))
    with pytest.raises(MissingTraceField, match=r"greedy\.token_logprobs"):
        SequenceNLL().score(make_trace([{"item_id": "a", "kind": "sample", "text": "x"}]))


def test_scaled_logprobs_are_said_out_loud() -> None:
    with pytest.warns(UserWarning, match="after temperature"):
        SequenceNLL().score(greedy([-0.5], logprob_law="scaled"))


def test_unknown_option_is_refused() -> None:
    with pytest.raises(InputError, match="on_empty='skip'"):
        SequenceNLL(on_empty="skip").score(greedy([-0.5]))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.floats(-30, 0), min_size=1, max_size=8), min_size=1, max_size=8))
def test_together_as_one_by_one_and_never_negative(rows: list[list[float]]) -> None:
    for estimator in ALL:
        together = estimator.score(greedy(*rows))
        assert together == pytest.approx([estimator.score(greedy(row))[0] for row in rows], abs=1e-12)
        assert (together >= 0).all()
