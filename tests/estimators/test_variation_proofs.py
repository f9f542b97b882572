"""Answer trees: where the twelve scores of Huang et al. win, and that perturbation does not (docs/proofs/look-before-you-leap.md)."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from trueline.capture.perturbation import perturbation_point
from trueline.estimators.loading import load_estimators
from trueline.estimators.sequence_nll import SequenceNLL
from trueline.estimators.variation_ratio import POINTS, PerturbVR, PerturbVRO, SampleVR, SampleVRO
from trueline.knownworld.answer_trees import tree_world
from trueline.metrics import auroc
from trueline.traces import make_trace
from trueline.traces.schema import PERTURBATIONS

OUTPUT = ("max_token_nll", "mean_nll", "max_token_entropy", "mean_token_entropy")


def unshared(a: str, b: str) -> float:
    """1 - Jaccard index of the sets of (position, token)."""
    one, two = (set(enumerate(text.split())) for text in (a, b))
    return 1.0 - len(one & two) / len(one | two)


def aurocs(seed: int) -> dict[str, float]:
    world = tree_world(1200, 5, np.random.default_rng(seed))
    points = {kind: partial(perturbation_point, kind=kind) for kind in PERTURBATIONS}
    trace = make_trace([*world.rows(), *world.perturbed_rows(points)], item_ids=[f"tree/{i}" for i in range(1200)])
    scores = {"sequence_nll": SequenceNLL(), **load_estimators(list(OUTPUT))}
    scores |= {"sample_vr": SampleVR(unshared), "sample_vro": SampleVRO(unshared)}
    for point in POINTS:
        scores |= {f"perturb_vr_{point}": PerturbVR(point, unshared), f"perturb_vro_{point}": PerturbVRO(point, unshared)}
    return {name: auroc(e.score(trace), world.wrong, ci=None).value for name, e in scores.items()}


def test_perturbed_sequences_of_a_tree() -> None:
    world = tree_world(30, 0, np.random.default_rng(3))
    rows = list(world.perturbed_rows({"perturb_max_entropy": partial(perturbation_point, kind="perturb_max_entropy")}))
    for i, (greedy, _) in enumerate(world.greedy):
        mine = [row for row in rows if row["item_id"] == f"tree/{i}"]
        at = mine[0]["perturbed_at"]
        others = {tuple(map(int, row["text"].split())) for row in mine}
        assert len(others) == (4 if at < 3 else 1)
        assert all(o[:at] == greedy[:at] and (o == greedy) == (at == 3) for o in others)


@pytest.mark.slow
def test_single_inference_wins_and_perturbation_is_useless_on_trees() -> None:
    found = [aurocs(seed) for seed in range(4)]
    mean = {name: float(np.mean([f[name] for f in found])) for name in found[0]}
    print("\n" + "\n".join(f"{name:28s} {value:.3f}" for name, value in mean.items()))
    assert mean["sample_vro"] >= 0.72
    assert mean["max_token_entropy"] >= 0.77
    perturbed = {name: value for name, value in mean.items() if name.startswith("perturb")}
    assert len(perturbed) == 6
    assert all(0.35 <= value <= 0.55 for value in perturbed.values()), perturbed
    assert mean["sequence_nll"] > mean["sample_vro"] > max(perturbed.values())
