"""Small traces that the estimator tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from trueline.estimators.engine import judge_trace
from trueline.estimators.equivalence import Equivalence, Exact
from trueline.traces import Trace, make_trace

LAW = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}

MakeTrace = Callable[..., Trace]


def build(
    samples: Mapping[str, Sequence[Any]] | None = None,
    greedy: Mapping[str, Any] | None = None,
    judge: Equivalence | None = None,
    **law: Any,
) -> Trace:
    """A trace from ``{item: [text or (text, token log-probs)]}`` and ``{item: the same for the greedy answer}``, judged by ``judge``."""
    rows: list[dict[str, Any]] = []
    items = list(dict.fromkeys([*(samples or {}), *(greedy or {})]))
    for item in items:
        if item in (greedy or {}):
            rows.append({"item_id": item, "kind": "greedy", **_fields((greedy or {})[item])})
        rows += [{"item_id": item, "kind": "sample", **LAW, **law, **_fields(s)} for s in (samples or {}).get(item, [])]
    trace = make_trace(rows, item_ids=items)
    return trace if judge is None else trace.with_judgements(judge_trace(trace, judge))


def _fields(answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict):
        return answer
    if isinstance(answer, tuple):
        return {"text": answer[0], "token_logprobs": answer[1]}
    return {"text": answer}


@pytest.fixture
def make() -> MakeTrace:
    """``build``: a trace from a few words."""
    return build


@pytest.fixture
def exact() -> Exact:
    """The simplest judge."""
    return Exact()
