from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from trueline.errors import InputError
from trueline.knownworld.answer_trees import EOS, AnswerTree, random_tree, tree_world
from trueline.traces import make_trace


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    ranks = rankdata(scores)
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (~positive).sum()))


def test_a_tree_by_hand() -> None:
    tree = AnswerTree({(): np.array([0.4, 0.6]), (1,): np.array([0.5, 0.5])}, max_len=3)
    assert {s: math.exp(p) for s, p in tree.sequences()} == pytest.approx({(0,): 0.4, (1, 0): 0.3, (1, 1, 0): 0.3})
    assert tree.entropy() == pytest.approx(-0.4 * math.log(0.4) - 0.6 * math.log(0.3))
    assert tree.mode() == ((0,), pytest.approx(math.log(0.4)))
    tokens, logprobs = tree.greedy()
    assert tokens == (1, 0)
    assert logprobs == pytest.approx([math.log(0.6), math.log(0.5)])


def test_sequences_sum_to_one_and_end_once() -> None:
    tree = random_tree(np.random.default_rng(3))
    sequences = list(tree.sequences())
    assert len(sequences) == 1 + 4 + 16 + 64
    assert math.fsum(math.exp(p) for _, p in sequences) == pytest.approx(1.0)
    assert all(s[-1] == EOS and s.count(EOS) == 1 and len(s) <= 4 for s, _ in sequences)


def test_samples_follow_the_law() -> None:
    tree = AnswerTree({(): np.array([0.2, 0.5, 0.3])}, max_len=2)
    rng = np.random.default_rng(0)
    drawn = [tree.sample(rng)[0][0] for _ in range(4000)]
    assert np.bincount(drawn, minlength=3) / 4000 == pytest.approx([0.2, 0.5, 0.3], abs=0.03)


def test_rows_make_a_trace() -> None:
    world = tree_world(5, 3, np.random.default_rng(0))
    trace = make_trace(world.rows())
    assert trace.n_items == 5
    assert trace.samples.counts.tolist() == [3] * 5
    sums = [sum(row) for row in trace.greedy.nested("token_logprobs")]
    assert sums == pytest.approx([sum(logprobs) for _, logprobs in world.greedy])


def test_g_nll_beats_sampled_entropy_on_trees() -> None:
    gaps, normalised = [], []
    for seed in range(4):
        world = tree_world(1500, 10, np.random.default_rng(seed))
        g_nll = np.array([-sum(logprobs) for _, logprobs in world.greedy])
        mean_nll = np.array([-np.mean(logprobs) for _, logprobs in world.greedy])
        entropy = np.array([-np.mean([sum(logprobs) for _, logprobs in s]) for s in world.samples])
        best = auroc(g_nll, world.wrong)
        gaps.append(best - auroc(entropy, world.wrong))
        normalised.append(best - auroc(mean_nll, world.wrong))
        minimum = np.array([-tree.mode()[1] for tree in world.trees[:400]])
        gap = g_nll[:400] - minimum
        assert np.all(gap >= -1e-12)
        assert 0.1 < np.mean(gap) < 0.4
    assert np.mean(gaps) >= 0.02
    assert np.mean(normalised) >= 0.03


@pytest.mark.parametrize("bad", [{"n_trees": 0}, {"n_samples": -1}, {"own_law": 1.5}, {"max_len": 0}, {"n_words": 0}])
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    settings = {"n_trees": 2, "n_samples": 1, **bad}
    with pytest.raises(InputError, match=r"expected|needs"):
        tree_world(rng=np.random.default_rng(0), **settings)  # type: ignore[arg-type]
