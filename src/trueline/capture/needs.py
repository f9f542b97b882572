"""What an estimator needs from a capture; the union of several needs is one plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trueline.traces.schema import PERTURBATIONS

#: Probes: one extra prompt an item each, or several answers with one greedy token replaced.
PROBES = ("p_true", "verbalized_1s", "verbalized_2s", "verbalized_topk", "verbalized_linguistic", "selfcheck_prompt", *PERTURBATIONS)
#: Probes that are asked only for estimators that were named, never for "all": they cost much beside the answer.
BY_NAME = frozenset({"verbalized_topk", "verbalized_linguistic", "selfcheck_prompt", *PERTURBATIONS})


@dataclass(frozen=True)
class Needs:
    """Fields of a trace that must be there.

    Attributes
    ----------
    greedy: columns of the greedy row ("text", "token_logprobs", "token_entropy", ..., "topk_logprobs"); empty: no greedy decode.
    samples: least number of sampled answers an item; 0: none. sample_columns: columns of the sampled rows.
    model_law: the samples must follow the model's own law (temperature 1, no truncation).
    equivalence: verdicts wanted: "samples" (among them), "greedy_samples" (greedy against each), "sentences" (of the greedy answer against
    each sample), "alternatives" (the greedy answer with tokens swapped). similarity: similarities wanted: "samples", "greedy_samples",
    "sentences", "greedy_tokens" and "sample_tokens" (an answer without each of its tokens).
    lacking: what the settings of the estimator leave out that it cannot do without, as a reason; "": nothing.
    unfitted: it is trained and has no fit yet: named, it is captured for, but it cannot score.
    depths: relative depths in [0, 1] of the layers whose hidden states are wanted (columns ``hidden_*``).
    probes: from ``PROBES``; a perturbation brings the greedy columns that it reads along (``Plan.greedy_columns``).
    answer: any answer text will do (greedy, else the first sample).
    alternatives: tokens that replace one in a perturbation; 0: none is wanted.
    whole: kinds of rows ("greedy", "sample") whose answers must have come to their end: the score reads the probability of a whole answer,
    and of one that was cut at the limit of tokens only that of its beginning is known.
    """

    greedy: frozenset[str] = frozenset()
    samples: int = 0
    sample_columns: frozenset[str] = frozenset()
    model_law: bool = False
    equivalence: frozenset[str] = frozenset()
    probes: frozenset[str] = frozenset()
    answer: bool = False
    depths: frozenset[float] = frozenset()
    unfitted: bool = False
    similarity: frozenset[str] = frozenset()
    lacking: str = ""
    alternatives: int = 0
    whole: frozenset[str] = frozenset()

    @property
    def about_greedy(self) -> bool:
        """True where something is asked about the greedy answer, and samples alone will not do."""
        about = {"greedy_samples", "sentences", "alternatives", "greedy_tokens"}
        return bool(self.greedy or self.probes or about & (self.equivalence | self.similarity))

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.greedy | other.greedy,
            max(self.samples, other.samples),
            self.sample_columns | other.sample_columns,
            self.model_law or other.model_law,
            self.equivalence | other.equivalence,
            self.probes | other.probes,
            self.answer or other.answer,
            self.depths | other.depths,
            self.unfitted or other.unfitted,
            self.similarity | other.similarity,
            self.lacking or other.lacking,
            max(self.alternatives, other.alternatives),
            self.whole | other.whole,
        )


def union(needs: Iterable[Needs]) -> Needs:
    """The least capture that serves all of ``needs``."""
    total = Needs()
    for need in needs:
        total = total | need
    return total
