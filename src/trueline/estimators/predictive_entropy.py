"""Monte Carlo predictive entropy from sampled answers, and its length-normalised form.

Sources: Malinin and Gales, arXiv 2002.07650; as baselines in arXiv 2412.15176.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.inputs import OnEmpty, round_scores, sample_logprobs
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class PredictiveEntropy:
    r"""PE: :math:`-\frac1N \sum_n l_n`, unbiased for the entropy of the output law in nats under exact temperature-1 sampling.

    ``length_normalize=True`` gives LN-PE, :math:`-\frac1N \sum_n l_n / T_n`: a different quantity, not an entropy.
    ``any_law=True`` accepts samples drawn otherwise; the value is then biased and no longer an entropy.
    """

    length_normalize: bool = False
    any_law: bool = False
    on_empty: OnEmpty = "raise"  # "nan": an empty sample is left out, as one without log-probs is

    @property
    def needs(self) -> Needs:
        """Two samples with log-probs, under the model's own law."""
        whole = frozenset[str]() if self.length_normalize else frozenset({"sample"})
        return Needs(samples=2, sample_columns=frozenset({"token_logprobs"}), model_law=not self.any_law, whole=whole)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an item with fewer than 2 usable samples.

        Raises ``LawError`` (samples of another law), ``EmptySequenceError``, ``InputError`` (bad log-probs, no item with 2 samples).
        """
        rows = sample_logprobs(trace, self.on_empty, model_law=not self.any_law)
        value = rows.logprob / rows.n_tokens if self.length_normalize else rows.logprob
        total = np.bincount(rows.item, weights=value, minlength=trace.n_items)
        return round_scores(np.where(rows.counts >= 2, -total / np.maximum(rows.counts, 1), np.nan))
