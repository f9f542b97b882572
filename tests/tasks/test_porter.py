from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from trueline.tasks.porter import stem

ENDINGS = re.findall(
    r"\w+",
    """ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti biliti fulli
    logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent sion tion ou ism ate iti ous ive ize e ll
    ed ing eed ied ies s sses y ying logy ally""",
)
BEGINNINGS = ["", "a", "b", "st", "ho", "ay", "yb", "fal", "rel", "oppo", "dy", "abx", "controll", "tryst", "eyre", "bow"]


def test_examples() -> None:
    assert [stem(w) for w in ("caresses", "ponies", "ties", "agreed", "hopping", "happily", "generalizations", "skies", "is")] == [
        "caress",
        "poni",
        "tie",
        "agre",
        "hop",
        "happili",
        "gener",
        "sky",
        "is",
    ]


def test_same_as_nltk() -> None:
    from nltk.stem.porter import PorterStemmer

    nltk = PorterStemmer()
    words = {a + b + c for a, b, c in product(BEGINNINGS, ENDINGS, ["", *ENDINGS[::5]])}
    for page in Path(__file__).parents[2].rglob("*.md"):
        if ".venv" not in page.parts:
            words |= set(re.findall(r"[a-z0-9]+", page.read_text(encoding="utf-8").lower()))
    assert len(words) > 10_000
    assert [w for w in sorted(words) if stem(w) != nltk.stem(w)] == []
