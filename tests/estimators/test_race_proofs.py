"""RACE and DRM on the two-hop world: a small model trained here, whose firms and cities are known; see docs/proofs/race.md and drm.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import trueline as tl
from trueline.estimators.drm import DRM, DRMItem, DRMWeights, TokenOverlap
from trueline.estimators.race import RACE
from trueline.knownworld.two_hop import KINDS, TwoHopWorld, candidate_items, train_two_hop, two_hop_world
from trueline.knownworld.two_hop_reward import train_reward
from trueline.metrics import auroc
from trueline.models.proxy import LocalProxy


def area(score: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    return float(auroc(score, wrong, ci=None).value)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "least_there", "least_gain"), [((2, 96, 3), 0.99, 0.0), ((4, 128, 4), 0.85, 0.03)])
def test_reasoning_finds_what_agreeing_answers_hide(
    size: tuple[int, int, int], least_there: float, least_gain: float, tmp_path: Path
) -> None:
    layers, width, epochs = size
    rng = np.random.default_rng(0)
    world = two_hop_world(rng)
    model = train_two_hop(world, world.documents(rng), layers=layers, width=width, epochs=epochs)
    run = tl.measure(
        model, world.task(), ["self_consistency"], samples=5, top_p=0.95, equivalence="exact", out=tmp_path / "run", validate=False
    )
    race = RACE(proxy=LocalProxy(model), template="{question} <think> {steps} </think>", weights=(1.0, 1.0, 1.0, 0.0))
    table = race.table(run.trace())
    there = ~table["race"].is_nan().to_numpy()
    assert there.mean() > least_there, "the others did not end their reasoning"
    wrong = ~run.grades["correct"].to_numpy()[there].astype(bool)
    signals = {name: table[name].to_numpy()[there] for name in ("race", "s_aa", "s_cc", "s_ca")}
    areas = {name: area(score, wrong) for name, score in signals.items()}
    agree = np.abs(signals["s_aa"]) < 1e-9
    hidden = area(signals["s_cc"][agree], wrong[agree])
    gains = []
    for _ in range(300):
        k = rng.integers(len(wrong), size=len(wrong))
        gains.append(area(signals["race"][k], wrong[k]) - area(signals["s_aa"][k], wrong[k]))
    low, high = np.quantile(gains, [0.025, 0.975])
    print(
        f"{there.mean():.3f} scored",
        {k: round(v, 3) for k, v in areas.items()},
        f"agreeing {agree.sum()}: S_CC {hidden:.3f}, gain [{low:.3f}, {high:.3f}]",
    )
    assert areas["race"] >= 0.72
    assert low > 0
    assert areas["race"] - areas["s_aa"] >= least_gain
    assert hidden > 0.55, "S_AA is 0 there, so its AUROC is 0.5"


def ranking(drm: DRM, items: list[DRMItem], world: TwoHopWorld) -> dict[str, float]:
    """Accuracy on pairs of equal answers of which one is soundly reasoned, and how often the best of a group is sound."""
    right: list[float] = []
    best = []
    for item, scores in zip(items, drm.score(items), strict=True):
        sound = [world.is_sound(int(item.item_id), c.reasoning) for c in item.candidates]
        for i, one in enumerate(item.candidates):
            for j, other in enumerate(item.candidates):
                if sound[i] and not sound[j] and one.answer == other.answer:
                    right.append((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
        best.append(sound[int(np.argmax(scores))])
    return {"pairs": float(np.mean(right)), "best": float(np.mean(best)), "n": len(right)}


@pytest.mark.slow
def test_drm_ranks_sound_reasoning_above_defective() -> None:
    rng = np.random.default_rng(0)
    world = two_hop_world(rng, n_people=400, exposures=(12,))
    model = train_two_hop(world, world.documents(rng, ("sound", "sound", *KINDS[1:])), epochs=12)
    reward = train_reward(world, range(200))
    items = candidate_items(world, model, [int(p) for p in rng.choice(np.arange(200, 400), 150, replace=False)], rng)
    random = np.mean([np.mean([world.is_sound(int(i.item_id), c.reasoning) for c in i.candidates]) for i in items])
    chosen: dict[str, Any] = {"all": (1, 1, 1), "confidence": (1, 0, 0), "relevance": (0, 1, 0), "coherence": (0, 0, 1)}
    chosen |= {"no confidence": (0, 1, 1), "no relevance": (1, 0, 1), "no coherence": (1, 1, 0)}
    found = {name: ranking(DRM(TokenOverlap(), reward, DRMWeights(*w)), items, world) for name, w in chosen.items()}
    print(f"random {random:.3f}", {name: {k: round(v, 3) for k, v in f.items()} for name, f in found.items()})
    assert found["all"]["pairs"] >= 0.80
    assert found["all"]["best"] >= random + 0.15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "limit", "floors"),
    [("world:two_hops", 200, {"s_aa": 0.5, "drm": 0.7}), ("world:sums", 240, {"race": 0.88, "s_aa": 0.88, "drm": 0.88})],
)
def test_the_shipped_model(task: str, limit: int, floors: dict[str, float], tmp_path: Path) -> None:
    model = tl.load_model("world:chat")
    names = ["drm", "self_consistency", "sequence_nll(span=reasoning)"]
    run = tl.measure(model, tl.load_task(task), names, samples=5, top_p=0.95, limit=limit, out=tmp_path / "run", validate=False)
    race = RACE(proxy=LocalProxy(model), template="{question} <think> {steps} </think>", weights=(1.0, 1.0, 1.0, 0.0))
    table = race.table(run.trace())
    wrong = ~run.grades["correct"].to_numpy().astype(bool)
    scores = {c: table[c].to_numpy() for c in ("race", "s_aa", "s_cc", "s_ca")} | {
        c: run.scores[c].to_numpy() for c in run.scores.columns[1:]
    }
    areas = {name: auroc(score, wrong, nan_policy="drop") for name, score in scores.items()}
    print(task, f"{wrong.mean():.3f} wrong", {k: f"{a.value:.3f} [{a.low:.2f}, {a.high:.2f}]" for k, a in areas.items()})
    for name, floor in floors.items():
        assert areas[name].value > floor
