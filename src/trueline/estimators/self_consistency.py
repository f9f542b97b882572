"""Self-consistency: how many of the sampled answers agree (Wang et al., arXiv 2203.11171; Xiong et al., arXiv 2306.13063)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.clusters import RULES, Rule, equivalent, sample_clusters
from trueline.estimators.inputs import choice, generations, judgements, require_two, round_scores
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class SelfConsistency:
    """1 - the share of samples in the largest cluster (``reference="majority"``) or that mean the same as the greedy answer (``"greedy"``).

    In [0, 1]; identical answers give exactly 0.
    """

    reference: Literal["majority", "greedy"] = "majority"
    rule: Rule = "strict"

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("reference", self.reference, ("majority", "greedy"))
        choice("rule", self.rule, RULES)

    @property
    def needs(self) -> Needs:
        """Two samples and verdicts among them, or between them and the greedy answer."""
        columns = frozenset({"text"})
        if self.reference == "majority":
            return Needs(samples=2, sample_columns=columns, equivalence=frozenset({"samples"}))
        return Needs(greedy=columns, samples=2, sample_columns=columns, equivalence=frozenset({"greedy_samples"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 usable samples or without the reference.

        Raises ``MissingTraceField`` (no samples, no verdicts), ``InputError`` (no item with 2 samples).
        """
        return round_scores(self._majority(trace) if self.reference == "majority" else self._greedy(trace))

    def _majority(self, trace: Trace) -> NDArray[np.float64]:
        clusters = sample_clusters(trace, self.rule)
        used = clusters.label >= 0
        width = int(clusters.label.max(initial=0)) + 1
        sizes = np.bincount(clusters.item[used] * width + clusters.label[used], minlength=trace.n_items * width)
        largest = sizes.reshape(trace.n_items, width).max(axis=1)
        return np.where(clusters.counts >= 2, 1.0 - largest / np.maximum(clusters.counts, 1), np.nan)

    def _greedy(self, trace: Trace) -> NDArray[np.float64]:
        generations(trace, "greedy")
        generations(trace, "sample")
        score = np.full(trace.n_items, np.nan)
        counts = np.zeros(trace.n_items, dtype=np.int64)
        for i, item in enumerate(judgements(trace).items):
            if item is not None:
                counts[i] = np.count_nonzero(item.text_index >= 0)
                if item.greedy_index >= 0 and counts[i] >= 2:
                    forward, backward = item.greedy_to_samples()
                    score[i] = 1.0 - equivalent(forward, backward, self.rule).mean()
        require_two(counts)
        return score


def confidence_weighted_consistency(clusters: ArrayLike, confidence: ArrayLike) -> tuple[float, int]:
    """1 - the largest cluster's share of the summed verbalised confidence, and how many confidences were missing.

    clusters: (M,) integer labels. confidence: (M,) float64 in [0, 1], NaN = missing (left out of both sums). Source: 2306.13063.
    NaN when no confidence is left or all are 0. Raises ``InputError`` for other shapes or values outside [0, 1].
    """
    label = np.asarray(clusters, dtype=np.int64)
    weight = np.asarray(confidence, dtype=np.float64)
    if label.ndim != 1 or label.shape != weight.shape or len(label) < 2:
        raise InputError(f"{label.shape} cluster labels and {weight.shape} confidences; expected two vectors of one length >= 2")
    used = ~np.isnan(weight)
    if ((weight[used] < 0) | (weight[used] > 1)).any():
        raise InputError("confidences lie in [0, 1]; pass NaN for those that could not be read")
    _, index = np.unique(label[used], return_inverse=True)
    total = weight[used].sum()
    score = 1.0 - np.bincount(index, weights=weight[used]).max() / total if total > 0 else np.nan
    return float(round_scores(np.array([score]))[0]), int((~used).sum())
