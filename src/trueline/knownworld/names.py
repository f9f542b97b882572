"""Invented names built from syllables, so that nothing real is asserted about anybody."""

from __future__ import annotations

import numpy as np

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"


def _syllables(rng: np.random.Generator, pattern: str) -> str:
    pools = {"C": _CONSONANTS, "V": _VOWELS}
    return "".join(pools[slot][int(rng.integers(len(pools[slot])))] for slot in pattern)


def _near(name: str) -> set[str]:
    """Patterns that two names share when one edit turns one into the other."""
    deletions = {name[:i] + name[i + 1 :] for i in range(len(name))}
    wildcards = {name[:i] + "*" + name[i + 1 :] for i in range(len(name))}
    return deletions | wildcards | {name}


def invent_names(
    rng: np.random.Generator, count: int, pattern: str, taken: set[str], *, forbidden: frozenset[str] = frozenset()
) -> list[str]:
    """Draw ``count`` capitalised names of one consonant/vowel pattern.

    Any two names ever drawn with the same ``taken`` set differ by at least two edits, so that a typo
    in one name never spells another.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    count : int
        How many names.
    pattern : str
        Letters ``C`` (consonant) and ``V`` (vowel).
    taken : set of str
        Neighbourhoods of the names drawn so far; extended in place.
    forbidden : frozenset of str
        Lower-case words that may not be names.

    Raises
    ------
    ValueError
        When the pattern cannot supply that many names.
    """
    names: list[str] = []
    for _ in range(200 * count + 1000):
        if len(names) == count:
            return names
        candidate = _syllables(rng, pattern)
        near = _near(candidate)
        if candidate in forbidden or not near.isdisjoint(taken):
            continue
        taken |= near
        names.append(candidate.capitalize())
    if len(names) == count:
        return names
    raise ValueError(f"pattern {pattern!r} gave {len(names)} distinct names, expected {count}; use a longer pattern")
