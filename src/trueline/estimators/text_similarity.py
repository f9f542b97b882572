"""How much alike the answers are, by any similarity: cosine of sentence vectors, BERTScore, a cross-encoder, or spelling.

Sources: lexical similarity, Fomicheva et al., arXiv 2005.10608; BERTScore and cosine against the answer, uqlm (Apache-2.0, cvs-health).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.cocoa import mean_distances
from trueline.estimators.inputs import choice, generations, require_two, round_scores, similarities
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class TextSimilarity:
    """1 - mean similarity, in [0, 1]: of the greedy answer to the samples (``reference="greedy"``) or over pairs of samples.

    With a sentence encoder it is the cosine score, with ``bertscore:PATH`` the BERTScore of uqlm.
    ``compat="uqlm"`` halves the distance, as its cosine score (0.5 + cosine / 2) does; its BERTScore needs no ``compat``.
    """

    reference: Literal["greedy", "samples"] = "greedy"
    compat: Literal["", "uqlm"] = ""

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("reference", self.reference, ("greedy", "samples"))
        choice("compat", self.compat, ("", "uqlm"))
        if self.compat and self.reference == "samples":
            raise InputError("uqlm compares the greedy answer with the samples; compat='uqlm' wants reference='greedy'")

    @property
    def needs(self) -> Needs:
        """Texts and their similarities."""
        text = frozenset({"text"})
        if self.reference == "samples":
            return Needs(samples=2, sample_columns=text, similarity=frozenset({"samples"}))
        return Needs(greedy=text, samples=2, sample_columns=text, similarity=frozenset({"greedy_samples"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField`` (no texts, no similarities)."""
        generations(trace, "sample").require("text")
        if self.reference == "greedy":
            distance = mean_distances(trace)
            return round_scores(distance / 2.0 if self.compat else distance)
        values = similarities(trace, "samples")
        require_two(np.array([0 if v is None else 2 for v in values]))
        return round_scores(np.array([np.nan if v is None else 1.0 - v.mean() for v in values], dtype=np.float64))
