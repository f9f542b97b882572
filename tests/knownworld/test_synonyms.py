from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from trueline.errors import InputError
from trueline.knownworld.synonyms import SynonymWorld, meaning_of, synonym_world
from trueline.traces import make_trace


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    ranks = rankdata(scores)
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (~positive).sum()))


def rao_entropy(world: SynonymWorld) -> NDArray[np.float64]:
    """Semantic entropy with sequence probabilities, by the formula."""
    n_meanings = world.meaning_probs.shape[1]
    mass = np.stack([np.where(world.sample_meaning == m, np.exp(world.sample_logprob), 0.0).sum(1) for m in range(n_meanings)], 1)
    p = mass / mass.sum(1, keepdims=True)
    return np.asarray(-np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0), axis=1))


def test_shapes_and_laws() -> None:
    world = synonym_world(200, 7, np.random.default_rng(0))
    every = np.arange(200)
    assert world.meaning_probs.sum(axis=1) == pytest.approx(np.ones(200))
    assert world.sample_meaning.shape == world.sample_wording.shape == world.sample_logprob.shape == (200, 7)
    assert np.all(world.sample_wording < world.n_wordings[every[:, None], world.sample_meaning])
    p = world.meaning_probs[every, world.greedy_meaning] / world.n_wordings[every, world.greedy_meaning]
    assert np.exp(world.greedy_logprob) == pytest.approx(p)
    assert np.all(p >= (world.meaning_probs / world.n_wordings).max(axis=1) - 1e-15)
    assert np.all(np.isfinite(world.sample_logprob))


def test_likelihood_must_lose_to_meaning() -> None:
    for seed in range(3):
        world = synonym_world(3000, 10, np.random.default_rng(seed))
        g_nll = auroc(-world.greedy_logprob, world.wrong)
        semantic = auroc(rao_entropy(world), world.wrong)
        oracle = auroc(world.oracle_uncertainty, world.wrong)
        assert semantic >= g_nll + 0.10
        assert oracle > semantic
        assert 0.55 < g_nll < 0.67


def test_rows_make_a_trace() -> None:
    world = synonym_world(4, 3, np.random.default_rng(1))
    trace = make_trace(world.rows())
    meanings = [int(meaning_of(str(t))[1:]) for t in trace.samples.texts]
    assert meanings == world.sample_meaning.ravel().tolist()


@pytest.mark.parametrize("bad", [{"n_items": 0}, {"n_samples": 0}, {"n_meanings": 0}, {"own_law": -0.1}])
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        synonym_world(rng=np.random.default_rng(0), **{"n_items": 2, "n_samples": 2, **bad})  # type: ignore[arg-type]
