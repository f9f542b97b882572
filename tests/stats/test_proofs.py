"""Simulations behind the statistics of docs/proofs/emergent-misalignment.md: coverage of clustered rates, paired tests, crossed factors.

Run with ``pytest tests/stats/test_proofs.py -m slow -s``; every figure of the proof page is printed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueline.stats import cluster_rate, hierarchical_bootstrap, paired_rates, rate, unpaired_difference, wilson

pytestmark = pytest.mark.slow


def question_rates(rng: np.random.Generator, g: int, mean: float, icc: float) -> Any:
    """Rates from a beta law whose intraclass correlation 1 / (a + b + 1) is `icc`."""
    size = 1 / icc - 1
    return rng.beta(mean * size, (1 - mean) * size, g)


def holds(e: Any, truth: float) -> bool:
    return bool(e.low <= truth <= e.high)


@pytest.mark.parametrize(
    ("g", "mean", "icc", "least"), [(24, 0.2, 0.1, 0.92), (8, 0.05, 0.2, 0.8), (24, 0.01, 0.02, 0.85), (24, 0.007, 0.1, 0.75)]
)
def test_cluster_wilson_covers_where_pooled_wilson_does_not(g: int, mean: float, icc: float, least: float) -> None:
    rng = np.random.default_rng(20)
    trials = np.full(g, 100)
    found: dict[str, list[bool]] = {"pooled": [], "cluster": [], "t": []}
    for _ in range(1500):
        r = cluster_rate(rng.binomial(100, question_rates(rng, g, mean, icc)), trials)
        found["pooled"].append(holds(r.naive, mean))
        found["cluster"].append(holds(r.rate, mean))
        found["t"].append(holds(r.t_interval, mean))
    rates = {k: float(np.mean(v)) for k, v in found.items()}
    print(f"\nG = {g}, mean {mean}, ICC {icc}: " + ", ".join(f"{k} {v:.3f}" for k, v in rates.items()))
    assert rates["cluster"] >= least
    assert rates["cluster"] > rates["pooled"] + 0.1
    assert rates["cluster"] > rates["t"] - 0.02


def test_fixed_questions_are_covered_by_the_fixed_interval() -> None:
    rng = np.random.default_rng(21)
    p = question_rates(rng, 24, 0.2, 0.1)
    fixed, random = [], []
    for _ in range(1500):
        k = rng.binomial(20, p)
        fixed.append(holds(cluster_rate(k, np.full(24, 20), estimand="fixed").rate, p.mean()))
        random.append(holds(cluster_rate(k, np.full(24, 20)).rate, p.mean()))
    print(f"\nfixed set of 24 questions: fixed {np.mean(fixed):.3f}, random {np.mean(random):.3f}")
    assert 0.93 <= np.mean(fixed) <= 0.97
    assert np.mean(random) > np.mean(fixed)


def test_pairing_by_question_holds_its_level_and_pooling_does_not() -> None:
    """No effect on average; question by question the two arms differ. 8 questions of 100 answers."""
    rng = np.random.default_rng(22)
    signs, pooled, covered = [], [], []
    for _ in range(1500):
        base = rng.normal(-1.5, 1.0, 8)
        p1, p2 = (1 / (1 + np.exp(-(base + rng.normal(0, 0.4, 8)))) for _ in range(2))
        k1, k2, n = rng.binomial(100, p1), rng.binomial(100, p2), np.full(8, 100)
        test = paired_rates(k1, n, k2, n)
        signs.append(test.p <= 0.05)
        covered.append(holds(test.estimate, 0.0))
        pooled.append(unpaired_difference(int(k1.sum()), 800, int(k2.sum()), 800).p <= 0.05)
    print(f"\nno effect: sign-flip rejects {np.mean(signs):.3f}, pooled z {np.mean(pooled):.3f}; t interval covers {np.mean(covered):.3f}")
    assert 0.035 <= np.mean(signs) <= 0.06
    assert 0.93 <= np.mean(covered) <= 0.975
    assert np.mean(pooled) > 0.15


@pytest.mark.parametrize(("questions", "seeds"), [(24, 6), (24, 10), (8, 10)])
def test_crossed_bootstrap_covers_and_either_factor_alone_does_not(questions: int, seeds: int) -> None:
    rng = np.random.default_rng(23)
    truth = float((1 / (1 + np.exp(-(-1.5 + math.sqrt(0.8**2 + 0.6**2 + 0.3**2) * rng.normal(size=2_000_000))))).mean())
    cells = {"question": np.tile(np.arange(questions), seeds), "replicate": np.repeat(np.arange(seeds), questions)}
    found: dict[str, list[bool]] = {"crossed": [], "questions": [], "replicates": [], "pooled": []}
    n = np.full(questions * seeds, 50)
    for s in range(400):
        effect = rng.normal(0, 0.8, questions)[cells["question"]] + rng.normal(0, 0.6, seeds)[cells["replicate"]]
        k = rng.binomial(50, 1 / (1 + np.exp(-(-1.5 + effect + rng.normal(0, 0.3, len(n))))))
        value = rate(k, n)
        settings: dict[str, Any] = {"n_boot": 800, "seed": s}
        found["crossed"].append(holds(hierarchical_bootstrap(value, cells, **settings).estimate, truth))
        for name, factor in (("questions", "question"), ("replicates", "replicate")):
            found[name].append(holds(hierarchical_bootstrap(value, {factor: cells[factor]}, **settings).estimate, truth))
        found["pooled"].append(holds(wilson(int(k.sum()), int(n.sum())), truth))
    rates = {k: float(np.mean(v)) for k, v in found.items()}
    print(f"\n{questions} questions x {seeds} replicates: " + ", ".join(f"{k} {v:.3f}" for k, v in rates.items()))
    assert rates["crossed"] >= 0.88
    assert rates["crossed"] > max(rates["questions"], rates["replicates"], rates["pooled"])
