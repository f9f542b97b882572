"""A small reward model for the two-hop world: a GRU that learned, from pairs, to score sound reasoning above defective (Bradley-Terry)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trueline.knownworld.two_hop import KINDS, TwoHopWorld

_DEFECTS = KINDS[1:]


@dataclass(frozen=True)
class TwoHopReward:
    """Coherence of a reasoning given its question; the answer is not shown. Words that were not in the training text count as unknown."""

    words: dict[str, int]
    network: Any = field(repr=False, compare=False)

    def __call__(self, question: str, reasoning: str, context: str | None) -> float:
        """The score, higher = more like sound reasoning."""
        import torch

        with torch.inference_mode():
            return float(self.network(torch.tensor([_ids(self.words, question, reasoning)]))[0])


def train_reward(world: TwoHopWorld, people: Sequence[int], *, seed: int = 0, n_pairs: int = 6000, batch: int = 100) -> TwoHopReward:
    """Train on (sound, defective) pairs about ``people``; a reward that shall generalise is then used about others."""
    import torch

    rng = np.random.default_rng(seed)
    pairs = []
    for k in range(n_pairs):
        person = int(rng.choice(np.asarray(people)))
        bad = world.reasoning(person, _DEFECTS[k % len(_DEFECTS)], rng)
        pairs.append((world.question(person), world.reasoning(person, "sound", rng), bad))
    words = {word: k + 2 for k, word in enumerate(sorted({w for texts in pairs for text in texts for w in text.split()}))}
    torch.manual_seed(seed)
    network = _network(len(words) + 2)
    adam = torch.optim.Adam(network.parameters(), lr=3e-3)
    for start in range(0, n_pairs, batch):
        part = pairs[start : start + batch]
        good, bad = (_padded([_ids(words, q, sides[side]) for q, *sides in part]) for side in (0, 1))
        loss = -torch.nn.functional.logsigmoid(network(good) - network(bad)).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return TwoHopReward(words, network.eval())


def _ids(words: dict[str, int], question: str, reasoning: str) -> list[int]:
    return [words.get(word, 1) for word in f"{question} {reasoning}".split()]


def _padded(rows: Sequence[Sequence[int]]) -> Any:
    import torch

    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])


def _network(n_words: int, width: int = 64) -> Any:
    import torch

    class Scorer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(n_words, width, padding_idx=0)
            self.gru = torch.nn.GRU(width, width, batch_first=True)
            self.head = torch.nn.Linear(width, 1)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            states, _ = self.gru(self.embedding(ids))
            last = (ids != 0).sum(1) - 1
            scores: torch.Tensor = self.head(states[torch.arange(len(ids)), last])[:, 0]
            return scores

    return Scorer()
