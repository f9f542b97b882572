"""SelfCheckGPT: is a sentence of the answer supported by other samples? (Manakul, Liusie, Gales, arXiv 2303.08896)"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError


def selfcheck_nli(verdicts: ArrayLike) -> NDArray[np.float64]:
    """Mean over samples of P(contradict) / (P(contradict) + P(entail)): (n_sentences,) float64 in [0, 1].

    verdicts: (n_sentences, M, 3) float64, premise the sentence, hypothesis the sample. The passage's score is the mean over sentences.
    Raises ``InputError`` for shapes, no sample or NaN.
    """
    probs = np.asarray(verdicts, dtype=np.float64)
    if probs.ndim != 3 or probs.shape[2] != 3 or not probs.shape[1] or np.isnan(probs).any():
        raise InputError(f"verdicts of shape {probs.shape}; expected (n_sentences, M, 3) with M >= 1 and no NaN")
    entail, contradict = probs[..., 0], probs[..., 2]
    total = entail + contradict
    # a wholly neutral verdict says as much for as against
    return np.asarray(np.where(total > 0, contradict / np.where(total > 0, total, 1.0), 0.5).mean(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class NgramScores:
    """Per sentence, in nats: (n_sentences,) float64 ``average`` and ``maximum`` of -log p over its words; ``passage_*`` for the whole."""

    average: NDArray[np.float64]
    maximum: NDArray[np.float64]

    @property
    def passage_average(self) -> float:
        """Mean of the sentences' averages."""
        return float(self.average.mean())

    @property
    def passage_maximum(self) -> float:
        """Mean of the sentences' maxima."""
        return float(self.maximum.mean())


def selfcheck_ngram(passage: str, samples: Sequence[str], sentences: Sequence[str], n: int = 1) -> NgramScores:
    """Surprise of each sentence's words under an n-gram model of passage and samples, without smoothing.

    n = 1: relative counts of words; n > 1: count(n-gram) / count(its first n - 1 words), n - 1 start marks before each text. Words are
    split at white space and lower-cased. A word the texts lack makes the score infinite.
    Raises ``InputError`` for an empty sentence or n < 1.
    """
    if n < 1 or not sentences or any(not sentence.split() for sentence in sentences):
        raise InputError(f"n={n} must be at least 1 and every sentence must have a word")
    grams: Counter[tuple[str, ...]] = Counter()
    for text in (passage, *samples):
        grams.update(_grams(text, n))
    contexts: Counter[tuple[str, ...]] = Counter()
    for gram, count in grams.items():
        contexts[gram[:-1]] += count
    surprise = [[_surprise(grams[gram], contexts[gram[:-1]]) for gram in _grams(sentence, n)] for sentence in sentences]
    return NgramScores(np.array([np.mean(s) for s in surprise]), np.array([np.max(s) for s in surprise]))


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = [""] * (n - 1) + text.lower().split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _surprise(count: int, of: int) -> float:
    return float(-np.log(count / of)) + 0.0 if count else float("inf")


def selfcheck_prompt(replies: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Replies to "does the sample support the sentence?": yes 0, no 1, else 0.5; mean over samples: (n_sentences,) float64 in [0, 1]."""
    if not replies or any(len(row) == 0 for row in replies):
        raise InputError("every sentence needs at least one reply")
    return np.array([np.mean([_support(reply) for reply in row]) for row in replies])


def _support(reply: str) -> float:
    word = re.match(r"\W*(yes|no)\b", reply.lower())
    return 0.5 if word is None else float(word[1] == "no")
