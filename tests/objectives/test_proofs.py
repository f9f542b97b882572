"""Planted label noise on scikit-learn's digits: what smoothing does to calibration, what overfitting and failure look like from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from trueline.metrics import CI, Miscalibration, accuracy, auroc, miscalibration_score, overfit_gap
from trueline.metrics.scaling import log_softmax
from trueline.objectives import ConfidenceCurriculum, ConfidenceLabelSmoothing
from trueline.perception import max_softmax

SEEDS = range(4)
N_TRAIN, NOISE = 600, 0.2
SMOOTHED = ConfidenceLabelSmoothing(10, 0.1, (0.9,) * 10, 100.0)
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Digits:
    """600 training images and the rest, pixels in [0, 1]; a share of all labels replaced by a uniform one."""

    def __init__(self, seed: int, noise: float = NOISE) -> None:
        rng = np.random.default_rng(seed)
        x, y = load_digits(return_X_y=True)
        order = rng.permutation(len(y))
        self.x, self.clean = (x / 16)[order], y[order]
        self.given = np.where(rng.random(len(y)) < noise, rng.integers(0, 10, len(y)), self.clean)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def train(data: Digits, seed: int, epochs: int, loss: Loss, mask: Callable[[int], Any] | None = None) -> Any:
    """Train 64-256-10 with Adam 2e-3 and batches of 64; return a function from pixels to logits."""
    with seeded(seed):
        net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
        adam = torch.optim.Adam(net.parameters(), lr=2e-3)
        x = torch.tensor(data.x[:N_TRAIN], dtype=torch.float32)
        y = torch.tensor(data.given[:N_TRAIN])
        for epoch in range(epochs):
            rows = torch.arange(N_TRAIN) if mask is None else torch.tensor(np.flatnonzero(mask(epoch)))
            for batch in rows[torch.randperm(len(rows))].split(64):
                adam.zero_grad()
                loss(net(x[batch]), y[batch]).backward()
                adam.step()

    def logits(pixels: Any) -> Any:
        with torch.no_grad():
            return net(torch.tensor(pixels, dtype=torch.float32)).double().numpy()

    return logits


def softmax(z: Any) -> Any:
    return np.exp(log_softmax(z))


def heldout(data: Digits, model: Any) -> tuple[Miscalibration, float]:
    p, y = softmax(model(data.x[N_TRAIN:])), data.given[N_TRAIN:]
    return miscalibration_score(p, y, ci=CI(n_boot=100)), accuracy(p.argmax(axis=1), y, ci=None).value


@pytest.mark.slow
def test_smoothing_mends_noise_and_harms_clean_labels(capsys: pytest.CaptureFixture[str]) -> None:
    losses = {"cross-entropy": torch.nn.functional.cross_entropy, "smoothing": SMOOTHED, "ordinary smoothing": ConfidenceLabelSmoothing(10)}
    for noise, seeds, names in ((NOISE, SEEDS, tuple(losses)), (0.0, SEEDS[:2], tuple(losses)[:2])):
        eces: dict[str, list[float]] = {name: [] for name in names}
        for seed in seeds:
            data = Digits(seed, noise)
            for name in names:
                m, right = heldout(data, train(data, seed, 200, losses[name]))
                eces[name].append(m.ece.value)
                with capsys.disabled():
                    print(f"seed {seed}, noise {noise}, {name}: ECE {m.ece.value:.3f}, signed {m.signed.value:+.3f}, accuracy {right:.3f}")
                if not noise and name == "smoothing":
                    assert m.signed.high < 0
                    assert "(under-confident)" in str(m)
        before, after = np.mean(eces["cross-entropy"]), np.mean(eces["smoothing"])
        assert after <= 0.7 * before if noise else after > before


@pytest.mark.slow
def test_overfitting_and_failures_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, list[float]] = {"early": [], "early, max": [], "late": [], "late, max": [], "failure": []}
    for seed in SEEDS:
        data = Digits(seed)
        for name, epochs in (("early", 10), ("late", 200)):
            p = softmax(train(data, seed, epochs, torch.nn.functional.cross_entropy)(data.x))
            given = p[np.arange(len(p)), data.given]
            found[name].append(overfit_gap(given[:N_TRAIN], given[N_TRAIN:], ci=None).auroc.value)
            found[f"{name}, max"].append(overfit_gap(p[:N_TRAIN].max(axis=1), p[N_TRAIN:].max(axis=1), ci=None).auroc.value)
        model = train(data, seed, 15, torch.nn.functional.cross_entropy)
        x = data.x[N_TRAIN:] + np.random.default_rng(seed).normal(0, 0.4, data.x[N_TRAIN:].shape)
        z = model(x)
        found["failure"].append(auroc(max_softmax(logits=z), z.argmax(axis=1) != data.clean[N_TRAIN:], ci=None).value)
    with capsys.disabled():
        print({name: [round(v, 3) for v in values] for name, values in found.items()})
    means = {name: np.mean(values) for name, values in found.items()}
    assert means["late"] >= 0.62
    assert means["late"] > means["early"] + 0.05
    assert means["failure"] >= 0.72


@pytest.mark.slow
def test_curriculum(capsys: pytest.CaptureFixture[str]) -> None:
    """Scores from a first model: wrong labels come late. What it buys is shown, not required: the paper's gains are of other data."""
    for seed in SEEDS:
        data = Digits(seed)
        first = softmax(train(data, seed, 5, torch.nn.functional.cross_entropy)(data.x[:N_TRAIN]))
        plan = ConfidenceCurriculum(first[np.arange(N_TRAIN), data.given[:N_TRAIN]])
        wrong = data.given[:N_TRAIN] != data.clean[:N_TRAIN]
        assert wrong[plan.mask(0)].mean() < 0.5 * wrong.mean()
        for name, mask in (("all", None), ("curriculum", plan.mask)):
            m, right = heldout(data, train(data, seed, 60, torch.nn.functional.cross_entropy, mask))
            with capsys.disabled():
                print(f"seed {seed}, {name}: ECE {m.ece.value:.3f}, accuracy {right:.3f}")
