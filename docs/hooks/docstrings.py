"""Docstrings as Markdown: formulas become MathML (drawn by the browser, nothing is fetched), doctests become code blocks."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe
from latex2mathml.converter import convert

INLINE = re.compile(r":math:`([^`]+)`")
DISPLAY = re.compile(r"^( *)\.\. math::[ ]*(.*)\n((?:(?:\1[ ]+.*)?\n)*)", re.MULTILINE)
DOCTEST = re.compile(r"(?:^|(?<=\n\n))((?:[ ]*>>> .*\n?)(?:[ ]*\S.*\n?)*)")


def to_markdown(text: str) -> str:
    """One docstring, from reStructuredText formulas and doctests to what Markdown can show."""
    text = DOCTEST.sub(lambda m: f"```pycon\n{textwrap.dedent(m[1]).rstrip()}\n```\n", text + "\n")
    text = DISPLAY.sub(lambda m: f"\n<div>{convert(_joined(m[2], m[3]), display='block')}</div>\n\n", text)
    return INLINE.sub(lambda m: convert(_joined(m[1])), text).rstrip()


def _joined(*parts: str) -> str:
    return " ".join(" ".join(parts).split())


class Docstrings(griffe.Extension):
    """Rewrites every docstring as it is read from the source."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
