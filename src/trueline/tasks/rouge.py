"""ROUGE-L and ROUGE-1 between short texts, with Porter stemming (Lin 2004).

Values equal the ``rouge-score`` package with ``use_stemmer=True``; the longest common subsequence is bit-parallel (Hyyro 2004), so
long answers cost one big-integer operation a token instead of one table cell a pair of tokens.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from trueline.tasks.porter import stem

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def rouge_tokens(text: str) -> tuple[str, ...]:
    """Lower-cased runs of ASCII letters and digits; words longer than three characters are Porter-stemmed."""
    words = _NOT_A_WORD.sub(" ", text.lower()).split()
    stems = (stem(word) if len(word) > 3 else word for word in words)
    return tuple(word for word in stems if word)


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence of two token sequences."""
    if len(a) > len(b):
        a, b = b, a
    places: dict[str, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | (1 << i)
    full = (1 << len(a)) - 1
    row = full  # a zero bit at i: the prefix a[:i + 1] gains one common token over a[:i]
    for token in b:
        hits = row & places.get(token, 0)
        if hits:
            row = ((row + hits) | (row - hits)) & full
    return len(a) - row.bit_count()


def rouge_l_tokens(target: Sequence[str], prediction: Sequence[str]) -> float:
    """ROUGE-L F1 of two tokenised texts, in [0, 1]; 0 when either is empty."""
    return _f1(lcs_length(target, prediction), len(target), len(prediction))


def rouge_1_tokens(target: Sequence[str], prediction: Sequence[str]) -> float:
    """ROUGE-1 F1 (clipped unigram matches) of two tokenised texts, in [0, 1]; 0 when either is empty."""
    return _f1((Counter(target) & Counter(prediction)).total(), len(target), len(prediction))


def rouge_l(target: str, prediction: str) -> float:
    """ROUGE-L F1 of two texts, in [0, 1].

    >>> round(rouge_l("the cats sat down", "a cat sat down there"), 4)
    0.6667
    """
    return rouge_l_tokens(rouge_tokens(target), rouge_tokens(prediction))


def _f1(matches: int, n_target: int, n_prediction: int) -> float:
    if not matches:
        return 0.0
    precision, recall = matches / n_prediction, matches / n_target
    return 2 * precision * recall / (precision + recall)
