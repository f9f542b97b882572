"""Semantic density: how much probability lies near the meaning of the greedy answer (Qiu and Miikkulainen, arXiv 2405.13845).

LM-Polygraph adds the greedy answer itself with kernel 1 and returns minus the density; uqlm averages all samples, repeated texts included.
The published cut-off on the distance can bind in neither and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import OnEmpty, choice, generations, greedy_logprobs, judgements, round_scores, sample_logprobs
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class SemanticDensity:
    r"""1 - :math:`\sum_m w_m K_m / \sum_m w_m` over the distinct sample texts (first occurrence); in [0, 1].

    w = exp(l / T); K = 1 - (P(contradict) + P(neutral) / 2), premise the greedy answer, hypothesis the sample.
    ``compat="lm_polygraph"``: the greedy answer itself counts, with K = 1, and the score is minus the density, in [-1, 0].
    ``compat="uqlm"``: every sample counts, not every text.
    """

    on_empty: OnEmpty = "raise"
    compat: Literal["", "lm_polygraph", "uqlm"] = ""

    def __post_init__(self) -> None:
        """Refuse an unknown ``compat``."""
        choice("compat", self.compat, ("", "lm_polygraph", "uqlm"))

    @property
    def needs(self) -> Needs:
        """The greedy answer, two samples with log-probs, and the verdicts between them."""
        columns = frozenset({"text", "token_logprobs"})
        return Needs(
            greedy=columns if self.compat == "lm_polygraph" else frozenset({"text"}),
            samples=2,
            sample_columns=columns,
            equivalence=frozenset({"greedy_samples"}),
        )

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item without a greedy answer or with fewer than 2 samples.

        Raises ``MissingTraceField``, ``EmptySequenceError``, ``InputError`` (bad log-probs, no item with 2 samples).
        """
        generations(trace, "greedy")
        verdicts = judgements(trace)
        rows = sample_logprobs(trace, self.on_empty)
        itself = self.compat == "lm_polygraph"
        own = np.exp(greedy_logprobs(trace, self.on_empty).mean()) if itself else np.zeros(trace.n_items)
        start = np.searchsorted(rows.item, np.arange(trace.n_items + 1))
        texts, first = trace.samples.texts, trace.samples.offsets
        score = np.full(trace.n_items, np.nan)
        for i, item in enumerate(verdicts.items):
            span = slice(start[i], start[i + 1])
            used = [k for k in range(start[i], start[i + 1]) if item is not None and item.text_index[rows.row[k] - first[i]] >= 0]
            if item is None or item.greedy_index < 0 or span.stop - span.start < 2 or not used:
                continue
            distinct = used if self.compat == "uqlm" else list({texts[rows.row[k]]: k for k in reversed(used)}.values())
            kernel = verdict_kernel(item.probs[item.greedy_index, item.text_index[rows.row[distinct] - first[i]]])
            weight = np.exp(rows.logprob[distinct] / rows.n_tokens[distinct])
            score[i] = 1.0 - density(kernel, weight, float(own[i]))
        return round_scores(score - 1.0 if itself else score)


def verdict_kernel(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 3) float64 verdicts -> (M,) float64 kernel values in [0, 1]."""
    return np.asarray(1.0 - (probs[..., 2] + probs[..., 1] / 2.0), dtype=np.float64)


def density(kernel: ArrayLike, weight: ArrayLike, self_weight: float = 0.0) -> float:
    """Weighted mean of the kernel, with the answer itself at kernel 1 and ``self_weight``. Raises ``InputError`` for shapes, no weight."""
    k, w = np.asarray(kernel, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    total = w.sum() + self_weight
    if k.ndim != 1 or k.shape != w.shape or not total > 0:
        raise InputError(f"kernel of shape {k.shape} and weights of shape {w.shape} must be equal, with a positive sum of weights")
    return float(((k * w).sum() + self_weight) / total)
