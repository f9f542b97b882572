"""Sentence BLEU as sacrebleu counts it by default: 13a tokens, exponential smoothing, effective order (Papineni 2002; Post 2018)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
#: mteval-v13a: symbols stand alone; full stops and commas too, unless digits stand on both sides; so does a dash after a digit.
_RULES = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
MAX_ORDER = 4


def tokens_13a(text: str) -> list[str]:
    """Tokens of a text under the rules of mteval-v13a.

    >>> tokens_13a("It's 3.14, (so).")
    ["It's", '3.14', ',', '(', 'so', ')', '.']
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES if "&" in text else ():
        text = text.replace(entity, character)
    text = f" {text} "
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.split()


def bleu_13a(hypothesis: str, reference: str) -> float:
    """Sentence BLEU in [0, 1]: geometric mean of the clipped n-gram precisions up to 4 (or as long as the hypothesis is), times brevity.

    An order without a match counts as half a match, the next one as a quarter, and so on; without any match at all BLEU is 0.
    """
    given, wanted = tokens_13a(hypothesis), tokens_13a(reference)
    matches = [(n_gram_matches(given, wanted, n), len(given) - n + 1) for n in range(1, MAX_ORDER + 1)]
    if not any(hits for hits, _ in matches):
        return 0.0
    logs, halvings = [], 0
    for hits, total in matches:
        if total <= 0:
            break
        if not hits:
            halvings += 1
        logs.append(math.log(hits / total) if hits else -math.log(2.0**halvings * total))
    return brevity(len(given), len(wanted)) * math.exp(math.fsum(logs) / len(logs))


def n_gram_matches(given: Sequence[str], wanted: Sequence[str], n: int) -> int:
    """n-grams of ``given`` that ``wanted`` has too, each at most as often as there."""
    one, two = (Counter(tuple(side[i : i + n]) for i in range(len(side) - n + 1)) for side in (given, wanted))
    return (one & two).total()


def brevity(n_given: int, n_wanted: int) -> float:
    """Brevity penalty, in (0, 1]."""
    return 1.0 if n_given >= n_wanted else math.exp(1.0 - n_wanted / n_given) if n_given else 0.0
