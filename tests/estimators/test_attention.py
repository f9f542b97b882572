from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.attention import CSL, RAUQ, AttentionScore, attention_score, csl, rauq
from trueline.traces import make_trace


def test_rauq_by_hand() -> None:
    q = np.log([0.5, 0.4])
    attention = np.array([[[0.2], [0.8]]])  # one layer, two heads: the second attends more
    c = 0.2 * 0.4 + 0.8 * 0.8 * 0.5
    assert rauq(q, attention) == pytest.approx(-(np.log(0.5) + np.log(c)) / 2)
    assert rauq(q[:1], attention[:, :, :0]) == pytest.approx(-np.log(0.5)), "one token: its own NLL"
    assert rauq(q, attention, alpha=1.0) == pytest.approx(-q.mean())


@pytest.mark.parametrize(("n_layers", "middle"), [(1, [0]), (2, [0, 1]), (3, [1, 2]), (6, [2, 3, 4])])
def test_rauq_reads_the_middle_layers_only(n_layers: int, middle: list[int]) -> None:
    q = np.log([0.5, 0.4])
    quiet = np.full((n_layers, 1, 1), 0.9)
    for layer in range(n_layers):
        loud = quiet.copy()
        loud[layer] = 0.0
        assert (rauq(q, loud) > rauq(q, quiet) + 1e-9) == (layer in middle)


def test_attention_score_and_csl() -> None:
    assert attention_score([[-9.0, -9.0], [-1.0, -3.0]]) == 2.0
    assert csl([-1.0, -4.0], [[3.0, 0.0], [0.0, 1.0]]) == pytest.approx((1.5 * 1 + 0.5 * 4) / 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: rauq([], np.zeros((1, 1, 0))),
        lambda: rauq([-1.0, -1.0], np.zeros((1, 1, 2))),
        lambda: rauq([-1.0], np.zeros((1, 1, 0)), alpha=2.0),
        lambda: attention_score([]),
        lambda: csl([-1.0], [[0.0]]),
        lambda: csl([-1.0], [[1.0, 1.0]]),
    ],
)
def test_refusals(call) -> None:
    with pytest.raises(InputError):
        call()


def greedy(item: str, **columns: object) -> dict[str, object]:
    return {"item_id": item, "kind": "greedy", "text": "x", **columns}


def test_from_a_trace() -> None:
    q = np.log([0.5, 0.4]).tolist()
    maps = {"attn_prev": [[[0.2], [0.8]]], "attn_diag_logsum": [-3.0], "csl_attention": [[[0.5, 0.25], [0.5, 0.25]]]}
    alone = {"attn_prev": [[[], []]], "attn_diag_logsum": [-1.0], "csl_attention": [[[0.0], [0.0]]]}
    trace = make_trace([greedy("a", token_logprobs=q, **maps), greedy("b", token_logprobs=q[:1], **alone), greedy("c", token_logprobs=q)])
    expected = rauq(q, np.float32([[[0.2], [0.8]]]))
    np.testing.assert_allclose(RAUQ().score(trace), [expected, -np.log(0.5), np.nan])
    np.testing.assert_allclose(AttentionScore().score(trace), [3.0, 1.0, np.nan])
    # an answer that the eliciting prompt does not look at has no weights
    np.testing.assert_allclose(CSL().score(trace), [-(2 * q[0] + q[1]) / 3, np.nan, np.nan])


def test_maps_that_do_not_fit_the_tokens_are_refused() -> None:
    q = np.log([0.5, 0.4]).tolist()
    for name, estimator, value in (("attn_prev", RAUQ(), [[[0.2, 0.3]]]), ("csl_attention", CSL(), [[[0.2]]])):
        with pytest.raises(InputError, match=r"shape|expected"):
            estimator.score(make_trace([greedy("a", token_logprobs=q, **{name: value})]))
    for alpha in (0.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="alpha"):
            RAUQ(alpha=alpha)
