"""The two kinds of judge: one names the class of an answer, the other compares an ordered pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class KeyJudge(Protocol):
    """Answers with one key mean the same: an equivalence relation, decided by one call an answer."""

    @property
    def name(self) -> str: ...

    def key(self, item_id: str, text: str) -> str:
        """The class of an answer to an item."""
        ...


@dataclass(frozen=True)
class Verdicts:
    """probs: (n, 3) float64, P(entail), P(neutral), P(contradict). truncated: (n,) bool, the judge did not see the whole pair."""

    probs: NDArray[np.float64]
    truncated: NDArray[np.bool_]


@runtime_checkable
class PairJudge(Protocol):
    """Compares premise and hypothesis, an ordered pair.

    ``self_pairs``: an answer is compared with itself too; otherwise it entails itself by definition. ``batch_size``: pairs a call.
    """

    @property
    def name(self) -> str: ...

    @property
    def self_pairs(self) -> bool: ...

    @property
    def batch_size(self) -> int: ...

    def fingerprint(self) -> str:
        """Identifies everything that decides a verdict; cached verdicts are reused only under the same one."""
        ...

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        """What the judge is shown; equal renderings are judged once."""
        ...

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        """Verdicts on rendered pairs."""
        ...


Equivalence = KeyJudge | PairJudge
