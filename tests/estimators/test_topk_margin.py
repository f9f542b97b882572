from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import EmptySequenceError, InputError, LawError
from trueline.estimators.topk_margin import TopKEntropy, TopKMargin, topk_entropy
from trueline.traces import make_trace


def trace(*alternatives, **more):
    rows = []
    for k, tokens in enumerate(alternatives):
        logs = None if tokens is None else [list(np.log(t)) for t in tokens]
        stats = {} if not tokens else {"token_max_logp": [t[0] for t in logs], "token_second_logp": [t[1] for t in logs if len(t) > 1]}
        rows.append({"item_id": f"i{k}", "kind": "greedy", "topk_logprobs": logs, **stats, **more})
    return make_trace(rows)


def test_margin_from_either_source() -> None:
    t = trace([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]], [[0.9, 0.05, 0.05]])
    assert TopKMargin().score(t) == pytest.approx([1 - 0.2, 1 - 0.85])
    assert TopKMargin("topk").score(t) == pytest.approx([1 - 0.2, 1 - 0.85])


def test_entropy_keeps_the_k_best_whatever_their_order() -> None:
    expected = topk_entropy(np.log([0.6, 0.3])) / np.log(2)
    assert TopKEntropy(2).score(trace([[0.1, 0.6, 0.3]]))[0] == pytest.approx(expected)
    assert TopKEntropy(2, "max").score(trace([[0.9, 0.1], [0.5, 0.5]]))[0] == pytest.approx(1.0)


def test_fewer_alternatives_than_k_are_all_used() -> None:
    assert TopKEntropy(15).score(trace([[0.25] * 4]))[0] == pytest.approx(1.0)


def test_missing_row_and_bad_input() -> None:
    scores = TopKEntropy(3).score(trace([[0.6, 0.3, 0.1]], None))
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])
    with pytest.raises(EmptySequenceError, match="'i1'"):
        TopKEntropy(3).score(trace([[0.6, 0.3, 0.1]], []))
    with pytest.raises(InputError, match="at least 2 alternatives"):
        TopKMargin("topk").score(trace([[0.6]]))
    with pytest.raises(InputError, match="NaN"):
        TopKEntropy(2).score(make_trace([{"item_id": "a", "kind": "greedy", "topk_logprobs": [[np.nan, -1.0]]}]))
    with pytest.raises(LawError):
        TopKEntropy(2).score(trace([[0.6, 0.4]], temperature=1.0))
    with pytest.raises(InputError, match="k=1"):
        TopKEntropy(1)
    with pytest.raises(InputError, match="source"):
        TopKMargin("api")
