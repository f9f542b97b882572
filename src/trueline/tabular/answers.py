"""From the law of an answer's first tokens, or from its text, to a probability: the pure part of reading risk scores.

Cruz et al. 2024, arXiv 2407.14614. One letter has several tokens (``A``, `` A``, ``\u0120A``, ...), which continue different texts: the
variant with the most mass is used, never the sum over variants.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray

#: What may stand before an answer label in a token: nothing, a space, an underscore, and what tokenizers write for a space or a line break.
VARIANTS = ("", " ", "_", "\u2581", "\u0120", "\u010a")
#: Below this mass of all answers together, the model would rather say something else.
LEAST_MASS = 0.1

# bounded everywhere: the text is a model's and may be made to keep a pattern busy
_START = r"(?<![\d.])(?<!(?<!\d)-)"
_NUMBER = r"(\d{1,9}(?:\.\d{1,18})?|\.\d{1,18})(?!\d)"
_LABELLED = re.compile(
    rf"probability(?:[\s:=*]|is|of|about|around|roughly){{0,40}}{_START}{_NUMBER}[ \t]{{0,8}}(%|percent\b)?", re.IGNORECASE
)
_PERCENTAGE = re.compile(rf"{_START}{_NUMBER}\s{{0,8}}%")
_WORD = re.compile(rf"{_START}{_NUMBER}\s{{0,8}}percent\b", re.IGNORECASE)
_BARE = re.compile(rf"{_START}(\d{{0,9}}\.\d{{1,18}})(?!\.?\d)")


@dataclass(frozen=True)
class OptionLaw:
    """Probabilities of the answer options, normalised. ``mass``: what they held together before; 0: none was found, and p is uniform."""

    p: FloatArray
    mass: float
    variant: str | None


def option_law(probs: Mapping[str, float], labels: Sequence[str]) -> OptionLaw:
    """Return the law over options from the law of the next token.

    Parameters
    ----------
    probs : token -> probability
        The whole law or its most likely tokens; tokens outside count as 0.
    labels : sequence of str
        Answer labels such as ``A``, ``B``.

    Raises
    ------
    InputError
        A probability outside [0, 1].

    Examples
    --------
    >>> option_law({"A": 0.3, "B": 0.1, " A": 0.2, "x": 0.4}, ["A", "B"]).p.round(2).tolist()
    [0.75, 0.25]
    """
    return law_of_variants(np.array([[probs.get(v + label, 0.0) for label in labels] for v in VARIANTS], dtype=np.float64))


def law_of_variants(table: ArrayLike) -> OptionLaw:
    """Return the law over options from (n_variants, n_options) probabilities, the rows in the order of `VARIANTS`."""
    p = np.asarray(table, dtype=np.float64)
    if not ((p >= 0) & (p <= 1 + 1e-6)).all():
        raise InputError("probabilities of answer tokens must lie in [0, 1]; they are NaN, negative or above 1")
    mass = p.sum(axis=1)
    best = int(np.argmax(mass))
    if mass[best] <= 0:
        return OptionLaw(np.full(p.shape[1], 1 / p.shape[1]), 0.0, None)
    return OptionLaw(p[best] / mass[best], float(mass[best]), VARIANTS[best])


def choice_score(p: ArrayLike, values: Sequence[float]) -> float:
    """Return the risk score of one order of the options: with two, p of the one of higher value; else the expectation of the values."""
    law, v = np.asarray(p, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if law.shape != v.shape:
        raise InputError(f"{law.size} probabilities for {v.size} options")
    return float(law[int(np.argmax(v))]) if len(v) == 2 else float(law @ v)


def is_numeric_token(token: str) -> bool:
    """Whether a token can be part of a number in two passes: ASCII digits alone, or a point."""
    return token == "." or (token.isascii() and token.isdigit())


def best_numeric(probs: Mapping[str, float]) -> str | None:
    """Return the likeliest token that is all digits or a point; None when no such token has any probability."""
    numeric = {token: p for token, p in probs.items() if p > 0 and is_numeric_token(token)}
    return max(numeric, key=numeric.__getitem__) if numeric else None


def number_of_tokens(tokens: Sequence[str | None], prefix: str = "0.") -> float | None:
    """Return the number that the tokens make behind `prefix`: their digits behind "0."; None without a digit, or outside [0, 1].

    Without the prefilled zero (``prefix=""``) the tokens are read as they stand, so that 1.0 can be said.
    """
    text = "".join(token or "" for token in tokens)
    if prefix:
        digits = text.replace(".", "")
        return float(f"0.{digits}") if digits else None
    match = re.search(_NUMBER, text)
    return _in_unit(float(match[1])) if match else None


def parse_probability(text: str) -> float | None:
    """Return the probability that a reasoned answer states, or None.

    The last one after the word "probability", else the last percentage, else "X percent", else the last bare decimal. A number with a
    percent sign, or without one and above 1, is divided by 100. Outside [0, 1] nothing is found. (Published code divides by 100 only what
    is above 1, so that it reads "1%" as certainty.)

    Examples
    --------
    >>> parse_probability("I first said 20%, but now Probability: 65%.")
    0.65
    """
    labelled = list(_LABELLED.finditer(text))
    if labelled:
        return _scaled(labelled[-1][1], bool(labelled[-1][2]))
    for pattern in (_PERCENTAGE, _WORD):
        found = pattern.findall(text)
        if found:
            return _scaled(found[-1], True)
    decimals = _BARE.findall(text)
    return _in_unit(float(decimals[-1])) if decimals else None


def _scaled(number: str, is_percent: bool) -> float | None:
    value = float(number)
    return _in_unit(value / 100 if is_percent or value > 1 else value)


def _in_unit(value: float) -> float | None:
    return value if math.isfinite(value) and 0 <= value <= 1 else None
