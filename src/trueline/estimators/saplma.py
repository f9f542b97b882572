"""SAPLMA: a small network that reads off the hidden state whether the answer is true (Azaria and Mitchell, arXiv 2304.13734).

MLP 256-128-64 with ReLU, sigmoid, Adam, 5 epochs of binary cross-entropy, as there. Choices here: states are standardised, and the layer
among 60, 70 and 80 % depth is the one with the least loss on a fifth of the fit items that the network did not see.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.fitting import Examples, Fit, both_classes, examples, hash_ids, scored_states, state_for
from trueline.estimators.inputs import round_scores
from trueline.estimators.linear_probe import standardisation
from trueline.traces.trace import Trace

DEPTHS = (0.6, 0.7, 0.8)
WIDTHS = (256, 128, 64)

Weights = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class SAPLMA:
    """1 - P(true) by a network on the last hidden state of the greedy answer; in [0, 1]."""

    depth: float = 0.0  # relative depth of the layer; 0: chosen among 0.6, 0.7 and 0.8
    epochs: int = 5
    seed: int = 0
    state: Fit | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a training without an epoch."""
        if self.epochs < 1:
            raise InputError(f"epochs={self.epochs} must be at least 1")

    @property
    def needs(self) -> Needs:
        """The last hidden state of the greedy answer, and a fit."""
        depths = frozenset(self._depths if self.state is None else (float(self.state.facts["depth"]),))
        return Needs(greedy=frozenset({"hidden_last"}), depths=depths, unfitted=self.state is None)

    @property
    def _depths(self) -> tuple[float, ...]:
        return (self.depth,) if self.depth else DEPTHS

    def fit(self, trace: Trace, correct: ArrayLike) -> Self:
        """Train on labelled answers; correct: (n_items,) 1, 0 or NaN. Same seed, same network.

        Raises ``InputError`` for labels of one class or fewer than 10 labelled answers.
        """
        best: tuple[float, float, Examples, Weights] | None = None
        for depth in self._depths:
            found = examples(trace, correct, "hidden_last", depth)
            if best is not None and found.layer == best[2].layer:
                continue  # a shallow model has one layer for several depths
            both_classes(found.right)
            if len(found.right) < 10:
                raise InputError(f"{len(found.right)} labelled answers are too few for a network; give at least 10")
            held = np.zeros(len(found.right), dtype=bool)
            held[np.random.default_rng(self.seed).permutation(len(held))[: max(1, len(held) // 5)]] = True
            weights = _train(found.states[~held], found.right[~held], self.epochs, self.seed)
            loss = float(np.logaddexp(0.0, np.where(found.right[held], -1.0, 1.0) * logits(weights, found.states[held])).mean())
            if best is None or loss < best[0]:
                best = (loss, depth, found, weights)
        if best is None:
            raise InputError("SAPLMA was given no depth")
        loss, depth, found, weights = best
        width, n = found.states.shape[1], len(found.right)
        facts = {"layer": found.layer, "depth": depth, "width": width, "items": n, "right": int(found.right.sum()), "held_out_loss": loss}
        return dataclasses.replace(self, state=Fit(weights, facts, hash_ids(trace.item_ids)))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an answer without text. Raises ``NotFitted``, ``MissingTraceField``, ``InputError`` (seen items)."""
        from scipy.special import expit

        state = state_for(self.state, trace)
        item, states = scored_states(trace, state, "hidden_last", float(state.facts["depth"]))
        scores = np.full(trace.n_items, np.nan)
        if len(item):
            scores[item] = expit(-logits(dict(state.arrays), states))
        return round_scores(scores)


def logits(weights: Weights, states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of "true": (n, d) float64 states -> (n,) float64."""
    h = (states - weights["mean"]) / weights["scale"]
    n_layers = len(WIDTHS) + 1
    for k in range(n_layers):
        h = h @ weights[f"weight_{k}"].T + weights[f"bias_{k}"]
        h = np.maximum(h, 0.0) if k + 1 < n_layers else h
    return np.asarray(h[:, 0], dtype=np.float64)


def _train(states: NDArray[np.float64], right: NDArray[np.bool_], epochs: int, seed: int) -> Weights:
    import torch
    from torch import nn

    mean, scale = standardisation(states)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = (states.shape[1], *WIDTHS, 1)
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        steps: list[Any] = [part for layer in layers for part in (layer, nn.ReLU())][:-1]
        network = nn.Sequential(*steps)
        x, y = torch.tensor((states - mean) / scale, dtype=torch.float32), torch.tensor(right, dtype=torch.float32)
        optimiser = torch.optim.Adam(network.parameters())
        for _ in range(epochs):
            for batch in torch.split(torch.randperm(len(y)), 32):
                optimiser.zero_grad()
                nn.functional.binary_cross_entropy_with_logits(network(x[batch])[:, 0], y[batch]).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    weights = {"mean": mean, "scale": scale}
    for k, layer in enumerate(layers):
        weights[f"weight_{k}"] = layer.weight.detach().double().numpy()
        weights[f"bias_{k}"] = layer.bias.detach().double().numpy()
    return weights
