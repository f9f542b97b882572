"""The contract of an estimator: a frozen record of settings, its needs, and one pure function from a trace to scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.traces.trace import Trace

if TYPE_CHECKING:
    from trueline.estimators.equivalence.cache import PairCache


@runtime_checkable
class Estimator(Protocol):
    """Uncertainty of each item's answer. Implementations are frozen dataclasses whose fields are the method's settings."""

    @property
    def needs(self) -> Needs: ...

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 in the order of ``trace.item_ids``, higher = less certain; NaN only where an item lacks a need.

        Raises ``MissingTraceField`` when the trace lacks a needed column altogether and ``LawError`` when it was sampled otherwise.
        """
        ...


@runtime_checkable
class AsksPairs(Protocol):
    """An estimator that may have pairs of its own judged (``asks_pairs``), and keeps the verdicts in the run's cache."""

    @property
    def asks_pairs(self) -> bool: ...

    def with_cache(self, cache: PairCache | None) -> Self:
        """The same estimator on this cache."""
        ...
