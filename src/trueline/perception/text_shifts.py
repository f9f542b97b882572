"""Shifts of texts at five severities, for `perturbation_report`: typing errors, lost words, synonyms. Levels are shares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from trueline.errors import InputError
from trueline.perception.shift import Shift
from trueline.tasks.wordings import mistyped

_LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3)
_OF_WORDS = (0.05, 0.1, 0.2, 0.3, 0.5)
_WORD = re.compile(r"\w+(?:'\w+)?")


def typos(texts: Sequence[str], level: float, rng: np.random.Generator) -> list[str]:
    """Swap, drop or strike beside that share of the letters, one at least, outside names (words with a capital inside a sentence)."""
    return [mistyped(text, level, rng) for text in texts]


def word_drop(texts: Sequence[str], level: float, rng: np.random.Generator) -> list[str]:
    """Leave out each word with that probability; of a text that would lose all, one word stays."""

    def thinned(text: str) -> str:
        words = text.split()
        if not words:
            return text
        kept = rng.random(len(words)) >= level
        if not kept.any():
            kept[rng.integers(len(words))] = True
        return " ".join(word for word, keep in zip(words, kept, strict=True) if keep)

    return [thinned(text) for text in texts]


def synonyms(lexicon: Mapping[str, Sequence[str]], levels: tuple[float, ...] = _OF_WORDS) -> Shift:
    """Return the shift that puts a synonym in the place of each word of a lexicon with a probability of the level.

    lexicon: lower-case word -> its synonyms; a capital at the beginning of a word is kept. Which words mean the same is for you to say:
    none are shipped.

    Raises
    ------
    InputError
        For an empty lexicon, a key that is not in lower case, or a word without synonyms.
    """
    bad = [word for word, others in lexicon.items() if word != word.lower() or isinstance(others, str) or not others]
    if bad or not lexicon:
        raise InputError(f"a lexicon maps lower-case words to lists of synonyms; bad entries: {bad[:3] or 'it is empty'}")

    def replaced(texts: Sequence[str], level: float, rng: np.random.Generator) -> list[str]:
        def other(match: re.Match[str]) -> str:
            word = match[0]
            if word.lower() not in lexicon or rng.random() >= level:
                return word
            found = lexicon[word.lower()]
            new = found[int(rng.integers(len(found)))]
            return new[:1].upper() + new[1:] if word[0].isupper() else new

        return [_WORD.sub(other, text) for text in texts]

    return Shift("synonyms", replaced, levels)


#: Those that need nothing but the text, at five severities each; `synonyms` makes another.
TEXT_SHIFTS: tuple[Shift, ...] = (Shift("typos", typos, _LEVELS), Shift("word_drop", word_drop, _OF_WORDS))
