"""`Estimate`: a number about a model together with its interval, its count and what was left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from trueline.errors import InputError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A reported number; undefined is ``value = nan`` with a ``reason``, never a made-up default.

    Attributes
    ----------
    value, low, high : float
        Point value and the two ends of its interval; the ends are NaN where no interval was asked for or none exists.
    level : float
        Nominal coverage of the interval, such as 0.95.
    n, n_missing : int
        Rows used, and rows left out because a score or a truth was missing.
    method : str
        How the interval was made, in words: ``"wilson"``, ``"bca, 2000 cluster replicates"``, ``"none"``.
    n_effective : float
        Kish's effective count (sum w)^2 / sum w^2; ``n`` without weights, the number of clusters never enters here.
    se : float
        Standard deviation of the replicates, or the analytic standard error.
    reason : str or None
        Why the value is NaN, or what is doubtful about the interval.
    samples : (n_boot,) float64 or None
        The replicates, when they were asked to be kept; left out of ``row`` and of JSON.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    level: float = 0.95
    n: int = 0
    n_missing: int = 0
    method: str = "none"
    n_effective: float = math.nan
    se: float = math.nan
    reason: str | None = None
    samples: FloatArray | None = field(default=None, compare=False, repr=False)

    @classmethod
    def undefined(cls, reason: str, *, n: int = 0, n_missing: int = 0, level: float = 0.95, n_effective: float = math.nan) -> Estimate:
        """Return an estimate without a value, and say why."""
        return cls(math.nan, level=level, n=n, n_missing=n_missing, n_effective=n_effective, reason=reason)

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    def __str__(self) -> str:
        missing = f", {self.n_missing} missing" if self.n_missing else ""
        count = f"(n={self.n}{missing})"
        if not self.defined:
            return f"undefined: {self.reason or 'no reason given'} {count}"
        note = f" [{self.reason}]" if self.reason else ""
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.value:.4g} {count}{note}"
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}] {count}{note}"

    def row(self) -> dict[str, Any]:
        """Return the fields as one flat record, without the replicates."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "samples"}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-safe record: NaN is ``None``, infinities are the strings ``"inf"`` and ``"-inf"``."""
        return {name: _to_json(value) for name, value in self.row().items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Estimate:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            If a field is unknown or ``value`` is missing.
        """
        types = {f.name: str(f.type) for f in fields(cls) if f.name != "samples"}
        unknown = sorted(set(record) - set(types))
        if unknown or "value" not in record:
            raise InputError(f"not an estimate: unknown fields {unknown}, fields given {sorted(record)}; expected {sorted(types)}")
        return cls(**{name: _from_json(value, types[name]) for name, value in record.items()})


def _to_json(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return None
        return float(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    return int(value) if isinstance(value, np.integer) else value


def _from_json(value: Any, kind: str) -> Any:
    return (math.nan if value is None else float(value)) if kind == "float" else value
