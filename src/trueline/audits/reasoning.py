"""Reasoning inside an answer: where it ends, how long it is, and which way it went."""

from __future__ import annotations

import re

from trueline.tasks.normalise import normalise

_NUMBER = r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?"
_EQUATION = re.compile(rf"({_NUMBER})\s{{0,3}}([-+*/\u00d7\u00f7\u2212])\s{{0,3}}({_NUMBER})\s{{0,3}}=\s{{0,3}}({_NUMBER})")


def split_reasoning(text: str) -> tuple[str | None, str]:
    """Return the reasoning between ``<think>`` and ``</think>`` (None where it is not marked) and the rest of the text.

    Reasoning that was cut off before its closing tag goes on to the end; an opening tag that the prompt held is implied.
    """
    head, *parts = text.split("<think>")
    if not parts:
        before, closed, after = head.partition("</think>")
        return (before, after) if closed else (None, text)
    thoughts, rest = [], [head]
    for part in parts:
        thought, _, answer = part.partition("</think>")
        thoughts.append(thought)
        rest.append(answer)
    return "\n".join(thoughts), " ".join(rest)


def equations(text: str) -> tuple[str, ...]:
    """Return the equations ``a op b = c`` of a text in order, in one spelling.

    >>> equations("First 3+4 = 7. Then 7 - 2 = 5, so 5.")
    ('3+4=7', '7-2=5')
    """
    return tuple(re.sub(r"\u2212", "-", f"{a}{op}{b}={c}") for a, op, b, c in _EQUATION.findall(text))


def path_of(text: str, kind: str) -> tuple[str, ...]:
    """Return what stands for the way in which an answer was reached.

    kind: ``"equations"``, their sequence; ``"text"``, the normal form of the marked reasoning, of the whole text where none is marked.
    """
    if kind == "equations":
        return equations(text)
    reasoning, answer = split_reasoning(text)
    return (normalise(answer if reasoning is None else reasoning),)
