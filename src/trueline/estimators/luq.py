"""Scores from the entailment verdicts between whole answers: LUQ and non-contradiction.

Sources: LUQ, Zhang et al., arXiv 2403.20279 (whole-response version); non-contradiction, uqlm (Apache-2.0, cvs-health), after Chen and
Mueller, arXiv 2308.16175. Hard verdicts of a judge that names classes serve as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.clusters import sample_clusters, verdict_blocks
from trueline.estimators.inputs import generations, judgements, require_two, round_scores
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class LUQ:
    r"""1 - the mean over ordered pairs of samples of P(entail) / (P(entail) + P(contradict)); in [0, 1]."""

    @property
    def needs(self) -> Needs:
        """Two samples and verdicts among them."""
        return Needs(samples=2, sample_columns=frozenset({"text"}), equivalence=frozenset({"samples"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError`` (no item with 2)."""
        score = np.full(trace.n_items, np.nan)
        for items, probs in verdict_blocks(trace, sample_clusters(trace).counts, least=2):
            m = probs.shape[1]
            total = probs[..., 0] + probs[..., 2]
            support = np.where(total > 0, probs[..., 0] / np.where(total > 0, total, 1.0), 0.5)
            support[:, np.arange(m), np.arange(m)] = 0.0
            score[items] = 1.0 - support.sum(axis=(1, 2)) / (m * (m - 1))
        return round_scores(score)


@dataclass(frozen=True)
class Contradiction:
    """Mean P(contradict) between the greedy answer and each sample, both directions: 1 - uqlm's non-contradiction; in [0, 1]."""

    @property
    def needs(self) -> Needs:
        """The greedy answer, two samples and the verdicts between them."""
        text = frozenset({"text"})
        return Needs(greedy=text, samples=2, sample_columns=text, equivalence=frozenset({"greedy_samples"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item without a greedy answer or with fewer than 2 samples. Raises as ``LUQ.score``."""
        generations(trace, "greedy")
        score = np.full(trace.n_items, np.nan)
        counts = np.zeros(trace.n_items, dtype=np.int64)
        for i, item in enumerate(judgements(trace).items):
            if item is not None:
                counts[i] = np.count_nonzero(item.text_index >= 0)
                if item.greedy_index >= 0 and counts[i] >= 2:
                    score[i] = item.greedy_to_samples()[..., 2].mean()
        require_two(counts)
        return round_scores(score)
