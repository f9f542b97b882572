"""Verbalised confidence: the probability that the model states for its own answer (Tian et al., arXiv 2305.14975).

1S asks for answer and probability in one reply, 2S for the probability after the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.inputs import choice, generations
from trueline.traces.trace import Trace

#: The marked field starts after the first of these words with a colon; a reply without one is read whole.
MARKER = r"\b(?:probability|confidence)\s*:"

# a sign and a leading dot belong to the number; "0,85" and "1,000" are ambiguous, so nothing is read from them
_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\d,]*,\d)(\s*%)?")


def parse_confidence(reply: str | None, marker: str = MARKER) -> float:
    """The stated confidence in [0, 1], or NaN when the reply states none.

    The first number of the marked field counts; a percent sign right after it (blanks allowed) divides it by 100; a value outside
    [0, 1] is missing, never clipped.

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
    value = float(match[1]) / (100.0 if match[2] else 1.0)
    return value if 0.0 <= value <= 1.0 else float("nan")


@dataclass(frozen=True)
class Verbalized:
    """1 - the stated confidence; in [0, 1]. ``form``: ``1s`` (answer and probability in one reply) or ``2s`` (asked afterwards)."""

    form: Literal["1s", "2s"] = "1s"
    marker: str = MARKER

    def __post_init__(self) -> None:
        """Refuse an unknown form."""
        choice("form", self.form, ("1s", "2s"))

    @property
    def needs(self) -> Needs:
        """The probe; 2S asks about an answer, 1S gives its own."""
        return Needs(answer=self.form == "2s", probes=frozenset({f"verbalized_{self.form}"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN where no confidence could be read. Raises ``MissingTraceField`` without the probe."""
        rows = generations(trace, f"verbalized_{self.form}")
        score = np.full(trace.n_items, np.nan)
        score[rows.item] = [1.0 - parse_confidence(text, self.marker) for text in rows.texts]
        return score + 0.0
