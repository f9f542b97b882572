"""Number of semantic sets among the sampled answers (Lin, Trivedi, Sun, arXiv 2305.19187)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.clusters import RULES, Rule, sample_clusters
from trueline.estimators.inputs import choice
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class NumSemanticSets:
    """How many meanings the samples have; an integer in [1, M] as float64.

    Default rule: connected components of P(entail) > P(contradict) both ways (the paper's); others as in ``clusters.cluster``.
    """

    rule: Rule = "components"

    def __post_init__(self) -> None:
        """Refuse an unknown rule."""
        choice("rule", self.rule, RULES)

    @property
    def needs(self) -> Needs:
        """Two samples and verdicts among them."""
        return Needs(samples=2, sample_columns=frozenset({"text"}), equivalence=frozenset({"samples"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError`` (no item with 2)."""
        clusters = sample_clusters(trace, self.rule)
        highest = np.full(trace.n_items, -1, dtype=np.int64)
        np.maximum.at(highest, clusters.item, clusters.label)
        return np.where(clusters.counts >= 2, highest + 1.0, np.nan)
