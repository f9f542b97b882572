"""Token statistics against their definitions in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trueline.errors import InputError
from trueline.models.base import TOKEN_STATS
from trueline.models.token_stats import law_statistics, top_alternatives


def by_definition(logp: np.ndarray) -> dict[str, float]:
    p = np.exp(logp)
    finite = logp[np.isfinite(logp)]
    tempered = np.exp(logp / 2) / np.exp(logp / 2).sum()
    largest = np.sort(logp)[::-1]
    return {
        "token_entropy": -sum(a * b for a, b in zip(p, logp, strict=True) if a > 0),
        "token_mean_logp": finite.mean(),
        "token_n_finite": len(finite),
        "token_max_logp": largest[0],
        "token_second_logp": largest[1],
        "token_renyi": np.log((tempered**0.5).sum()) / (0.5 - 1) + np.log(len(p)),
        "token_fisher_rao": 2 / np.pi * np.arccos(min(1.0, np.sqrt(tempered / len(p)).sum())),
    }


@pytest.mark.parametrize("masked", [0, 3])
def test_statistics_follow_their_definitions(masked: int) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 11)) * 3
    logits[:, :masked] = -np.inf
    logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    stats = law_statistics(torch.from_numpy(logp), TOKEN_STATS)
    assert tuple(stats) == TOKEN_STATS
    for row, law in enumerate(logp):
        for name, expected in by_definition(law).items():
            assert stats[name][row] == pytest.approx(expected, abs=1e-12), name


def test_a_uniform_law_has_no_distance_from_uniform_and_a_certain_one_no_entropy() -> None:
    uniform = law_statistics(torch.full((1, 64), -np.log(64)), TOKEN_STATS)
    assert uniform["token_renyi"].item() == pytest.approx(0, abs=1e-6)
    assert uniform["token_fisher_rao"].item() == pytest.approx(0, abs=1e-3)
    certain = law_statistics(torch.tensor([[0.0, -np.inf]]), TOKEN_STATS)
    assert certain["token_entropy"].item() == 0
    assert certain["token_second_logp"].item() == -np.inf


def test_only_what_is_asked_for_is_computed() -> None:
    assert list(law_statistics(torch.zeros(1, 3), {"token_max_logp"})) == ["token_max_logp"]
    with pytest.raises(InputError, match="did you mean token_entropy"):
        law_statistics(torch.zeros(1, 3), {"token_entropie"})


@pytest.mark.parametrize("values", [[0.1, 0.3, 0.3, 0.3], [0.25, 0.25, 0.25, 0.25], [0.4, 0.1, 0.4, 0.1]])
def test_ties_among_alternatives_go_to_the_lowest_id(values: list[float]) -> None:
    logp = torch.log(torch.tensor([values]))
    for k in (1, 2, 3, 4, 9):
        ids, logprobs = top_alternatives(logp, k)
        expected = sorted(range(4), key=lambda v: (-values[v], v))[:k]
        assert ids[0].tolist() == expected
        assert torch.equal(logprobs[0], logp[0, expected])
