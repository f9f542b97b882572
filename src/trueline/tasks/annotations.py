"""What several annotators said about one item: labels, votes or rankings, in the forms in which files hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueline.errors import InputError
from trueline.tasks.tables import as_text

#: Columns that start with this hold the answers of one annotator each, who is named by the rest.
PREFIX = "annotator_"
_MOST_VOTES = 100_000


@dataclass(frozen=True)
class Reading:
    """The answer of one annotator: groups of tied labels in falling rank (mostly one label). ``annotator`` is "" where nobody is named."""

    groups: tuple[tuple[str, ...], ...]
    annotator: str = ""


def read_annotations(value: Any) -> tuple[Reading, ...]:
    """Return the answers in one cell.

    value: a list with one answer an annotator, ``["yes", "no", null]``, where an answer may be a ranking, ``[["A", ["B", "C"]], ["B"]]``
    (B and C tied); counts of votes, ``{"yes": 3, "no": 1}``; or answers by name, ``{"ann": "yes", "bob": ["A", "B"]}``. In text these are
    written as JSON, or as labels with ``|`` between them. Null and empty answers are of annotators who did not answer.

    Raises ``InputError`` for anything else, an empty group, or a label that one annotator names twice.
    """
    if isinstance(value, str):
        text = value.strip()
        if text[:1] not in ("[", "{"):
            value = [part.strip() for part in text.split("|")]
        else:
            try:
                value = json.loads(text)
            except ValueError as error:
                raise InputError(f"annotations are not valid JSON ({error})") from error
    if _absent(value):
        return ()
    if isinstance(value, Mapping):
        if value and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value.values()):
            return _votes(value)
        named = [(as_text(name), answer) for name, answer in value.items()]
    else:
        named = [("", answer) for answer in (value if isinstance(value, list | tuple) else [value])]
    return tuple(Reading(_groups(answer), name) for name, answer in named if not _absent(answer))


def annotations_of(row: Mapping[str, Any], column: str | None) -> tuple[Reading, ...]:
    """Return the answers of one record: those of a column, and those of the columns ``annotator_NAME``."""
    found = read_annotations(row.get(column)) if column is not None else ()
    own = {k: v for k, v in row.items() if k.startswith(PREFIX) and k != column and not _absent(v)}
    if not own:
        return found
    return found + tuple(Reading(_groups(answer), as_text(name.removeprefix(PREFIX))) for name, answer in own.items())


def majority(readings: tuple[Reading, ...]) -> tuple[str, ...]:
    """Return the labels with the most votes, a label of place j counting 1/j (inverse rank normalisation); several where they tie."""
    mass: dict[str, float] = {}
    for reading in readings:
        for place, group in enumerate(reading.groups, start=1):
            for label in group:
                mass[label] = mass.get(label, 0.0) + 1.0 / place
    top = max(mass.values(), default=0.0)
    return tuple(label for label, value in mass.items() if math.isclose(value, top, rel_tol=1e-12))


def to_json(readings: tuple[Reading, ...]) -> str:
    """Return the answers as JSON; `from_json` reads them."""
    return json.dumps([[r.annotator, [list(g) for g in r.groups]] for r in readings], ensure_ascii=False)


def from_json(text: str | None) -> tuple[Reading, ...]:
    """Return what `to_json` wrote."""
    return tuple(Reading(tuple(tuple(g) for g in groups), name) for name, groups in json.loads(text or "[]"))


def _votes(counts: Mapping[Any, Any]) -> tuple[Reading, ...]:
    bad = next((k for k, v in counts.items() if v != v or v < 0 or v != int(v)), None)
    if bad is not None or sum(counts.values()) > _MOST_VOTES:
        raise InputError(f"votes must be whole numbers from 0, at most {_MOST_VOTES:,} an item; got {str(dict(counts))[:80]}")
    return tuple(Reading(((as_text(label).strip(),),)) for label, n in counts.items() for _ in range(int(n)))


def _groups(answer: Any) -> tuple[tuple[str, ...], ...]:
    if isinstance(answer, Mapping):
        raise InputError(f"an annotator's answer is a label or a list of labels, got {str(answer)[:80]!r}")
    ranked = list(answer) if isinstance(answer, list | tuple) else [answer]
    groups = tuple(tuple(_label(x) for x in (g if isinstance(g, list | tuple) else [g])) for g in ranked)
    labels = [label for group in groups for label in group]
    if not all(groups) or not all(labels):
        raise InputError(f"an annotator's answer has an empty group or label: {str(answer)[:80]!r}")
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"an annotator names {twice[:40]!r} twice")
    return groups


def _label(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple) or _absent(value):
        raise InputError(f"a label is a text or a number, got {str(value)[:80]!r}")
    return as_text(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _absent(value: Any) -> bool:
    return value is None or value == "" or value == [] or (isinstance(value, float) and value != value)
