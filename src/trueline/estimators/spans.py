"""Any estimator over the tokens of the reasoning alone, or of reasoning and answer together: ``name(span=reasoning)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.base import Estimator
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class InSpan:
    """``inner`` on the tokens of ``span``: ``answer`` (what every estimator reads anyway), ``reasoning`` without its tags, or ``all``.

    Hidden states and sums of attention are of the whole output whatever the span.
    """

    inner: Estimator
    span: str

    @property
    def needs(self) -> Needs:
        """Those of ``inner``."""
        return self.inner.needs

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN where an output has no such tokens. Raises what ``inner`` raises."""
        return self.inner.score(trace.within(self.span))
