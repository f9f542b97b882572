"""Equivalences that name the class of an answer: same text, same normalised text, same meaning by the known world's oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trueline.tasks.normalise import normalise


@dataclass(frozen=True)
class Exact:
    """Answers are the same when their texts are, character by character."""

    @property
    def name(self) -> str:
        """``exact``."""
        return "exact"

    def key(self, item_id: str, text: str) -> str:
        """The text."""
        return text


@dataclass(frozen=True)
class Normalised:
    """Answers are the same when ``normalise`` makes their texts equal."""

    numbers: bool = True

    @property
    def name(self) -> str:
        """``normalised``, or ``normalised(numbers=false)``."""
        return "normalised" if self.numbers else "normalised(numbers=false)"

    def key(self, item_id: str, text: str) -> str:
        """The normalised text."""
        return normalise(text, numbers=self.numbers)


@dataclass(frozen=True)
class Oracle:
    """Answers are the same when the known world gives them one canonical form. ``canonical``: (item id, text) -> form."""

    canonical: Callable[[str, str], str]

    @property
    def name(self) -> str:
        """``oracle``."""
        return "oracle"

    def key(self, item_id: str, text: str) -> str:
        """The canonical form of an answer to this item."""
        return self.canonical(item_id, text)
