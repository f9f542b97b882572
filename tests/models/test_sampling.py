"""Sampling laws against the exact law, and streams that depend on their own seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from trueline.errors import InputError
from trueline.models.base import SamplingLaw
from trueline.models.sampling import check_law, draw_uniforms, law_weights, sample_tokens

LOGITS = np.array([1.2, -0.3, 0.4, 2.0, -1.5, 0.4, 0.0, -40.0])
LOGP = LOGITS - np.log(np.exp(LOGITS).sum())


def exact_law(logp: np.ndarray, law: SamplingLaw) -> np.ndarray:
    """The definition, one token at a time."""
    p = np.exp(logp / law.temperature)
    ranked = sorted(range(len(p)), key=lambda v: (-p[v], v))
    if law.top_k:
        ranked = ranked[: law.top_k]
    mass = p[ranked].sum()
    kept, so_far = [], 0.0
    for v in ranked:
        if kept and so_far >= law.top_p * mass:
            break
        kept.append(v)
        so_far += p[v]
    result = np.zeros(len(p))
    result[kept] = p[kept] / p[kept].sum()
    return result


LAWS = [
    SamplingLaw(),
    SamplingLaw(temperature=0.5),
    SamplingLaw(temperature=3.0),
    SamplingLaw(top_k=3),
    SamplingLaw(top_p=0.8),
    SamplingLaw(top_p=0.05),
    SamplingLaw(temperature=1.7, top_k=5, top_p=0.9),
]


@pytest.mark.parametrize("law", LAWS)
def test_weights_are_the_law(law: SamplingLaw) -> None:
    weights = law_weights(torch.tensor(LOGP[None]), law)[0].numpy()
    np.testing.assert_allclose(weights / weights.sum(), exact_law(LOGP, law), atol=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_draws_follow_the_law(law: SamplingLaw) -> None:
    n = 20_000
    uniforms = torch.from_numpy(draw_uniforms(range(n), 1)[:, 0])
    drawn = sample_tokens(torch.tensor(LOGP[None], dtype=torch.float32), uniforms, law, torch.zeros(n, dtype=torch.long)).numpy()
    expected = exact_law(LOGP, law) * n
    observed = np.bincount(drawn, minlength=len(LOGP))
    assert not observed[expected == 0].any()
    tested = expected > 1
    if tested.sum() > 1:
        assert stats.chisquare(observed[tested], expected[tested] * observed[tested].sum() / expected[tested].sum()).pvalue > 1e-3


@given(st.lists(st.floats(-30, 5), min_size=2, max_size=12), st.floats(0.05, 1.0), st.integers(0, 12), st.floats(0.2, 3.0))
def test_any_law_agrees_with_the_definition(logits: list[float], top_p: float, top_k: int, temperature: float) -> None:
    logp = np.array(logits) - np.logaddexp.reduce(logits)
    law = SamplingLaw(temperature=temperature, top_p=top_p, top_k=top_k)
    weights = law_weights(torch.tensor(logp[None]), law)[0].numpy()
    expected = exact_law(logp, law)
    near_cut = abs(np.cumsum(np.sort(np.exp(logp / temperature))[::-1]) / np.exp(logp / temperature).sum() - top_p).min() < 1e-9
    if not (near_cut or top_k):  # a share within rounding of the cut may fall on either side
        np.testing.assert_allclose(weights / weights.sum(), expected, atol=1e-9)
    assert (weights > 0).sum() >= 1
    assert not top_k or (weights > 0).sum() <= top_k


def test_a_draw_takes_the_first_id_past_its_uniform() -> None:
    logp = torch.log(torch.tensor([[0.25, 0.25, 0.0, 0.5]]))
    uniforms = torch.tensor([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.75, 1 - 2**-53], dtype=torch.float64)
    drawn = sample_tokens(logp, uniforms, SamplingLaw(), torch.zeros(7, dtype=torch.long))
    assert drawn.tolist() == [0, 0, 1, 1, 3, 3, 3]


def test_impossible_tokens_at_the_end_are_never_drawn() -> None:
    logp = torch.tensor([[np.log(0.3), np.log(0.7), -np.inf, -np.inf]], dtype=torch.float32)
    assert sample_tokens(logp, torch.tensor([1 - 2**-53], dtype=torch.float64), SamplingLaw()).tolist() == [1]


@pytest.mark.parametrize("vocabulary", [1, 2, 255, 256, 257, 512, 1000])
def test_a_search_by_blocks_finds_what_a_search_over_all_finds(vocabulary: int) -> None:
    rng = np.random.default_rng(vocabulary)
    logits = rng.normal(size=vocabulary) * 2
    logits[rng.random(vocabulary) < 0.3] = -np.inf
    logits[0] = 0.0
    logp = torch.log_softmax(torch.tensor(logits[None]), -1)
    uniforms = draw_uniforms([vocabulary], 500)[0]
    drawn = sample_tokens(logp, torch.from_numpy(uniforms), SamplingLaw(), torch.zeros(500, dtype=torch.long)).numpy()
    cumulative = np.exp(logp[0].numpy()).cumsum()
    np.testing.assert_array_equal(drawn, np.searchsorted(cumulative, uniforms * cumulative[-1], side="right"))


def test_draws_of_many_laws_equal_draws_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logp = torch.log_softmax(torch.randn(5, 30, generator=generator), -1)
    rows = torch.randint(0, 5, (40,), generator=generator)
    uniforms = torch.rand(40, dtype=torch.float64, generator=generator)
    together = sample_tokens(logp, uniforms, SamplingLaw(temperature=0.7), rows)
    alone = [int(sample_tokens(logp[row : row + 1], uniforms[i : i + 1], SamplingLaw(temperature=0.7))) for i, row in enumerate(rows)]
    assert together.tolist() == alone
    assert len(sample_tokens(logp, uniforms[:0], SamplingLaw(), rows[:0])) == 0


def test_streams_belong_to_seeds() -> None:
    uniforms = draw_uniforms([5, 6, 5], 8)
    assert np.array_equal(uniforms[0], uniforms[2])
    assert not np.isin(uniforms[0], uniforms[1]).any()
    assert np.array_equal(draw_uniforms([6], 3)[0], uniforms[1, :3])
    with pytest.raises(InputError, match="seed"):
        draw_uniforms([-1], 2)


@pytest.mark.parametrize(
    "law",
    [
        SamplingLaw(temperature=0.0),
        SamplingLaw(temperature=float("nan")),
        SamplingLaw(top_p=0.0),
        SamplingLaw(top_p=1.5),
        SamplingLaw(top_k=-1),
        SamplingLaw(top_p=float("nan")),
    ],
)
def test_laws_that_mean_nothing_are_refused(law: SamplingLaw) -> None:
    with pytest.raises(InputError):
        check_law(law)
