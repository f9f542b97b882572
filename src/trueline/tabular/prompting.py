"""From a row to a prompt: preamble, worked examples, the row in words, the question.

Cruz et al. 2024, arXiv 2407.14614; the wording is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from trueline.errors import InputError
from trueline.models.base import Message, Prompt
from trueline.tabular.columns import ColumnText
from trueline.tabular.questions import Question
from trueline.tabular.table import Row

Form = Literal["bullets", "lines", "sentence"]
FeatureOrder = Literal["given", "reversed", "shuffled"]

PREAMBLE = (
    "The information below describes one respondent of a survey: {population}. Answer the question from this information. "
    "An approximate answer is enough."
)


@dataclass(frozen=True)
class PromptStyle:
    """How rows are put into words; every field is one variation.

    Attributes
    ----------
    form : {"bullets", "lines", "sentence"}
        "- The age is: 30." a line, "age = 30" a line, or one sentence.
    order : {"given", "reversed", "shuffled"}
        Of the features; shuffled once, by `seed`, for all rows.
    connector : str, optional
        Between description and value, such as ``=`` or ``:``; default that of the column (bullets), ``=`` (lines), ``is`` (sentence).
    decode : bool
        Values in words; False: raw codes.
    preamble : bool
        Say what the data are.
    shots : int
        Worked examples, from the train split alone.
    balanced : bool
        As many examples of either label (the last one of an odd number is a positive).
    fresh : bool
        Other examples for every row; False: the same for all.
    system : bool
        Give chat models a system message that asks for the bare answer.
    seed : int
        Of the shuffle and of the examples.
    """

    form: Form = "bullets"
    order: FeatureOrder = "given"
    connector: str | None = None
    decode: bool = True
    preamble: bool = True
    shots: int = 0
    balanced: bool = True
    fresh: bool = False
    system: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, kind in (("form", self.form, Form), ("order", self.order, FeatureOrder)):
            if value not in get_args(kind):
                raise InputError(f"style {name} {value!r} is unknown; expected one of {', '.join(get_args(kind))}")
        if self.shots < 0:
            raise InputError(f"shots is {self.shots}; expected 0 or more worked examples")

    def ordered(self, columns: Sequence[ColumnText]) -> list[ColumnText]:
        """The columns in the order in which they are told."""
        if self.order == "reversed":
            return list(columns[::-1])
        if self.order == "shuffled":
            return [columns[int(i)] for i in np.random.default_rng(self.seed).permutation(len(columns))]
        return list(columns)


def row_text(row: Row, columns: Sequence[ColumnText], style: PromptStyle) -> str:
    """The information block of one row."""
    told = [(column, column.text(row[column.name], decode=style.decode)) for column in style.ordered(columns)]
    if style.form == "lines":
        link = style.connector or "="
        return "\n".join(f"{column.description}{_linked(link)} {text}" for column, text in told)
    if style.form == "sentence":
        link = style.connector or "is"
        parts = [f"the {column.description}{_linked(link)} {_bare(text)}" for column, text in told]
        joined = ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]
        return f"{joined[0].upper()}{joined[1:]}."
    return "\n".join(f"- The {c.description}{_linked(style.connector or c.connector)} {_bare(text)}." for c, text in told)


def _linked(connector: str) -> str:
    return connector if connector.startswith((":", ",")) else f" {connector}"


def _bare(text: str) -> str:
    return text[:-1] if text.endswith(".") else text


@dataclass(frozen=True)
class Asking:
    """One prompt before its form is known: all up to the answer, the beginning of the answer, and the system message."""

    body: str
    prefill: str
    system: str | None

    def text(self) -> str:
        """The prompt of a completion model."""
        return f"{self.body}\n{self.prefill}" if self.prefill else f"{self.body}\n"

    def prompt(self, *, chat: bool, prefilled: bool) -> Prompt:
        """The prompt of a model. The beginning of the answer is there once: in the text, or as the assistant's turn (`prefilled`)."""
        if not chat:
            return Prompt(text=self.text())
        system = () if self.system is None else (Message("system", self.system),)
        start = (Message("assistant", self.prefill),) if prefilled and self.prefill else ()
        return Prompt(text=self.text(), messages=(*system, Message("user", self.body), *start))


@dataclass(frozen=True)
class Example:
    """A labelled row of the train split."""

    row: Mapping[str, object]
    label: int


def ask_about(
    row: Row,
    columns: Sequence[ColumnText],
    question: Question,
    style: PromptStyle,
    preamble: str,
    order: Sequence[int],
    pool: Sequence[Example],
) -> Asking:
    """The prompt of one row, with its examples drawn from `pool`; the row itself is never its own example."""
    information = row_text(row, columns, style)
    blocks = [preamble] if style.preamble else []
    if style.shots:
        blocks += [
            f"{text}\n\n{question.body(order)}\n{question.answer(label, order)}"
            for text, label in _examples(information, columns, style, pool)
        ]
    blocks.append(f"{information}\n\n{question.body(order)}")
    return Asking("\n\n".join(blocks), question.prefill, question.system if style.system else None)


def _examples(information: str, columns: Sequence[ColumnText], style: PromptStyle, pool: Sequence[Example]) -> list[tuple[str, int]]:
    # by the row's own words: the examples then do not depend on which other rows are asked about
    digest = hashlib.blake2b(information.encode("utf-8", "surrogatepass"), digest_size=8).digest() if style.fresh else b""
    rng = np.random.default_rng([style.seed, int.from_bytes(digest, "little")])
    wanted: list[int | None] = [1 - (k % 2) if style.balanced else None for k in range(style.shots)]
    chosen: list[tuple[str, int]] = []
    for i in rng.permutation(len(pool)):
        if not wanted:
            break
        example = pool[int(i)]
        match = example.label if style.balanced else None
        text = row_text(example.row, columns, style)
        if match in wanted and text != information:
            wanted.remove(match)
            chosen.append((text, example.label))
    if wanted:
        raise InputError(f"{style.shots} examples were asked for, and the train split has {len(chosen)} that can be used")
    return [chosen[int(i)] for i in rng.permutation(len(chosen))]
