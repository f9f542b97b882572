"""The three ways to ask for a risk: choose an option, give a number, or reason and then give a number.

Cruz et al. 2024, arXiv 2407.14614.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trueline.errors import InputError

#: Options whose permutations are all asked, at most: 24 orders.
MOST_ORDERED = 4


@dataclass(frozen=True)
class Choices:
    """A multiple-choice question, read from the law of the answer's first token.

    Attributes
    ----------
    text : str
        The question.
    options : sequence of (text, value)
        In the order shown. Values lie in [0, 1]. With two options the score is the probability of the one of higher value, with more it is
        the expectation of the values.
    labels : sequence of str
        What an option is called; default A, B, C, ...
    prefill : str
        The beginning of the answer.
    """

    text: str
    options: tuple[tuple[str, float], ...]
    labels: tuple[str, ...] = ()
    prefill: str = "Answer:"
    system: str = "Reply with the letter of one option and with nothing else."

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple((str(text), float(value)) for text, value in self.options))
        object.__setattr__(self, "labels", tuple(self.labels) or tuple(string.ascii_uppercase[: len(self.options)]))
        values = [value for _, value in self.options]
        if not 2 <= len(self.options) <= len(string.ascii_uppercase):
            raise InputError(f"a question of choices needs 2 to 26 options; got {len(self.options)}")
        if len(self.labels) != len(self.options) or len(set(self.labels)) < len(self.labels):
            raise InputError(f"{len(self.options)} options need as many different labels; got {self.labels}")
        if not all(0 <= v <= 1 for v in values) or len(set(values)) < 2:
            raise InputError(f"the options' values are {values}; expected numbers in [0, 1] that are not all equal")

    @property
    def values(self) -> tuple[float, ...]:
        """Values of the options in the order given."""
        return tuple(value for _, value in self.options)

    def orders(self, average: bool) -> list[tuple[int, ...]]:
        """The orders in which the options are shown: all of them, or the given one."""
        if not average:
            return [tuple(range(len(self.options)))]
        if len(self.options) > MOST_ORDERED:
            raise InputError(f"{len(self.options)} options have too many orders to average over; give order_average=False")
        return list(itertools.permutations(range(len(self.options))))

    def body(self, order: Sequence[int]) -> str:
        """Question and options, in some order."""
        lines = [f"{label}. {_sentence(self.options[i][0])}" for label, i in zip(self.labels, order, strict=True)]
        return "\n".join([f"Question: {self.text}", *lines])

    def answer(self, label: int, order: Sequence[int]) -> str:
        """What an example of this label answers: the option of highest or lowest value."""
        values = self.values
        wanted = values.index(max(values) if label else min(values))
        return f"{self.prefill} {self.labels[list(order).index(wanted)]}"

    @property
    def positive(self) -> str:
        """Text of the option of highest value."""
        return max(self.options, key=lambda option: option[1])[0]


@dataclass(frozen=True)
class Numeric:
    """A question for the probability itself, read as the likeliest digits of two tokens behind the prefilled "0.".

    With ``prefill_zero=False`` the answer starts empty, so that 1.0 can be said.
    """

    text: str
    prefill_zero: bool = True
    lead: str = "Answer (a probability between 0 and 1):"
    system: str = "Reply with a number between 0 and 1 and with nothing else."

    @property
    def prefill(self) -> str:
        """The beginning of the answer."""
        return f"{self.lead} 0." if self.prefill_zero else self.lead

    def body(self, order: Sequence[int] = ()) -> str:
        """The question."""
        return f"Question: {self.text}"

    def answer(self, label: int, order: Sequence[int] = ()) -> str:
        """What an example of this label answers."""
        return f"{self.lead} {label}.0"


@dataclass(frozen=True)
class Reasoned:
    """A question to be reasoned about freely, whose answer ends with "Probability: X%"."""

    text: str
    max_new_tokens: int = 512
    prefill: str = ""
    system: str = "Think step by step. End with one line of the form 'Probability: X%'."

    def body(self, order: Sequence[int] = ()) -> str:
        """The question and what its answer must end with."""
        return f"Question: {self.text}\nReason about it, then end with one line of the form 'Probability: X%'."

    def answer(self, label: int, order: Sequence[int] = ()) -> str:
        """What an example of this label answers."""
        return f"Probability: {100 * label}%"


Question: TypeAlias = Choices | Numeric | Reasoned
KINDS: dict[str, type[Choices] | type[Numeric] | type[Reasoned]] = {"choices": Choices, "numeric": Numeric, "reasoned": Reasoned}


def asked_as(question: Question, kind: str) -> Question:
    """The same question in another form; from choices, the probability of the option of highest value is asked for.

    Raises ``InputError`` for an unknown kind, or where choices would have to be made up.
    """
    if kind not in KINDS:
        raise InputError(f"question kind {kind!r} is unknown; expected {', '.join(KINDS)}")
    if isinstance(question, KINDS[kind]):
        return question
    if kind == "choices":
        raise InputError("a question without options cannot be asked as choices; give the options")
    text = question.text
    if isinstance(question, Choices):
        text = f'How probable is the answer "{question.positive.rstrip(".")}" to this question: {text}'
    return Numeric(text) if kind == "numeric" else Reasoned(text)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
