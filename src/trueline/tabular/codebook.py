"""Codebooks: a JSON file that says how a table reads, what is asked about its rows and what the outcome is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.errors import InputError, nearest
from trueline.tabular.columns import ColumnText, Threshold
from trueline.tabular.questions import KINDS, Choices, Numeric, Question, Reasoned
from trueline.tabular.task import TabularRiskTask

_KEYS = ("name", "data", "target", "threshold", "columns", "question", "population", "preamble", "group", "split", "seed")
_COLUMN_KEYS = ("description", "values", "missing", "connector", "template")
_QUESTION_KEYS = ("kind", "text", "options", "labels", "max_new_tokens", "prefill_zero")


def load_codebook(path: str | Path, data: Any = None) -> TabularRiskTask:
    """Read a codebook and the table it is about.

    data: the table, or its file; default the codebook's `data`, a path beside it.

    Raises ``InputError`` that names file and key for anything that cannot be used.
    """
    path = Path(path)
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the codebook {path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the codebook {path} is not valid JSON ({error})") from error
    try:
        if data is None and isinstance(book, dict) and book.get("data"):
            data = path.parent / str(book["data"])
        return from_codebook(book, data, name=path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def from_codebook(book: Any, data: Any, name: str = "table") -> TabularRiskTask:
    """Make a task of a codebook that is read already: a mapping with `target`, `columns`, `question`, `population` and the like."""
    _known(book, _KEYS, "the codebook")
    for key in ("target", "columns", "question"):
        if key not in book:
            raise InputError(f"the codebook lacks {key!r}")
    if data is None:
        raise InputError("the codebook names no data; give the table, or its path under 'data'")
    if not isinstance(book["columns"], Mapping) or not book["columns"]:
        raise InputError("'columns' must map column names to what they are called")
    threshold = book.get("threshold")
    optional = {key: book[key] for key in ("preamble", "group", "seed") if key in book}
    if "split" in book:
        optional["split"] = tuple(book["split"])
    return TabularRiskTask(
        data,
        str(book["target"]),
        None if threshold is None else Threshold.parse(str(threshold)),
        [column_of(str(key), entry) for key, entry in book["columns"].items()],
        question_of(book["question"]),
        str(book.get("population", "a table")),
        name=str(book.get("name", name)),
        **optional,
    )


def column_of(name: str, entry: Any) -> ColumnText:
    """One column: a description, or a mapping with `description`, `values`, `missing`, `connector`, `template`."""
    if isinstance(entry, str):
        return ColumnText(name, entry)
    _known(entry, _COLUMN_KEYS, f"column {name!r}")
    if "description" not in entry:
        raise InputError(f"column {name!r} lacks a description")
    values = entry.get("values")
    if values is not None and not isinstance(values, Mapping):
        raise InputError(f"column {name!r}: values must map codes to texts, got {type(values).__name__}")
    texts = {key: str(entry[key]) for key in ("missing", "connector", "template") if key in entry}
    return ColumnText(name, str(entry["description"]), values, **texts)


def question_of(entry: Any) -> Question:
    """The question: `text`, and for choices `options` as a list of [text, value] or a mapping text -> value."""
    _known(entry, _QUESTION_KEYS, "the question")
    kind = str(entry.get("kind", "choices" if "options" in entry else "numeric"))
    if kind not in KINDS:
        raise InputError(f"question kind {kind!r} is unknown{nearest(kind, KINDS)}; expected {', '.join(KINDS)}")
    if "text" not in entry:
        raise InputError("the question lacks its text")
    text = str(entry["text"])
    if kind == "numeric":
        return Numeric(text, bool(entry.get("prefill_zero", True)))
    if kind == "reasoned":
        return Reasoned(text, int(entry.get("max_new_tokens", 512)))
    options = entry.get("options", ())
    try:
        pairs = tuple((str(option), float(value)) for option, value in (options.items() if isinstance(options, Mapping) else options))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"options must be a list of [text, value], such as [['Below', 0], ['Above', 1]]; got {str(options)[:80]}"
        ) from error
    return Choices(text, pairs, tuple(str(label) for label in entry.get("labels", ())))


def _known(entry: Any, keys: tuple[str, ...], what: str) -> None:
    if not isinstance(entry, Mapping):
        raise InputError(f"{what} must be a JSON object, got {type(entry).__name__}")
    for key in entry:
        if key not in keys:
            raise InputError(f"{what} has an unknown key {key!r}{nearest(str(key), keys)}; known: {', '.join(keys)}")
