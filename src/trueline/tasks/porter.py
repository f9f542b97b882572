"""Porter's stemmer with the extensions that ROUGE implementations use, so that lexical scores agree with theirs.

Source: M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980); the departures (short "-ies" and "-ied" words, y after a
consonant only, "-fulli", "-logi", a few irregular words) are those of NLTK's default mode, against which the tests compare.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

_IRREGULAR = {
    "skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "innings": "inning", "inning": "inning",
    "outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning", "howe": "howe", "proceed": "proceed",
    "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip

_STEP2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"), ("alli", "al"),
    ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"),
    ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
)  # fmt: skip
_STEP3 = (("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""))
_STEP4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
)  # fmt: skip


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word.

    >>> stem("relational"), stem("skies")
    ('relat', 'sky')
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_plural, _past, _final_y, _step2, _step3, _step4, _final_e, _final_ll):
        word = step(word)
    return word


def _consonant(word: str, i: int) -> bool:
    if word[i] in "aeiou":
        return False
    return word[i] != "y" or i == 0 or not _consonant(word, i - 1)


def _measure(word: str) -> int:
    """How often a vowel is followed by a consonant."""
    kinds = [_consonant(word, i) for i in range(len(word))]
    return sum(1 for before, after in pairwise(kinds) if after and not before)


def _vowel(word: str) -> bool:
    return any(not _consonant(word, i) for i in range(len(word)))


def _short(word: str) -> bool:
    """Ends consonant, vowel, consonant other than w, x, y; or is vowel, consonant alone."""
    n = len(word)
    if n >= 3:
        shape = _consonant(word, n - 3) and not _consonant(word, n - 2) and _consonant(word, n - 1)
        return shape and word[-1] not in "wxy"
    return n == 2 and not _consonant(word, 0) and _consonant(word, 1)


def _plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        stem_ = word[: -len(suffix)]
        if word.endswith(suffix) and _vowel(stem_):
            return _repaired(stem_)
    return word


def _repaired(stem_: str) -> str:
    """What is left after "-ed" or "-ing" gets back its ending."""
    if stem_.endswith(("at", "bl", "iz")):
        return f"{stem_}e"
    if len(stem_) >= 2 and stem_[-1] == stem_[-2] and _consonant(stem_, len(stem_) - 1):
        return stem_ if stem_[-1] in "lsz" else stem_[:-1]
    return f"{stem_}e" if _measure(stem_) == 1 and _short(stem_) else stem_


def _final_y(word: str) -> str:
    return f"{word[:-1]}i" if word.endswith("y") and len(word) > 2 and _consonant(word, len(word) - 2) else word


def _replaced(word: str, rules: tuple[tuple[str, str], ...], holds: Callable[[str], bool]) -> str:
    """The first rule whose suffix fits decides, whether its condition holds or not."""
    for suffix, new in rules:
        if word.endswith(suffix):
            stem_ = word[: len(word) - len(suffix)]
            return stem_ + new if holds(stem_) else word
    return word


def _positive(stem_: str) -> bool:
    return _measure(stem_) > 0


def _step2(word: str) -> str:
    if word.endswith("alli") and _positive(word[:-4]):
        return _step2(word[:-2])
    if word.endswith("logi") and not any(word.endswith(suffix) for suffix, _ in _STEP2):
        return word[:-1] if _positive(word[:-3]) else word
    return _replaced(word, _STEP2, _positive)


def _step3(word: str) -> str:
    return _replaced(word, _STEP3, _positive)


def _step4(word: str) -> str:
    for suffix in _STEP4:
        if word.endswith(suffix):
            stem_ = word[: len(word) - len(suffix)]
            ends = suffix != "ion" or stem_.endswith(("s", "t"))
            return stem_ if ends and _measure(stem_) > 1 else word
    return word


def _final_e(word: str) -> str:
    if not word.endswith("e"):
        return word
    m = _measure(word[:-1])
    return word[:-1] if m > 1 or (m == 1 and not _short(word[:-1])) else word


def _final_ll(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
