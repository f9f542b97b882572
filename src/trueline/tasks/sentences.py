"""Cut a text into sentences."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"')\]])\s+")


def sentences(text: str) -> list[str]:
    """A text cut after ``.``, ``!`` or ``?`` and white space; parts without a letter or digit are left out.

    >>> sentences("It is 3.5 km. Is it? Yes")
    ['It is 3.5 km.', 'Is it?', 'Yes']
    """
    return [part.strip() for part in _END.split(text) if re.search(r"[^\W_]", part)]
