"""One answer that may carry a marker: its class, where the answer proper begins, its probability, and the entropy of its alternatives."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from trueline.metrics.gold_answers import topk_entropy
from trueline.tasks.marker_tags import Span, tag_markers
from trueline.tasks.markers import Marker

#: What leads from a marker over to the answer.
_LEAD = re.compile(
    r"(?:\s*,?\s*(?:but|though)\b)?(?:\s+(?:that|it|the answer)\b)*(?:\s+(?:is|was|be)\b|['\u2019]s\b)?[\s,:;\-\u2013\u2014]*", re.I
)
_KINDS = {-1: "weakener", 0: "none", 1: "strengthener"}


@dataclass(frozen=True)
class Emitted:
    """What one generation says.

    Attributes
    ----------
    kind : {"weakener", "strengthener", "none"}
    answer : str
        The text without the marker that it begins (or ends) with.
    probability : float
        exp of the summed log-probs of the answer's own tokens, given the prompt and the marker; NaN where they are not known.
    entropy : float
        Of the renormalised top-k law at the answer's first token, nats; NaN where it is not known.
    """

    kind: str
    answer: str
    probability: float
    entropy: float


def read_emitted(
    text: str,
    markers: Sequence[Marker],
    *,
    token_texts: Sequence[str] | None = None,
    token_logprobs: Sequence[float] | None = None,
    topk_logprobs: Sequence[Sequence[float]] | None = None,
) -> Emitted:
    """Read one generation.

    A text that begins with a marker of the list, word for word, is of its class; else the first form of a marker that weakens or
    strengthens decides (`trueline.tasks.marker_tags.tag_markers`). What follows is the answer; where nothing follows, what stands before.

    Parameters
    ----------
    text : str
    markers : sequence of Marker
        Those that are recognised.
    token_texts, token_logprobs, topk_logprobs : of the n tokens, where known
        Tokens after the text (an end of sequence) are left out of the probability.

    Examples
    --------
    >>> said = read_emitted("Maybe it is Oslo.", [Marker("Maybe it is", "weakener")], token_texts=["Maybe", " it", " is", " Oslo", ".", ""],
    ...                     token_logprobs=[-0.1, 0.0, 0.0, -0.5, -0.25, -0.3])
    >>> said.kind, said.answer, round(-math.log(said.probability), 3)
    ('weakener', 'Oslo.', 0.75)
    """
    kind, start, end = _parts(text, tuple(markers))
    first = last = None
    if token_texts is not None and token_logprobs is not None and len(token_texts) == len(token_logprobs):
        first, last = _tokens(text, token_texts, start, end)
    probability = entropy = math.nan
    if first is not None and token_logprobs is not None:
        probability = min(1.0, math.exp(math.fsum(token_logprobs[first:last])))
        if topk_logprobs is not None and len(topk_logprobs) > first:
            entropy = topk_entropy(np.sort(np.asarray(topk_logprobs[first], dtype=np.float64))[::-1])
    return Emitted(kind, text[start:end].strip(), probability, entropy)


def _parts(text: str, markers: tuple[Marker, ...]) -> tuple[str, int, int]:
    """Class of a text, and where its answer begins and ends."""
    begun = _phrases(markers).match(text)
    if begun is not None:
        marker = {m.marker.lower(): m for m in markers}[" ".join(begun[1].lower().split())]
        if marker.certainty != "none":
            return marker.certainty, *_rest(text, begun.end(), begun.start(1))
    decides: Span | None = next((span for span in tag_markers(text, markers) if span.certainty), None)
    if decides is None:
        return "none", begun.end() if begun is not None else 0, len(text)
    return _KINDS[decides.certainty], *_rest(text, decides.end, decides.start)


def _rest(text: str, after: int, before: int) -> tuple[int, int]:
    lead = _LEAD.match(text, after)
    start = lead.end() if lead is not None else after
    if re.search(r"[^\W_]", text[start:]):
        return start, len(text)
    clause = text.rfind(",", 0, before)  # "Oslo, I think": the marker's own clause is no part of the answer
    return 0, before if clause < 0 else clause


@cache
def _phrases(markers: tuple[Marker, ...]) -> Any:
    """Pattern of a text that begins with a phrase of the list; the longest one counts."""
    phrases = sorted((m.marker for m in markers if m.marker), key=len, reverse=True)
    words = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases) or "(?!)"
    return re.compile(rf"\s*({words})(?![^\W_])", re.I)


def _tokens(text: str, token_texts: Sequence[str], start: int, end: int) -> tuple[int | None, int | None]:
    """Positions [first, last) of the tokens of ``text[start:end]``; counted without blanks, which tokenizers move about."""
    skipped, wanted = (len("".join(part.split())) for part in (text[:start], text[start:end]))
    seen, first = 0, None
    for k, piece in enumerate(token_texts):
        size = len("".join(piece.split()))
        if first is None and size and seen + size > skipped:
            first = k
        seen += size
        if first is not None and seen >= skipped + wanted:
            return first, k + 1
    return None, None  # the tokens do not make up the text
