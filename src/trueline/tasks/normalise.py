"""One normal form of short answers, shared by the ``normalised`` grader and the ``normalised`` equivalence."""

from __future__ import annotations

import re
import string

# Private-use stand-ins carry a number's sign and decimal point past the step that turns punctuation into spaces.
_POINT, _MINUS = "\ue000", "\ue001"
_TO_SPACE = str.maketrans({c: " " for c in string.punctuation})
_BACK = str.maketrans({_POINT: ".", _MINUS: "-"})
_NO_STAND_INS = str.maketrans({_POINT: " ", _MINUS: " "})
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER = re.compile(
    r"(?:(?<!\S)(?<![0-9]\s)(?P<sign>[-\u2212]))?(?<![\w.])"
    r"(?:(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?P<fraction>[0-9]+))?|\.(?P<bare>[0-9]+))"
    r"(?!\w|[.,][0-9])"
)
_DIGIT = re.compile(r"[0-9]")


def normalise(text: str, *, numbers: bool = True) -> str:
    """Return the normal form under which two short answers count as the same.

    Lower case; ASCII punctuation becomes a space; the articles a, an, the are dropped (unless nothing else is left); white space is
    squeezed. With ``numbers``, numbers are written by value first: thousands commas, leading zeros and trailing decimal zeros go, a
    sign at the start of a word stays unless it makes a range ("1723 -1792"): "07" = "7", "1,000.0" = "1000", ".50" = "0.5".

    >>> normalise("The  Eiffel-Tower!"), normalise("It is 1,000."), normalise("A")
    ('eiffel tower', 'it is 1000', 'a')
    """
    text = text.lower()
    by_value = numbers and _DIGIT.search(text) is not None
    if by_value:
        text = _NUMBER.sub(_value, text.translate(_NO_STAND_INS))
    words = text.translate(_TO_SPACE).split()
    kept = [word for word in words if word not in _ARTICLES] or words
    if not by_value:
        return " ".join(kept)
    return " ".join(_plain(word) if word.isdigit() and word.isascii() else word for word in kept).translate(_BACK)


def contains_words(text: str, part: str) -> bool:
    """Whether the normal form ``part`` occurs in the normal form ``text`` as a run of whole words; an empty part never does."""
    return bool(part) and f" {part} " in f" {text} "


def _value(match: re.Match[str]) -> str:
    whole = _plain((match["whole"] or "0").replace(",", ""))
    fraction = (match["fraction"] or match["bare"] or "").rstrip("0")
    size = whole + (_POINT + fraction if fraction else "")
    return f" {_MINUS if match['sign'] and size != '0' else ''}{size} "


def _plain(digits: str) -> str:
    return digits.lstrip("0") or "0"
