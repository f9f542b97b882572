"""EigenScore: spread of the hidden states of the sampled answers (INSIDE, Chen et al., arXiv 2402.03744)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import generations, require_two, round_scores
from trueline.traces.insides import hidden_states
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class EigenScore:
    r"""Mean log eigenvalue of the covariance of the samples' hidden states (last token), with alpha on its diagonal.

    Identical samples give the least value, :math:`\log\alpha` but for one eigenvalue; compare at equal numbers of samples only.
    """

    depth: float = 0.5  # relative depth of the layer
    alpha: float = 1e-3

    @property
    def needs(self) -> Needs:
        """The last hidden states of two samples."""
        return Needs(samples=2, sample_columns=frozenset({"text", "hidden_last"}), depths=frozenset({self.depth}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples that have a state (an empty sample has none).

        Raises ``MissingTraceField`` (no samples, states or layer), ``InputError`` (no item with 2).
        """
        rows = generations(trace, "sample")
        rows.require("text")
        found = hidden_states(rows, "hidden_last", self.depth)
        item = rows.item[found.row]
        require_two(np.bincount(item, minlength=trace.n_items))
        start = np.searchsorted(item, np.arange(trace.n_items + 1))
        scores = [eigenscore(found.values[a:b], self.alpha) if b - a >= 2 else np.nan for a, b in pairwise(start)]
        return round_scores(np.array(scores, dtype=np.float64))


def eigenscore(states: ArrayLike, alpha: float = 1e-3) -> float:
    r"""Mean of the log of the M eigenvalues of :math:`E J E^\top + \alpha I`, J centring each state over its d features.

    states: (M, d) float64, one hidden state a sample (middle layer, last token in the paper).
    Raises ``InputError`` for M < 2, NaN, alpha <= 0.
    """
    e = np.asarray(states, dtype=np.float64)
    if e.ndim != 2 or len(e) < 2 or not np.isfinite(e).all() or alpha <= 0:
        raise InputError(f"states of shape {e.shape} and alpha={alpha}; expected finite (M, d) with M >= 2 and alpha > 0")
    centred = e - e.mean(axis=1, keepdims=True)
    values = np.linalg.eigvalsh(centred @ centred.T + alpha * np.eye(len(e)))
    return float(np.log(np.maximum(values, np.finfo(np.float64).tiny)).mean())
