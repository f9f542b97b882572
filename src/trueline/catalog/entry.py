"""One line of the catalog."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One line of the catalog.

    target: ``module:object``. settings: keyword arguments of this variant. cost: beyond the greedy decode, in D (decode), F (forward pass),
    N (judged pair), M samples. color: ``white`` (needs weights), ``logprobs`` (an API with log-probs), ``black`` (texts alone).
    proof: path of the page under docs/ that shows the method doing what it claims, or "" while there is none.
    """

    name: str
    kind: str
    target: str
    summary: str
    source: str
    cost: str = ""
    color: str = ""
    proof: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
