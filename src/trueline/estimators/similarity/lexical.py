"""Similarity of spelling, for when no encoder is at hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trueline.estimators.similarity.base import Compared


@dataclass(frozen=True)
class Char3:
    """Cosine of the counts of character 3-grams, lower-cased; a text of 1 or 2 characters is one gram (a choice).

    Two empty texts are alike, an empty and another one are not.
    """

    batch_size: int = 4096
    kept: bool = False  # computing one costs no more than looking it up

    @property
    def name(self) -> str:
        """``char3``."""
        return "char3"

    def fingerprint(self) -> str:
        """``char3``."""
        return "char3"

    def compare(self, pairs: Sequence[tuple[str, str]]) -> Compared:
        """Similarities of pairs."""
        return Compared(np.array([char3_cosine(a, b) for a, b in pairs], dtype=np.float64), np.zeros(len(pairs), dtype=bool))


def char3_cosine(one: str, two: str) -> float:
    """Similarity of two texts in [0, 1].

    >>> char3_cosine("Paris", "paris"), char3_cosine("", "a"), round(char3_cosine("Paris", "Parish"), 3)
    (1.0, 0.0, 0.866)
    """
    (a, norm_a), (b, norm_b) = _grams(one), _grams(two)
    if not a or not b:
        return float(not a and not b)
    if len(b) < len(a):
        a, b = b, a
    # rounding may pass 1
    return min(1.0, sum(count * b[gram] for gram, count in a.items()) / (norm_a * norm_b))


@lru_cache(maxsize=1 << 14)
def _grams(text: str) -> tuple[Counter[str], float]:
    lower = text.lower()
    counts = Counter([lower] if 0 < len(lower) < 3 else [lower[i : i + 3] for i in range(len(lower) - 2)])
    return counts, math.sqrt(sum(n * n for n in counts.values()))
