"""Find expressions of certainty and uncertainty in a text: rules over a list of markers, their inflections, and negation.

The rules know English; a marker of another language is found word for word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from trueline.tasks.markers import Marker, load_markers
from trueline.tasks.porter import stem

_CERTAINTY = {"weakener": -1, "none": 0, "strengthener": 1}
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?%?")
#: What stands between a marker and the claim, and before the marker proper.
_TAIL = re.compile(r"(?:,? ?(?:but|though)\b)?(?: the answer| that it| it)?(?: is| be)?$")
_HEAD = re.compile(r"^(?:(?:it|there|the|we|i|you|he|she|they|our|my|an?|several|some|everyone|somebody|as)\b,? ?)+(?:(?:is|am|are|a) )?")
_CUT = re.compile(r",?\s*\b(?:but|though)\b")
_CONTRACTIONS = {"n't": "not", "'m": "be", "'re": "be", "'s": "be", "'ve": "have", "'d": "would", "'ll": "will"}
_FORMS = {
    "be": "am is are was were been being",
    "have": "has had having",
    "know": "knew known",
    "think": "thought",
    "say": "said",
    "tell": "told",
    "hear": "heard",
    "see": "saw seen",
    "understand": "understood",
    "prove": "proven",
    "show": "shown",
    "bet": "betting",
    "do": "does did",
    "can": "could ca",
    "realise": "realize realized realizes realizing",
}
_BASE = {form: base for base, forms in _FORMS.items() for form in forms.split()}
_PRONOUNS = frozenset(
    ("i", "we", "you", "he", "she", "they", "it", "me", "us", "him", "her", "them", "everyone", "everybody", "somebody", "someone")
)
_NEGATIONS = frozenset({"not", "never", "no", "hardly", "without"})
_SKIPPED = frozenset({"be", "quite", "very", "really", "so", "also", "the", "a", "an", "all", "at", "any"})


@dataclass(frozen=True)
class Span:
    """A marker in a text: ``text[start:end]``, the marker of the list that it is a form of, and its certainty.

    certainty : -1 weakens, 0 neither, +1 strengthens; a strengthener after a negation ("not certain") weakens.
    """

    start: int
    end: int
    text: str
    marker: Marker
    certainty: int


def tag_markers(text: str, markers: Sequence[Marker] | None = None) -> list[Span]:
    """Return the markers of a text, in order and without overlap; of two that overlap the longer one counts.

    Recognised are the core of each marker ("think" of "I think it is") in other tenses, numbers and persons, with contractions. Single
    words that say nothing by themselves ("is", "read") are no core.

    Examples
    --------
    >>> [(s.text, s.certainty) for s in tag_markers("She thought it was Oslo, but she wasn't certain.")]
    [('thought', -1), ("n't certain", -1)]
    """
    table = _rules(tuple(load_markers() if markers is None else markers))
    words = _words(text)
    found: list[Span] = []
    i = 0
    while i < len(words):
        hit = next(((core, marker) for core, marker in table.get(words[i][0], ()) if _matches(core, words, i) is not None), None)
        if hit is None:
            i += 1
            continue
        end = _matches(hit[0], words, i) or i + 1
        found.append(_span(text, words, i, end, hit[1]))
        i = end
    return found


def strongest(spans: Sequence[Span]) -> str:
    """Return the class of a text from its markers: the first one that weakens or strengthens decides, else ``"none"``."""
    said = next((s.certainty for s in spans if s.certainty), 0)
    return {-1: "weakener", 0: "none", 1: "strengthener"}[said]


Word = tuple[str, int, int]


def _words(text: str) -> list[Word]:
    """Base forms with their places; a contraction is two words."""
    out: list[Word] = []
    for match in _WORD.finditer(text):
        word, start, end = match[0].lower().replace("\u2019", "'"), match.start(), match.end()
        for tail, full in _CONTRACTIONS.items():
            if word.endswith(tail) and len(word) > len(tail):
                cut = end - len(tail)
                out += [(_base(word[: -len(tail)]), start, cut), (full, cut, end)]
                break
        else:
            out.append((_base(word), start, end))
    return out


@cache
def _base(word: str) -> str:
    if word in _PRONOUNS or word in _NEGATIONS:
        return word
    base = _BASE.get(word, word)
    return base if base in _FORMS or base.endswith("ly") else stem(base)  # "likely" is not "like"


@cache
def _rules(markers: tuple[Marker, ...]) -> dict[str, list[tuple[tuple[str, ...], Marker]]]:
    """First word of a core -> cores that begin so, the longest first."""
    table: dict[str, list[tuple[tuple[str, ...], Marker]]] = {}
    known: set[tuple[str, ...]] = set()
    for marker in markers:
        for core in _cores(marker):
            if core not in known:
                known.add(core)
                table.setdefault(core[0], []).append((core, marker))
    return {first: sorted(entries, key=lambda e: -len(e[0])) for first, entries in table.items()}


#: What says nothing, alone or together; and what says nothing alone.
_SILENT = frozenset({"would", "say", "can", "it", "will", "do"})
_SILENT_ALONE = frozenset({"have", "see", "read", "tell", "claim", "word", "to"})


def _cores(marker: Marker) -> list[tuple[str, ...]]:
    """What of a marker carries its meaning: each part of the phrase less its subject and less what leads over to the claim."""
    if marker.is_control:
        return []
    cores = []
    for part in _CUT.split(" ".join(marker.marker.lower().split())):
        trimmed = _TAIL.sub("", part.strip())
        core = _HEAD.sub("", trimmed).strip() or trimmed
        bases = tuple(base for base, _, _ in _words(core) if base not in _SKIPPED)
        if not all(base in _SILENT or base in _PRONOUNS or (len(bases) == 1 and base in _SILENT_ALONE) for base in bases):
            cores.append(bases)
    return cores


def _matches(core: Sequence[str], words: Sequence[Word], i: int) -> int | None:
    """Where the core ends if it begins at word i; small words may stand in between."""
    for k, wanted in enumerate(core):
        while k and i < len(words) and words[i][0] in _SKIPPED and words[i][0] != wanted:
            i += 1
        if i >= len(words) or not _same(words[i][0], wanted):
            return None
        i += 1
    return i


def _same(found: str, wanted: str) -> bool:
    return found == wanted or (found in _PRONOUNS and wanted in _PRONOUNS)


def _span(text: str, words: Sequence[Word], i: int, end: int, marker: Marker) -> Span:
    certainty, start = _CERTAINTY[marker.certainty], words[i][1]
    before = i - 1
    while before >= 0 and words[before][0] in _SKIPPED:
        before -= 1
    if certainty > 0 and before >= 0 and words[before][0] in _NEGATIONS:
        certainty, start = -1, words[before][1]
    stop = words[end - 1][2]
    return Span(start, stop, text[start:stop], marker, certainty)
