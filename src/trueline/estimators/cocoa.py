"""CoCoA: confidence of the greedy answer times its disagreement with the samples (Vashurin et al., arXiv 2502.04964)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import OnEmpty, choice, generations, greedy_column, greedy_logprobs, require_two, round_scores, similarities
from trueline.traces.trace import Trace

Base = Literal["msp", "ppl", "mte"]


@dataclass(frozen=True)
class CoCoA:
    r""":math:`u(y) \cdot \frac1M \sum_m (1 - s(y, s_m))`, in nats.

    base: the uncertainty u of the greedy answer: ``msp`` its sequence NLL, ``ppl`` its mean NLL, ``mte`` its mean token entropy.
    ``compat="uqlm"`` (``msp`` or ``ppl``): 1 - exp(-u) times the mean of 0.5 + s / 2, a product of confidences; s a cosine.
    """

    base: Base = "msp"
    on_empty: OnEmpty = "raise"
    compat: Literal["", "uqlm"] = ""

    def __post_init__(self) -> None:
        """Refuse unknown options, and ``mte`` in uqlm's form."""
        choice("base", self.base, ("msp", "ppl", "mte"))
        choice("compat", self.compat, ("", "uqlm"))
        if self.compat and self.base == "mte":
            raise InputError("compat='uqlm' multiplies a probability; choose base='msp' or base='ppl'")

    @property
    def needs(self) -> Needs:
        """The greedy answer, two samples, and the similarities between them."""
        column = "token_entropy" if self.base == "mte" else "token_logprobs"
        text = frozenset({"text"})
        whole = frozenset({"greedy"}) if self.base == "msp" else frozenset[str]()
        return Needs(greedy=text | {column}, samples=2, sample_columns=text, similarity=frozenset({"greedy_samples"}), whole=whole)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN without a greedy answer or with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError``."""
        generations(trace, "sample").require("text")
        if self.base == "mte":
            u = greedy_column(trace, "token_entropy", self.on_empty).mean()
        else:
            logprobs = greedy_logprobs(trace, self.on_empty)
            u = -(logprobs.sum() if self.base == "msp" else logprobs.mean())
        distance = mean_distances(trace)
        return round_scores(1.0 - np.exp(-u) * (1.0 - distance / 2.0) if self.compat else u * distance)


def mean_distances(trace: Trace) -> NDArray[np.float64]:
    """1 - mean similarity of the greedy answer to the samples: (n_items,) float64; NaN without it or with fewer than 2 samples."""
    generations(trace, "greedy")
    values = similarities(trace, "greedy_samples")
    require_two(np.array([0 if v is None else len(v) for v in values]))
    return np.array([1.0 - v.mean() if v is not None and len(v) >= 2 else np.nan for v in values], dtype=np.float64)


def cocoa(uncertainty: ArrayLike, greedy_similarity: ArrayLike) -> NDArray[np.float64]:
    r"""u(y) times :math:`\frac1M \sum_m (1 - s(y, s_m))`: (n_items,) float64.

    uncertainty: (n_items,) float64, a score of the greedy answer alone (sequence NLL, mean NLL or mean token entropy).
    greedy_similarity: (n_items, M) float64 in [0, 1], greedy answer to each sample; NaN = missing sample, left out.
    Raises ``InputError`` for shapes or similarities outside [0, 1]. An item without a sample is NaN.
    """
    u, s = np.asarray(uncertainty, dtype=np.float64), np.asarray(greedy_similarity, dtype=np.float64)
    if u.ndim != 1 or s.ndim != 2 or len(u) != len(s):
        raise InputError(f"uncertainty of shape {u.shape} and similarities of shape {s.shape}; expected (n_items,) and (n_items, M)")
    if ((s < -1e-9) | (s > 1 + 1e-9)).any():
        raise InputError("similarities must lie in [0, 1]")
    count = (~np.isnan(s)).sum(axis=1)
    distance = np.where(np.isnan(s), 0.0, 1.0 - s).sum(axis=1)
    return np.where(count > 0, u * distance / np.maximum(count, 1), np.nan)
