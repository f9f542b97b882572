"""Distances between two texts or programs, by name: what variation ratios compare outputs by.

Source: Huang et al., arXiv 2307.10236, which names the metrics; the exact definitions are given with each function. All lie in [0, 1],
but for the embedding cosine, which may reach 2. Two texts without content (no tokens, no 3-grams) are at distance 0, one without at 1.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from trueline.errors import InputError, nearest
from trueline.estimators.bleu import bleu_13a
from trueline.estimators.code_bleu import code_bleu
from trueline.tasks.python_source import parse_python, preorder

#: Distance of an output ``a`` to ``b``, the reference where the two sides differ.
Distance = Callable[[str, str], float]

_WORD = re.compile(r"[a-z0-9]+")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = frozenset({"a", "an", "the"})


def exact(a: str, b: str) -> float:
    """0 where the texts are equal but for white space at their ends, else 1."""
    return float(a.strip() != b.strip())


def edit(a: str, b: str) -> float:
    """Levenshtein distance on characters over the longer length."""
    return _normalised_edit(a, b)


def char3_cosine(a: str, b: str) -> float:
    """1 - cosine of the counts of character 3-grams, lower case. Trap: texts of one or two characters have none."""
    one, two = _grams(a.lower()), _grams(b.lower())
    if not one or not two:
        return float(bool(one) != bool(two))
    dot = sum(count * two[gram] for gram, count in one.items() if gram in two)
    norms = math.sqrt(sum(c * c for c in one.values())) * math.sqrt(sum(c * c for c in two.values()))
    return _clipped(1.0 - dot / norms) if one != two else 0.0


def rouge1(a: str, b: str) -> float:
    """1 - F1 of shared words (runs of a-z and digits in lower case, not stemmed)."""
    return _unshared(_WORD.findall(a.lower()), _WORD.findall(b.lower()))


def token_f1(a: str, b: str) -> float:
    """1 - F1 of shared words: lower case, ASCII punctuation deleted, split at white space, without a, an, the (SQuAD)."""
    one, two = ([w for w in text.lower().translate(_NO_PUNCTUATION).split() if w not in _ARTICLES] for text in (a, b))
    return _unshared(one, two)


def bleu(a: str, b: str) -> float:
    """1 - sentence BLEU of ``a`` against ``b``, as sacrebleu counts it by default; not symmetric."""
    return 0.0 if a == b else _emptiness(a, b) if not (a.strip() and b.strip()) else _clipped(1.0 - bleu_13a(a, b))


def codebleu(a: str, b: str) -> float:
    """1 - CodeBLEU of the program ``a`` against ``b`` (see ``code_bleu``), 0 for equal texts whether they parse or not; not symmetric."""
    return 0.0 if a == b else _emptiness(a, b) if not (a.strip() and b.strip()) else _clipped(1.0 - code_bleu(a, b))


def ast_edit(a: str, b: str) -> float:
    """Levenshtein distance on the kinds of syntax-tree nodes in pre-order, over the longer length.

    1 where one side alone parses as Python; ``edit`` where neither does.
    """
    one, two = parse_python(a), parse_python(b)
    if one is None or two is None:
        return edit(a, b) if one is None and two is None else 1.0
    return _normalised_edit(*([type(node).__name__ for node in preorder(tree)] for tree in (one, two)))


#: By name; ``embedding_cosine:DIRECTORY`` is made by ``load_distance``.
DISTANCES: dict[str, Distance] = {f.__name__: f for f in (exact, edit, char3_cosine, rouge1, token_f1, bleu, codebleu, ast_edit)}
#: Those for which the order of the two texts matters.
ASYMMETRIC = frozenset({"bleu", "codebleu"})


def load_distance(spec: str | Distance) -> Distance:
    """A distance by name (``DISTANCES``), ``embedding_cosine:DIRECTORY`` (an encoder's checkpoint on disk), or a function of your own.

    Raises ``InputError`` for an unknown name or an embedding without a directory.
    """
    if not isinstance(spec, str):
        return spec
    name, _, rest = spec.partition(":")
    if name == "embedding_cosine":
        from trueline.estimators.embedding_cosine import embedding_cosine

        return embedding_cosine(rest)
    if spec not in DISTANCES:
        known = [*DISTANCES, "embedding_cosine:DIRECTORY"]
        raise InputError(f"unknown distance {spec!r}{nearest(spec, known)}; known: {', '.join(known)}")
    return DISTANCES[spec]


def levenshtein(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Least number of insertions, deletions and substitutions; bit-parallel (Myers 1999, Hyyro 2003).

    >>> levenshtein("kitten", "sitting")
    3
    """
    if len(a) < len(b):
        a, b = b, a
    if not b:
        return len(a)
    places: dict[Hashable, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | (1 << i)
    mask, top = (1 << len(a)) - 1, 1 << (len(a) - 1)
    up, down, distance = mask, 0, len(a)  # where the column of the table rises and falls by one
    for token in b:
        equal = places.get(token, 0)
        diagonal = equal | down
        across = (((equal & up) + up) ^ up) | equal
        rises, falls = down | (mask & ~(across | up)), up & across
        distance += bool(rises & top) - bool(falls & top)
        rises, falls = ((rises << 1) | 1) & mask, (falls << 1) & mask
        up, down = falls | (mask & ~(diagonal | rises)), rises & diagonal
    return distance


def _normalised_edit(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    longer = max(len(a), len(b))
    return levenshtein(a, b) / longer if longer else 0.0


def _grams(text: str) -> Counter[str]:
    return Counter(text[i : i + 3] for i in range(len(text) - 2))


def _unshared(a: Sequence[str], b: Sequence[str]) -> float:
    if not a or not b:
        return float(bool(a) != bool(b))
    shared = (Counter(a) & Counter(b)).total()
    return 1.0 - 2 * shared / (len(a) + len(b))


def _emptiness(a: str, b: str) -> float:
    """The distance where one text or both are blank."""
    return float(bool(a.strip()) != bool(b.strip()))


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))
