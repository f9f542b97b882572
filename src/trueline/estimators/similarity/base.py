"""The contract of a similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Compared:
    """values: (n,) float64 in [0, 1]. truncated: (n,) bool, a text was longer than what could be read."""

    values: NDArray[np.float64]
    truncated: NDArray[np.bool_]


@runtime_checkable
class Similarity(Protocol):
    """Compares texts. A pair is compared once, in one order; equal texts have similarity 1 and are never compared.

    ``batch_size``: pairs a call. ``kept``: values are worth keeping on disk.
    """

    @property
    def name(self) -> str: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def kept(self) -> bool: ...

    def fingerprint(self) -> str:
        """Identifies everything that decides a value; kept values are reused only under the same one."""
        ...

    def compare(self, pairs: Sequence[tuple[str, str]]) -> Compared:
        """Similarities of pairs."""
        ...
