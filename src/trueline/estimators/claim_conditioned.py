"""Claim-conditioned probability: is the token certain given the meaning, when its alternatives are sorted by entailment?

Source: Fadeeva et al., arXiv 2403.04696.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import OnEmpty, greedy_logprobs, pair_verdicts, round_scores
from trueline.estimators.pairs import other_alternatives
from trueline.traces.trace import Trace

Label = Literal["entail", "neutral", "contra"]
LABELS: tuple[Label, ...] = ("entail", "neutral", "contra")


@dataclass(frozen=True)
class Alternative:
    """One alternative of a token: its log-prob, and the verdicts on the text with it swapped in, from and to the original."""

    logprob: float
    forward: Label
    backward: Label


@dataclass(frozen=True)
class CCP:
    r"""Minus the product over tokens of P(entail) / P(entail or contradict) among the 10 likeliest alternatives; in [-1, 0].

    An alternative is judged by the whole answer with it swapped in, both ways. The end-of-sequence token has nothing to swap and is left
    out. A judge that names classes gives hard verdicts.
    """

    on_empty: OnEmpty = "raise"

    @property
    def needs(self) -> Needs:
        """The greedy tokens with alternatives and their texts, and the verdicts on the swaps."""
        columns = frozenset({"token_logprobs", "token_texts", "topk_logprobs", "topk_texts"})
        return Needs(greedy=columns, equivalence=frozenset({"alternatives"}), whole=frozenset({"greedy"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an answer without text. Raises ``MissingTraceField``, ``EmptySequenceError``, ``InputError``."""
        logprobs = greedy_logprobs(trace, self.on_empty)
        rows = trace.greedy
        columns = [rows.nested(name) for name in ("token_texts", "topk_logprobs")]
        rows.require("topk_texts")
        verdicts = pair_verdicts(trace, "alternatives")
        scores = np.full(trace.n_items, np.nan)
        for row, i in enumerate(rows.item.tolist()):
            pieces, alternatives = (column[row] for column in columns)
            labels = verdicts[i]
            if labels is None or not len(logprobs[i]):
                continue
            called = iter(labels.reshape(-1, 2, 3).argmax(axis=2).tolist())
            others = other_alternatives(rows, row)
            listed = []
            for t, piece in enumerate(pieces):
                if piece:
                    verdict = ((k, *next(called)) for k in others[t])
                    swaps = [Alternative(alternatives[t][k], LABELS[one], LABELS[two]) for k, one, two in verdict]
                    listed.append([Alternative(float(logprobs[i][t]), "entail", "entail"), *swaps])
            scores[i] = ccp(listed)
        return round_scores(scores)


def ccp(tokens: Sequence[Sequence[Alternative]]) -> float:
    r"""Minus the product over tokens of P(entail) / P(entail or contradict); in [-1, 0].

    tokens: the alternatives of each token, the chosen one first (it always entails). Verdicts of both directions are merged: equal ones
    stand, entail with contra is neutral, else the one that is not neutral. Raises ``InputError`` for no token or an unknown label.
    """
    if not tokens or any(len(alternatives) == 0 for alternatives in tokens):
        raise InputError("every token needs its alternatives, the chosen token first")
    log_score = 0.0
    for alternatives in tokens:
        labels = ["entail", *(_merged(a) for a in alternatives[1:])]
        logprobs = np.array([a.logprob for a in alternatives])
        entail = np.array([label == "entail" for label in labels])
        decided = np.array([label != "neutral" for label in labels])
        log_score += float(np.logaddexp.reduce(logprobs[entail]) - np.logaddexp.reduce(logprobs[decided]))
    return -float(np.exp(log_score))


def _merged(alternative: Alternative) -> str:
    one, two = alternative.forward, alternative.backward
    if one not in LABELS or two not in LABELS:
        raise InputError(f"verdicts {one!r}, {two!r} are not among {', '.join(LABELS)}")
    if one == two:
        return one
    return "neutral" if {one, two} == {"entail", "contra"} else (two if one == "neutral" else one)
