"""Claim-conditioned probability: is the token certain given the meaning, when its alternatives are sorted by entailment?

Source: Fadeeva et al., arXiv 2403.04696.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueline.errors import InputError

Label = Literal["entail", "neutral", "contra"]
LABELS = ("entail", "neutral", "contra")


@dataclass(frozen=True)
class Alternative:
    """One alternative of a token: its log-prob, and the verdicts on the text with it swapped in, from and to the original."""

    logprob: float
    forward: Label
    backward: Label


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
