"""Exact measures of a sequence law by enumeration, and beam search: oracles for small worlds.

Source: Aichberger, Schweighofer, Hochreiter, arXiv 2412.15176 (min-entropy, G-NLL and its beam-search refinement).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError

Tokens = tuple[int, ...]
NextToken = Callable[[Tokens], ArrayLike]

#: Log-probs closer than this tie; ties go to the lowest token ids.
TIE = 1e-12


@dataclass(frozen=True)
class SequenceMeasures:
    """Exact properties of a law over sequences; all in nats. Sequences hold the end token when they have one.

    entropy: Shannon. min_entropy: -log of the largest probability, that of ``mode``. greedy, g_nll: the greedy path and its NLL (never
    below ``min_entropy``). mean_normalised_nll: expectation of NLL / length. n_sequences: those with positive probability.
    """

    entropy: float
    min_entropy: float
    mode: Tokens
    greedy: Tokens
    g_nll: float
    mean_normalised_nll: float
    n_sequences: int


def exact_sequence_measures(next_token: NextToken, max_len: int, eos: int) -> SequenceMeasures:
    """Enumerate every sequence of a law; it ends with ``eos`` or at ``max_len`` tokens.

    next_token: prefix (tuple of token ids) -> (n_tokens,) float64 probabilities. Cost grows with n_tokens ** max_len.
    Raises ``InputError`` for max_len < 1 or a law that is not one.
    """
    if max_len < 1:
        raise InputError(f"max_len={max_len}: a sequence holds at least one token")
    ended: list[tuple[Tokens, float]] = []
    open_: list[tuple[Tokens, float]] = [((), 0.0)]
    while open_:
        prefix, logprob = open_.pop()
        for token, step in _steps(next_token, prefix):
            sequence, total = (*prefix, token), logprob + step
            finished = token == eos or len(sequence) == max_len
            (ended if finished else open_).append((sequence, total))
    logprobs = np.array([lp for _, lp in ended])
    probs, lengths = np.exp(logprobs), np.array([len(s) for s, _ in ended])
    mode, mode_logprob = min(ended, key=_order)
    g_nll, greedy = beam_nll(next_token, max_len, eos, width=1)
    entropy, normalised = -(probs * logprobs).sum() + 0.0, -(probs * logprobs / lengths).sum() + 0.0
    return SequenceMeasures(float(entropy), -mode_logprob + 0.0, mode, greedy, g_nll, float(normalised), len(ended))


def beam_nll(next_token: NextToken, max_len: int, eos: int, width: int) -> tuple[float, Tokens]:
    """NLL in nats of the best sequence that beam search finds, and the sequence; width 1 is greedy decoding.

    Finished sequences stay in the beam and compete by total log-prob without a length penalty; the search ends when all are finished.
    Raises ``InputError`` for a width or length below 1 or a law that is not one.
    """
    if width < 1 or max_len < 1:
        raise InputError(f"width={width} and max_len={max_len} must be at least 1")
    beam: list[tuple[Tokens, float]] = [((), 0.0)]
    while not all(_finished(sequence, max_len, eos) for sequence, _ in beam):
        grown: list[tuple[Tokens, float]] = []
        for sequence, logprob in beam:
            if _finished(sequence, max_len, eos):
                grown.append((sequence, logprob))
            else:
                grown += [((*sequence, token), logprob + step) for token, step in _steps(next_token, sequence)]
        beam = sorted(grown, key=_order)[:width]
    best, logprob = beam[0]
    return -logprob + 0.0, best


def _finished(sequence: Tokens, max_len: int, eos: int) -> bool:
    return len(sequence) == max_len or (len(sequence) > 0 and sequence[-1] == eos)


def _order(hypothesis: tuple[Tokens, float]) -> tuple[float, Tokens]:
    """Most probable first; within ``TIE`` the lowest token ids."""
    return -round(hypothesis[1] / TIE) * TIE, hypothesis[0]


def _steps(next_token: NextToken, prefix: Tokens) -> list[tuple[int, float]]:
    """Possible next tokens with their log-probs."""
    law: NDArray[np.float64] = np.asarray(next_token(prefix), dtype=np.float64)
    if law.ndim != 1 or not (law >= 0).all() or abs(law.sum() - 1.0) > 1e-6:
        raise InputError(f"the next-token law after {prefix} is not a vector of probabilities that sum to 1: {law}")
    return [(int(token), float(np.log(law[token]))) for token in np.flatnonzero(law > 0)]
