"""How much of a model's next-token law is the right answer: what an audit of prompts reads from top-k log-probs, without a grader.

Zhou, Jurafsky and Hashimoto 2023 (arXiv 2302.13439). Their code reads the first 9 of 10 positions; here all count.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray

_ROUNDING = 1e-6


@dataclass(frozen=True)
class GoldAnswer:
    """What one generation says about the right answer.

    Attributes
    ----------
    prob_gold : float
        Largest probability of the right answer at any position; NaN without a position.
    best_position : int
        Where that is, from 0 on, the first one of equals; -1 without a position.
    top1_correct, top3_correct : bool
        At some position the most likely token, or one of the three most likely, is the right answer.
    entropy_topk : float
        Entropy of the renormalised top-k law at the best position, nats: a lower bound of that of the whole law. NaN without a position.
    entropy_topk_without_top1 : float
        The same after the most likely token is taken out; NaN where nothing is left.
    top1_probability : float
        Of the most likely token at the best position.
    mass : float
        Probability that the top-k tokens cover there.
    distinct : int
        How many different members of a closed set of answers are among the top-k tokens there; -1 without a set.
    """

    prob_gold: float
    best_position: int
    top1_correct: bool
    top3_correct: bool
    entropy_topk: float
    entropy_topk_without_top1: float
    top1_probability: float
    mass: float
    distinct: int


NOTHING = GoldAnswer(math.nan, -1, False, False, math.nan, math.nan, math.nan, math.nan, -1)


def gold_answer(
    tokens: Sequence[Sequence[str]],
    logprobs: Sequence[ArrayLike],
    aliases: Collection[str],
    *,
    candidates: Collection[str] = (),
) -> GoldAnswer:
    """Read the probability of the right answer from the most likely tokens at each position of a generation.

    A token is the right answer when it equals an alias after white space at the ends and case are taken away; the probabilities of all
    such tokens of a position (``" Paris"``, ``"paris"``) are summed. Part of a character that several tokens make up never matches.

    Parameters
    ----------
    tokens : n_positions lists of k texts
    logprobs : n_positions lists of k natural logs, in the same order
    aliases : accepted answers
    candidates : the closed set of answers, if there is one

    Raises
    ------
    InputError
        Lists that do not belong together, no alias, a log-prob that is NaN or above 0.

    Examples
    --------
    >>> found = gold_answer([[" Rome", "rome", "x"]], [[-1.0, -2.0, -3.0]], ["Rome"])
    >>> round(found.prob_gold, 3), found.top1_correct
    (0.503, True)
    """
    wanted = {folded for alias in aliases if (folded := fold(alias))}
    if not wanted:
        raise InputError("no alias of the right answer was given; at least one is needed")
    if len(tokens) != len(logprobs):
        raise InputError(f"{len(tokens)} lists of tokens but {len(logprobs)} lists of log-probs; give one of each a position")
    laws = [_law(row, values, i) for i, (row, values) in enumerate(zip(tokens, logprobs, strict=True))]
    if not laws:
        return NOTHING
    hits = [np.array([fold(token) in wanted for token in row], dtype=bool) for row, _ in laws]
    sums = [float(np.exp(law[hit]).sum()) for hit, (_, law) in zip(hits, laws, strict=True)]
    best = int(np.argmax(sums))
    row, law = laws[best]
    closed = {fold(c) for c in candidates}
    return GoldAnswer(
        prob_gold=min(sums[best], 1.0),
        best_position=best,
        top1_correct=any(bool(hit[:1].any()) for hit in hits),
        top3_correct=any(bool(hit[:3].any()) for hit in hits),
        entropy_topk=topk_entropy(law),
        entropy_topk_without_top1=topk_entropy(law[1:]),
        top1_probability=float(np.exp(law[0])),
        mass=min(float(np.exp(law).sum()), 1.0),
        distinct=len(closed & {fold(token) for token in row}) if closed else -1,
    )


def fold(text: str) -> str:
    """Return the text without white space at its ends and without case; empty where it holds part of a broken character."""
    return "" if "\ufffd" in text else text.strip().lower()


def _law(row: Sequence[str], values: ArrayLike, position: int) -> tuple[list[str], FloatArray]:
    """Tokens and log-probs of one position, the most likely first."""
    law = np.asarray(values, dtype=np.float64)
    if law.shape != (len(row),) or not len(row):
        raise InputError(
            f"position {position} has {len(row)} tokens and log-probs of shape {law.shape}; expected one of each, at least one"
        )
    if np.isnan(law).any() or (law > _ROUNDING).any():
        raise InputError(f"position {position} has a log-prob that is NaN or above 0")
    order = np.argsort(-law, kind="stable")
    return [row[i] for i in order], law[order]


def topk_entropy(law: FloatArray) -> float:
    """Entropy of the most likely tokens' renormalised law, nats. law: (k,) log-probs, the largest first; NaN where there is none."""
    p = np.exp(law - law.max()) if len(law) and np.isfinite(law.max()) else np.zeros(0)
    if not len(p):
        return math.nan
    p = p[p > 0] / p.sum()
    return max(0.0, float(-(p * np.log(p)).sum()))
