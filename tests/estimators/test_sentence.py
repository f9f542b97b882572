"""Scores by sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import EmptySequenceError, InputError, MissingTraceField
from trueline.estimators.loading import load_estimator
from trueline.estimators.sentence import SentenceEntropy, SentenceNLL, sentence_ends, sentence_score, top_entropy_bits
from trueline.traces import Trace, make_trace


def trace_of(tokens: list[str] | None, values: list[float], **columns: object) -> Trace:
    row = {"item_id": "q", "kind": "greedy", "text": "x", "token_texts": tokens, "token_logprobs": [-v for v in values]}
    return make_trace([{**row, "token_entropy": values, **columns}])


@given(st.lists(st.sampled_from(["a", ".", " b", "\n", ""]), max_size=12), st.booleans())
def test_sentences_cover_the_tokens_in_order(tokens: list[str], boundary: bool) -> None:
    ends = sentence_ends(tokens, [".", "\n"], boundary=boundary)
    assert list(ends) == sorted(set(ends.tolist()))
    assert (ends[-1] if len(ends) else 0) == len(tokens)


def test_hand_case() -> None:
    trace = trace_of(["a", ".", "b", "c"], [1.0, 2.0, 0.5, 0.1])
    assert SentenceNLL().score(trace)[0] == pytest.approx((2.0 + 0.5) / 2)
    assert SentenceNLL(reduce="mean").score(trace)[0] == pytest.approx((1.5 + 0.3) / 2)
    assert SentenceEntropy(per="output").score(trace)[0] == 2.0
    assert SentenceEntropy(reduce="mean", per="output").score(trace)[0] == pytest.approx(0.9)


def test_the_end_token_is_no_sentence_of_its_own() -> None:
    ended = trace_of(["a", ".", ""], [1.0, 2.0, 9.0], finish_reason="eos")
    assert SentenceNLL().score(ended)[0] == 9.0
    # a server's answer ends as well, but its last token is a word
    served = trace_of(["a", ".", "b"], [1.0, 2.0, 9.0], finish_reason="eos")
    assert SentenceNLL().score(served)[0] == pytest.approx(5.5)
    alone = trace_of([""], [0.4], finish_reason="eos")
    assert SentenceNLL().score(alone)[0] == pytest.approx(0.4)


def test_an_answer_without_tokens_has_no_score() -> None:
    empty = trace_of([], [])
    assert np.isnan(SentenceNLL(on_empty="nan").score(empty)[0])
    assert np.isnan(sentence_score([], [], "max"))
    with pytest.raises(EmptySequenceError):
        SentenceEntropy().score(empty)


def test_laws_that_an_api_shows() -> None:
    logp = np.log([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    trace = trace_of(["a"], [0.3], topk_logprobs=[logp.tolist()])
    p = np.exp(logp[:5])
    assert SentenceEntropy(law="upstream_top5").score(trace)[0] == pytest.approx(-(p * np.log2(p)).sum())
    q = p / p.sum()
    assert SentenceEntropy(law="topk").score(trace)[0] == pytest.approx(-(q * np.log(q)).sum())
    assert SentenceEntropy(law="topk", k=6).score(trace)[0] == pytest.approx(-(np.exp(logp) * logp).sum())
    assert top_entropy_bits(np.log([0.5, 0.5])) == pytest.approx(1.0)
    with pytest.raises(MissingTraceField, match="7 alternatives"):
        SentenceEntropy(law="topk", k=7).score(trace)


def test_settings_and_faults_are_named() -> None:
    for settings in ({"reduce": "min"}, {"per": "item"}, {"separators": "prose"}, {"separators": ()}, {"separators": ("",)}):
        with pytest.raises(InputError):
            SentenceNLL(**settings)
    for settings in ({"law": "half"}, {"k": 1}, {"law": "upstream_top5", "k": 4}):
        with pytest.raises(InputError):
            SentenceEntropy(**settings)
    with pytest.raises(InputError, match="token texts"):
        SentenceNLL().score(trace_of(["a", "b"], [1.0]))
    with pytest.raises(MissingTraceField):
        SentenceNLL().score(trace_of(None, [1.0]))
    assert SentenceNLL(per="output").score(trace_of(None, [1.0]))[0] == 1.0
    _, estimator = load_estimator("sentence_max_nll(separators=code,boundary=true)")
    assert estimator == SentenceNLL(separators="code", boundary=True)
