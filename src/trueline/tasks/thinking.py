"""Where the reasoning of an output ends and its answer begins: thinking tags, an answer label, or a pattern of the user's own.

Splitting rule of RACE (arXiv 2506.04832): the reasoning stands between the opening and the last closing tag, the answer after it.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

from trueline.errors import InputError, nearest

OPEN, CLOSE = "<think>", "</think>"
#: Labels of the reasoning and of the answer in a prompted chain of thought.
THOUGHT, ANSWER = "Thought:", "Answer:"
#: Why an output with reasoning has no answer.
UNCLOSED = "no answer: its reasoning never ends"
#: Seconds that a pattern may take on one text.
_PATIENCE = 2.0


@dataclass(frozen=True)
class Split:
    """An output taken apart.

    reasoning, answer: stripped; both None when the reasoning never ends, reasoning alone None when there is none. start: position of the
    answer's first character in the text (its end when the answer is empty). inside: half-open positions of the reasoning.
    """

    reasoning: str | None
    answer: str | None
    start: int = 0
    inside: tuple[int, int] = (0, 0)


class Splitter(Protocol):
    """``marker``: a string that every output holds from which an answer is cut out ("": any may be); None: none is."""

    @property
    def marker(self) -> str | None: ...

    def split(self, text: str) -> Split:
        """Take one output apart."""
        ...


@dataclass(frozen=True)
class Tags:
    """Tags around the reasoning.

    The opening one may be missing, for chat templates may already have written it. required: an output without tags has no
    answer; otherwise it is all answer.
    """

    open: str = OPEN
    close: str = CLOSE
    required: bool = True

    @property
    def marker(self) -> str:
        """The closing tag."""
        return self.close

    def split(self, text: str) -> Split:
        """At the last closing tag."""
        before, tag, after = text.rpartition(self.close)
        if tag:
            lead, opened, _ = before.partition(self.open)
            return _split(text, len(lead) + len(opened) if opened else 0, len(before), len(text) - len(after))
        if self.required or text.lstrip().startswith(self.open):
            return Split(None, None, len(text))
        return Split(None, text.strip(), len(text) - len(text.lstrip()))


@dataclass(frozen=True)
class Label:
    """A chain of thought that was asked to label its answer: the reasoning stands before the last label."""

    label: str = ANSWER

    @property
    def marker(self) -> str:
        """The label."""
        return self.label

    def split(self, text: str) -> Split:
        """At the last label."""
        before, label, after = text.rpartition(self.label)
        if not label:
            return Split(None, None, len(text))
        lead, labelled, _ = before.partition(THOUGHT)
        return _split(text, len(lead) + len(labelled) if labelled and not lead.strip() else 0, len(before), len(text) - len(after))


@dataclass(frozen=True)
class Pattern:
    """A regular expression with the groups ``reasoning`` and ``answer``; it need not match the whole text."""

    pattern: str

    @property
    def marker(self) -> str:
        """Unknown."""
        return ""

    def __post_init__(self) -> None:
        """Refuse what is no pattern, or lacks a group."""
        self._compiled()

    def _compiled(self) -> Any:
        import regex  # its matcher, unlike that of `re`, can be told to stop

        try:
            compiled = regex.compile(self.pattern, regex.DOTALL)
        except regex.error as error:
            raise InputError(f"reasoning regex:{self.pattern}: not a valid pattern ({error})") from error
        if not {"reasoning", "answer"} <= set(compiled.groupindex):
            raise InputError(f"reasoning regex:{self.pattern}: it needs the groups (?P<reasoning>...) and (?P<answer>...)")
        return compiled

    def split(self, text: str) -> Split:
        """By the first match; an output on which the pattern takes longer than 2 seconds counts as one that does not match."""
        try:
            found = self._compiled().search(text, timeout=_PATIENCE)
        except TimeoutError:
            found = None
        if found is None or found["answer"] is None:
            return Split(None, None, len(text))
        first, last = found.span("reasoning") if found["reasoning"] is not None else (0, 0)
        return _split(text[: found.end("answer")], first, last, found.start("answer"))


@dataclass(frozen=True)
class Whole:
    """Outputs are all answer."""

    @property
    def marker(self) -> None:
        """None."""
        return None

    def split(self, text: str) -> Split:
        """The whole text is the answer."""
        return Split(None, text.strip(), 0)


def for_replies(splitter: Splitter) -> Splitter:
    """How replies to probes are taken apart: thinking tags where there are some; labels and patterns are for answers."""
    return dataclasses.replace(splitter, required=False) if isinstance(splitter, Tags) else Whole()


def load_splitter(spec: str) -> Splitter:
    """The splitter that a spec names.

    - ``auto``: thinking tags, where an output has them; - ``think``: the same, and an output without a closing tag has no answer;
    - ``tags:OPEN,CLOSE``: other tags; - ``cot`` or ``cot:LABEL``: the answer follows the last ``Answer:`` (or ``LABEL``);
    - ``regex:PATTERN`` with the groups ``reasoning`` and ``answer``; - ``none``: outputs are all answer.

    Raises ``InputError`` for another spec.

    >>> load_splitter("think").split("<think>2 + 2 = 4.</think> 4")
    Split(reasoning='2 + 2 = 4.', answer='4', start=26, inside=(7, 17))
    """
    name, colon, rest = spec.partition(":")
    if spec in ("auto", "think"):
        return Tags(required=spec == "think")
    if spec == "none":
        return Whole()
    if name == "cot" and bool(rest) == bool(colon):
        return Label(rest) if rest else Label()
    if name == "tags":
        opening, _, closing = rest.partition(",")
        if not opening or not closing:
            raise InputError(f"reasoning {spec!r}: tags: takes an opening and a closing tag, such as tags:<reason>,</reason>")
        return Tags(opening, closing)
    if name == "regex" and rest:
        return Pattern(rest)
    known = ("auto", "think", "tags:OPEN,CLOSE", "cot", "cot:LABEL", "regex:PATTERN", "none")
    raise InputError(f"unknown way to split off the reasoning: {spec!r}{nearest(name, known)}; known: {', '.join(known)}")


@dataclass(frozen=True)
class TokenSpans:
    """Half-open token positions: ``reasoning`` without its tags, and the first token of the answer, which reaches to the end."""

    reasoning: tuple[int, int]
    answer_start: int


def token_spans(pieces: Sequence[str], splitter: Splitter) -> TokenSpans | None:
    """Where reasoning and answer lie among the texts of an output's tokens; None when they do not show it."""
    found = splitter.split("".join(pieces))
    if found.answer is None or found.reasoning is None:
        return None
    ends = list(accumulate(len(piece) for piece in pieces))
    written = next((k + 1 for k in range(len(pieces) - 1, -1, -1) if pieces[k]), 0)  # tokens without text, as the last, come after it

    def first(position: int) -> int:
        return min(bisect_right(ends, position), written)

    start, end = found.inside
    inside = (first(start), first(end - 1) + 1) if end > start else (first(start), first(start))
    return TokenSpans(inside, first(found.start))


def _split(text: str, first: int, last: int, end: int) -> Split:
    """Reasoning within [first, last), and the answer after position ``end``."""
    reasoning, answer = text[first:last], text[end:]
    begin = first + len(reasoning) - len(reasoning.lstrip())
    inside = (begin, begin + len(reasoning.strip()))
    return Split(reasoning.strip(), answer.strip(), end + len(answer) - len(answer.lstrip()), inside)
