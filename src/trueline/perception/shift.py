"""`Shift`: one kind of change of the inputs, at rising severity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueline.errors import InputError


@dataclass(frozen=True)
class Shift:
    """One kind of change of the inputs.

    name: in reports. apply: function (inputs, level, rng) -> inputs, as many as before, the ones given left as they are. levels: of
    severity 1, 2, ...; their meaning is that of `apply`.
    """

    name: str
    apply: Callable[[Any, float, np.random.Generator], Any]
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.levels or not np.isfinite(self.levels).all():
            raise InputError(f"shift {self.name!r} needs finite levels, one at least; got {self.levels}")
