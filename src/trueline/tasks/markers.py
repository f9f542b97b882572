"""Epistemic markers: phrases of certainty, uncertainty and source, with the labels that linguists give them.

After the typology of Zhou, Jurafsky and Hashimoto 2023 (arXiv 2302.13439). The shipped list of 54 was written for this project; lists of
users are CSV files with the same columns, in any language.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from trueline.errors import InputError

#: What a marker says about the speaker's commitment.
CERTAINTIES = ("weakener", "strengthener", "none")
#: Labels that are there or not; they overlap.
FLAGS = ("plausibility_shield", "evidential", "factive", "sourced", "first_person")
COLUMNS = ("marker", "certainty", *FLAGS)
_TRUE_FALSE = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False, "": False}


@dataclass(frozen=True)
class Marker:
    """A phrase that may stand before an answer.

    Attributes
    ----------
    marker : str
        The phrase; empty for no phrase at all (a control).
    certainty : {"weakener", "strengthener", "none"}
        ``"none"`` is a neutral phrase: a control too, unless another label is set.
    plausibility_shield : bool
        Weakens the speaker's commitment ("I think"), not the extent of the claim.
    evidential : bool
        Says where the claim comes from: hearsay, own memory, quotation.
    factive : bool
        Presupposes that the claim is true ("know", "prove").
    sourced : bool
        Names an authority.
    first_person : bool
        Has a pronoun of the first person.
    """

    marker: str
    certainty: str = "none"
    plausibility_shield: bool = False
    evidential: bool = False
    factive: bool = False
    sourced: bool = False
    first_person: bool = False

    def __post_init__(self) -> None:
        """Refuse an unknown certainty."""
        if self.certainty not in CERTAINTIES:
            raise InputError(f"certainty of the marker {self.marker!r} is {self.certainty!r}; expected one of {', '.join(CERTAINTIES)}")

    @property
    def is_control(self) -> bool:
        """A neutral phrase, or none: no label of certainty, source or factivity."""
        return self.certainty == "none" and not (self.evidential or self.factive or self.sourced)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels that it carries."""
        own = () if self.certainty == "none" else (self.certainty,)
        return (*own, *(flag for flag in FLAGS if getattr(self, flag)))


def load_markers(path: str | Path | None = None) -> list[Marker]:
    """Read a list of markers: the shipped one, or a CSV file.

    The file has the columns ``marker``, ``certainty`` (weakener, strengthener, none) and, each 0 or 1 and 0 where the column is missing,
    ``plausibility_shield``, ``evidential``, ``factive``, ``sourced``, ``first_person``.

    Raises
    ------
    InputError
        No such file, not UTF-8, a missing or unknown column, a label that is neither 0 nor 1, no marker, a marker that stands there twice;
        names the line.

    Examples
    --------
    >>> markers = load_markers()
    >>> len(markers), markers[8].marker, markers[8].labels
    (54, 'I think it is', ('weakener', 'plausibility_shield', 'first_person'))
    """
    if path is None:
        return list(_shipped())
    where = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot read the markers {where}: {error.strerror}") from error
    try:
        return _parse(text, where)
    except csv.Error as error:
        raise InputError(f"{where} is no CSV file: {error}") from error


@cache
def _shipped() -> tuple[Marker, ...]:
    text = resources.files("trueline.tasks").joinpath("markers.csv").read_text(encoding="utf-8")
    return tuple(_parse(text, "the shipped list"))


def _parse(text: str, where: str) -> list[Marker]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = [str(name).strip() for name in reader.fieldnames or ()]
    if missing := [name for name in ("marker", "certainty") if name not in names]:
        raise InputError(f"{where} has no column {missing[0]!r}; a list of markers has the columns {', '.join(COLUMNS)}")
    if unknown := [name for name in names if name not in COLUMNS]:
        raise InputError(f"{where} has the unknown column {unknown[0]!r}; a list of markers has the columns {', '.join(COLUMNS)}")
    reader.fieldnames = names
    found: dict[str, Marker] = {}
    for row in reader:
        at = f"{where}, line {reader.line_num}"
        if None in row or None in row.values():
            raise InputError(f"{at}: expected {len(names)} cells; a marker with a comma stands in quotes")
        phrase = " ".join(row["marker"].split())
        if phrase in found:
            raise InputError(f"{at}: the marker {phrase!r} stands there twice")
        flags = {}
        for flag in (name for name in FLAGS if name in names):
            if (value := row[flag].strip().lower()) not in _TRUE_FALSE:
                raise InputError(f"{at}: {flag} is {row[flag]!r}; expected 0 or 1")
            flags[flag] = _TRUE_FALSE[value]
        try:
            found[phrase] = Marker(phrase, row["certainty"].strip().lower(), **flags)
        except InputError as error:
            raise InputError(f"{at}: {error}") from error
    if not found:
        raise InputError(f"{where} holds no marker")
    return list(found.values())
