"""Verbalised confidence: the probability that the model states for its own answer (Tian et al., arXiv 2305.14975).

1S asks for answer and probability in one reply, 2S for the probability after the answer, top-k for four guesses with a probability each
(the first counts), linguistic for an expression from a scale, whose numbers follow Tian et al.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import choice, generations
from trueline.traces.trace import Trace

#: The marked field starts after the first of these words with a colon; a reply without one is read whole.
MARKER = r"\b(?:probability|confidence)\s*:"

# a sign and a leading dot belong to the number; "0,85" and "1,000" are ambiguous, so nothing is read from them
_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\d,]*,\d)(\s*%)?")


#: The probability of the best of several guesses.
TOPK_MARKER = r"\bP1\s*:"

#: What an expression stands for.
SCALE = {
    "almost certain": 0.95,
    "highly likely": 0.9,
    "very good chance": 0.8,
    "likely": 0.7,
    "probably": 0.7,
    "better than even": 0.6,
    "about even": 0.5,
    "probably not": 0.25,
    "unlikely": 0.2,
    "little chance": 0.1,
    "highly unlikely": 0.05,
    "almost no chance": 0.02,
}
# longest first: "probably not" is no "probably"
_EXPRESSION = re.compile(r"\b(" + "|".join(sorted(SCALE, key=len, reverse=True)) + r")\b", re.IGNORECASE)


def parse_expression(reply: str | None, marker: str = MARKER) -> float:
    """The confidence that the first expression of ``SCALE`` in the marked line stands for, or NaN when there is none.

    A reply that repeats the scale, or names two expressions, states none.

    >>> parse_expression("Answer: Paris\\nConfidence: Highly likely."), parse_expression("Confidence: certain enough")
    (0.9, nan)
    """
    mark = re.search(marker, reply, re.IGNORECASE) if reply is not None else None
    if reply is None or mark is None:
        return float("nan")
    line = next(iter(reply[mark.end() :].strip().splitlines()), "")
    found = {SCALE[match[1].lower()] for match in _EXPRESSION.finditer(" ".join(line.split()))}
    return found.pop() if len(found) == 1 else float("nan")


def parse_confidence(reply: str | None, marker: str = MARKER, *, as_written: bool = False) -> float:
    """The stated confidence in [0, 1], or NaN when the reply states none.

    The first number of the marked field counts; a percent sign right after it (blanks allowed) divides it by 100; a value outside
    [0, 1] is missing, never clipped. ``as_written``: the bare number, whatever it is, as LM-Polygraph takes it.

    >>> parse_confidence("Answer: 1984. Probability: 95%"), parse_confidence("150%")
    (0.95, nan)
    """
    if reply is None:
        return float("nan")
    mark = re.search(marker, reply, re.IGNORECASE)
    number = re.search(r"[+-]?\.?\d", reply[mark.end() :] if mark else reply)
    if number is None:
        return float("nan")
    match = _NUMBER.match((reply[mark.end() :] if mark else reply)[number.start() :])
    if match is None:
        return float("nan")
    if as_written:
        return float(match[1])
    value = float(match[1]) / (100.0 if match[2] else 1.0)
    return value if 0.0 <= value <= 1.0 else float("nan")


@dataclass(frozen=True)
class Verbalized:
    """1 - the stated confidence; in [0, 1].

    form: ``1s`` (answer and probability in one reply), ``2s`` (asked afterwards), ``topk`` (four guesses; the first one's probability),
    ``linguistic`` (an expression from ``SCALE``).
    ``compat="lm_polygraph"`` (``1s``, ``2s``): 1 - the number as written, without a check of its range: "95%" gives -94.
    """

    form: Literal["1s", "2s", "topk", "linguistic"] = "1s"
    marker: str = ""  # pattern before the number; empty: the form's own
    compat: Literal["", "lm_polygraph"] = ""

    def __post_init__(self) -> None:
        """Refuse unknown options, and ``compat`` for a form that reads no bare number."""
        choice("form", self.form, ("1s", "2s", "topk", "linguistic"))
        choice("compat", self.compat, ("", "lm_polygraph"))
        if self.compat and self.form not in ("1s", "2s"):
            raise InputError(f"compat={self.compat!r} is for form='1s' and form='2s'; LM-Polygraph has no form={self.form!r} like this one")

    @property
    def needs(self) -> Needs:
        """The probe; 2S asks about an answer, 1S gives its own."""
        return Needs(answer=self.form == "2s", probes=frozenset({f"verbalized_{self.form}"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN where no confidence could be read. Raises ``MissingTraceField`` without the probe."""
        rows = generations(trace, f"verbalized_{self.form}")
        score = np.full(trace.n_items, np.nan)
        score[rows.item] = [1.0 - self.confidence(text) for text in rows.texts]
        return score + 0.0

    def confidence(self, reply: str | None) -> float:
        """What one reply states, in [0, 1], or NaN (with ``compat`` any number)."""
        if self.form == "linguistic":
            return parse_expression(reply, self.marker or MARKER)
        if self.form == "topk":
            mark = re.search(self.marker or TOPK_MARKER, reply, re.IGNORECASE) if reply is not None else None
            # without its mark a number may be a guess
            return float("nan") if reply is None or mark is None else parse_confidence(reply[mark.end() :].split("\n")[0])
        return parse_confidence(reply, self.marker or MARKER, as_written=bool(self.compat))
