"""Equivalence verdicts between the answers of an item: who entails whom, judged once per distinct text."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError


@dataclass(frozen=True)
class ItemJudgement:
    """Verdicts among the distinct texts of one item.

    text_index: (n_samples,) int64, the distinct text (for a judge of classes: the class) of each sample in draw order; -1: missing.
    greedy_index: the distinct text of the greedy answer, or -1.
    probs: (n_texts, n_texts, 3) float64, P(entail), P(neutral), P(contradict) of premise i -> hypothesis j; hard 0/1 allowed.
    """

    text_index: NDArray[np.int64]
    greedy_index: int
    probs: NDArray[np.float64]

    def samples(self) -> NDArray[np.float64]:
        """(m, m, 3) float64 over the m samples that are not missing, in draw order."""
        k = self.text_index[self.text_index >= 0]
        return self.probs[np.ix_(k, k)]

    def greedy_to_samples(self) -> NDArray[np.float64]:
        """(2, m, 3) float64: premise greedy -> samples, then samples -> greedy. Raises ``InputError`` without a greedy answer."""
        if self.greedy_index < 0:
            raise InputError("the item has no greedy answer to compare with its samples")
        k = self.text_index[self.text_index >= 0]
        return np.stack([self.probs[self.greedy_index, k], self.probs[k, self.greedy_index]])


@dataclass(frozen=True)
class Judgements:
    """Verdicts of one judge for every item of a trace, in the order of ``Trace.item_ids``.

    ``judge``: name of the equivalence (``exact``, ``normalised``, ``oracle``, ``nli:...``, ``llm:...``). ``hard``: verdicts are 0/1
    from an equivalence relation, so clusters need no rule. None for an item without usable texts.
    ``pairs``: verdicts on other pairs than whole answers, by name: (n_pairs, 3) float64 an item in the order of ``estimators.pairs``.
    """

    judge: str
    items: tuple[ItemJudgement | None, ...]
    hard: bool = False
    settings: dict[str, object] = field(default_factory=dict)
    pairs: dict[str, tuple[NDArray[np.float64] | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Similarities:
    """Similarities between texts of every item of a trace, in the order of ``Trace.item_ids``.

    ``similarity``: its name. ``values``: name of the pairs -> (n_pairs,) float64 in [0, 1] an item, in the order of ``estimators.pairs``;
    None for an item without such pairs.
    """

    similarity: str
    values: dict[str, tuple[NDArray[np.float64] | None, ...]]
    settings: dict[str, object] = field(default_factory=dict)
