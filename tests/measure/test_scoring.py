"""Scoring block by block: what one block lacks does not take the estimator from the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError, LawError, MissingTraceField, TruncatedAnswers
from trueline.estimators.equivalence import Exact
from trueline.estimators.loading import load_estimators
from trueline.scoring import CUT, score_blocks
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


def test_a_column_of_before_goes_when_its_estimator_is_left_out() -> None:
    blocks = [block(f"i{k}", GOOD) for k in range(3)]
    earlier = score_blocks(blocks, load_estimators("sequence_nll,predictive_entropy,lexical_similarity")).table()
    now = score_blocks([*blocks, block("i3", GOOD, temperature=0.5)], load_estimators("sequence_nll,predictive_entropy"))
    assert set(now.left_out) == {"predictive_entropy"}
    table = now.table(earlier)
    assert table.column_names == ["item_id", "sequence_nll", "lexical_similarity"]
    assert table["item_id"].to_pylist() == ["i0", "i1", "i2", "i3"]
    kept = table["lexical_similarity"].to_numpy()
    assert np.isnan(kept).tolist() == [False, False, False, True]
    assert kept[:3] == pytest.approx(earlier["lexical_similarity"].to_numpy())


def test_earlier_scores_stand_beside_their_own_items() -> None:
    first, second = block("a", GOOD), block("b", {"text": "y", "token_logprobs": [-3.0]})
    earlier = score_blocks([second, first], load_estimators("sequence_nll")).table()
    table = score_blocks([first, second], load_estimators("mean_nll")).table(earlier)
    assert dict(zip(table["item_id"].to_pylist(), table["sequence_nll"].to_pylist(), strict=True)) == {"a": 1.5, "b": 3.0}


CUT_NAMES = "sequence_nll,mean_nll,predictive_entropy,predictive_entropy_ln,semantic_entropy,semantic_entropy_discrete,lexical_similarity"
WHOLE = {"sequence_nll", "predictive_entropy", "semantic_entropy"}


def cut_blocks() -> list[Trace]:
    """Item i1 has a cut greedy answer and cut samples."""
    return [block(f"i{k}", {**GOOD, "finish_reason": "length" if k == 1 else "eos"}) for k in range(3)]


def test_cut_answers_keep_their_scores_unless_told_otherwise() -> None:
    plain = score_blocks([block(f"i{k}", GOOD) for k in range(3)], load_estimators(CUT_NAMES), Exact())
    scores = score_blocks(cut_blocks(), load_estimators(CUT_NAMES), Exact())
    for name in CUT_NAMES.split(","):
        np.testing.assert_array_equal(scores.columns[name], plain.columns[name])
        assert scores.truncated.get(name, 0) == (1 if name in WHOLE else 0)


def test_cut_answers_are_missing_with_the_reason() -> None:
    scores = score_blocks(cut_blocks(), load_estimators(CUT_NAMES), Exact(), truncated="nan")
    for name in CUT_NAMES.split(","):
        lost = np.flatnonzero(np.isnan(scores.columns[name])).tolist()
        assert lost == ([1] if name in WHOLE else [])
        assert scores.reasons[name] == ({CUT: 1} if name in WHOLE else {})


def test_cut_answers_refuse_the_estimator_and_an_item_is_counted_once() -> None:
    scores = score_blocks(cut_blocks(), load_estimators(CUT_NAMES), Exact(), truncated="refuse")
    assert set(scores.left_out) == WHOLE
    assert all("'i1' is the first" in reason for reason in scores.left_out.values())
    with pytest.raises(TruncatedAnswers, match="--truncated nan"):
        score_blocks(cut_blocks(), load_estimators("sequence_nll"), strict=True, truncated="refuse")
    failed = score_blocks([*cut_blocks(), block("i3", FAILED)], load_estimators("sequence_nll"), truncated="nan")
    assert sum(failed.reasons["sequence_nll"].values()) == int(np.isnan(failed.columns["sequence_nll"]).sum()) == 2
    with pytest.raises(InputError, match="truncated is 'drop'"):
        score_blocks([], {}, truncated="drop")  # type: ignore[arg-type]


def test_one_cut_sample_is_enough() -> None:
    rows = [{"item_id": "a", "kind": "sample", **LAW, **GOOD, "finish_reason": "length" if k == 2 else None} for k in range(3)]
    found = score_blocks([make_trace(rows)], load_estimators("predictive_entropy,predictive_entropy_ln"), truncated="nan")
    assert np.isnan(found.columns["predictive_entropy"][0])
    assert np.isfinite(found.columns["predictive_entropy_ln"][0])
