"""Lists of principles: two shipped ones, and those of users.

A list is a text file, one principle a line, with an optional short name before a colon (``fair: Judge nobody by ...``); empty lines and
lines that start with ``#`` are left out. The shipped lists are files of this form and can be copied and changed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from trueline.errors import InputError, nearest

#: Shipped lists: ``collective`` (21, after the Collective Constitutional AI process) and ``core`` (8).
LISTS = ("collective", "core")
_NAMED = re.compile(r"([A-Za-z0-9_-]{1,40}):\s+(.*)")
_SLUG_WORDS = 5


@dataclass(frozen=True)
class Principle:
    """A principle as it is put to a judge, word for word, and the short name it goes by in tables and plots."""

    name: str
    text: str


def load_principles(source: str | Path = "collective") -> tuple[Principle, ...]:
    """Read a list of principles: the name of a shipped list, or the path of a text file.

    Raises
    ------
    InputError
        No such list or file; a file that is not UTF-8; fewer than two principles; a name or a text that stands there twice.

    Examples
    --------
    >>> [p.name for p in load_principles("core")][:3]
    ['helpful', 'honest', 'calibrated']
    """
    if str(source) in LISTS:
        text = resources.files("trueline.audits").joinpath("principle_lists", f"{source}.txt").read_text(encoding="utf-8")
        return parse_principles(text, str(source))
    path = Path(source)
    if not path.is_file():
        raise InputError(f"{str(source)!r} is no shipped list ({', '.join(LISTS)}) and no file{nearest(str(source), LISTS)}")
    try:
        return parse_principles(path.read_text(encoding="utf-8-sig"), str(source))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def parse_principles(text: str, where: str = "the list") -> tuple[Principle, ...]:
    """Principles of a text of this module's form; ``where`` stands in errors. Errors as `load_principles`."""
    found: list[Principle] = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        named = _NAMED.fullmatch(line)
        found.append(Principle(named[1], named[2].strip()) if named else Principle(_slug(line), line))
    if len(found) < 2:
        raise InputError(f"{where} holds {len(found)} principles; conflicts need at least two, one a line")
    for what in ("name", "text"):
        value, count = Counter(getattr(p, what) for p in found).most_common(1)[0]
        if count > 1:
            raise InputError(
                f"{where}: the {what} {value!r} stands there {count} times; put a short name of its own and a colon before each principle"
            )
    return tuple(found)


def _slug(text: str) -> str:
    words = re.findall(r"[^\W_]+", text.lower())
    return "_".join(words[:_SLUG_WORDS])[:40] or "principle"
