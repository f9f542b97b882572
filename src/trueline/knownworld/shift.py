"""Shifted questions: typos at a known rate and distracting sentences."""

from __future__ import annotations

import numpy as np

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typos(text: str, rate: float, rng: np.random.Generator) -> str:
    """Corrupt each letter independently with probability ``rate``.

    A corrupted letter is replaced by another, dropped, doubled or swapped with the character after it (the last one: dropped),
    equally likely. Characters
    that are no letters stay.

    Parameters
    ----------
    text : str
        The clean text.
    rate : float
        Probability in [0, 1].
    rng : numpy.random.Generator
        Source of randomness.
    """
    out: list[str] = []
    i = 0
    while i < len(text):
        c = text[i]
        if not c.isalpha() or rng.random() >= rate:
            out.append(c)
            i += 1
            continue
        kind = int(rng.integers(4))
        if kind == 0:
            others = _LETTERS.replace(c.lower(), "")
            new = others[int(rng.integers(len(others)))]
            out.append(new.upper() if c.isupper() else new)
        elif kind == 2:
            out += [c, c]
        elif kind == 3 and i + 1 < len(text):
            out += [text[i + 1], c]
            i += 1
        i += 1
    return "".join(out)
