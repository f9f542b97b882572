"""Number of semantic sets among the sampled answers (Lin, Trivedi, Sun, arXiv 2305.19187)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.clusters import RULES, Rule, cluster_with_greedy, sample_clusters
from trueline.estimators.inputs import choice, generations, judgements, require_two
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class NumSemanticSets:
    """How many meanings the samples have; an integer in [1, M] as float64.

    Default rule: connected components of P(entail) > P(contradict) both ways (the paper's); others as in ``clusters.cluster``.
    ``compat="uqlm"``: the greedy answer counts as one more, and entailment one way is enough (``rule`` is not used).
    """

    rule: Rule = "components"
    compat: Literal["", "uqlm"] = ""

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("rule", self.rule, RULES)
        choice("compat", self.compat, ("", "uqlm"))

    @property
    def needs(self) -> Needs:
        """Two samples and verdicts among them; with the greedy answer for ``compat``."""
        if self.compat:
            text = frozenset({"text"})
            return Needs(greedy=text, samples=2, sample_columns=text, equivalence=frozenset({"samples", "greedy_samples"}))
        return Needs(samples=2, sample_columns=frozenset({"text"}), equivalence=frozenset({"samples"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError`` (no item with 2)."""
        if self.compat:
            labels = greedy_labels(trace)
            return np.array([np.nan if found is None else found.max() + 1.0 for found in labels], dtype=np.float64)
        clusters = sample_clusters(trace, self.rule)
        highest = np.full(trace.n_items, -1, dtype=np.int64)
        np.maximum.at(highest, clusters.item, clusters.label)
        return np.where(clusters.counts >= 2, highest + 1.0, np.nan)


def greedy_labels(trace: Trace) -> list[NDArray[np.int64] | None]:
    """uqlm's clusters (entailment one way) of the greedy answer and the samples; None without it or with fewer than 2 samples."""
    generations(trace, "greedy")
    items = judgements(trace).items
    used = [np.flatnonzero(item.text_index >= 0) if item else np.empty(0, dtype=np.int64) for item in items]
    require_two(np.array([len(k) for k in used]))
    return [
        cluster_with_greedy(item, k, "either") if item and item.greedy_index >= 0 and len(k) >= 2 else None
        for item, k in zip(items, used, strict=True)
    ]
