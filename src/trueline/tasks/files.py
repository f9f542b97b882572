"""Tasks from question files (JSONL, CSV, Parquet) and from Hugging Face datasets."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trueline.errors import InputError, MissingExtra, nearest
from trueline.tasks.annotations import PREFIX, annotations_of, majority
from trueline.tasks.item import NOTHING, Item, Task
from trueline.tasks.item_table import ItemTable
from trueline.tasks.pictures import pictures_of
from trueline.tasks.tables import BadLines, as_text, as_texts, check_mapping, find_file, pick_column, read_rows

#: What a column may be called for each role, in order of preference.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "item_id", "question_id"),
    "question": ("question", "prompt", "input"),
    "messages": ("messages",),
    "references": ("references", "answers", "reference", "answer", "target"),
    "cluster": ("cluster",),
    "annotations": ("annotations",),
    "images": ("images", "image"),
}
#: Words of the command line's ``--map`` that mean the same role.
ROLE_OF = {name: role for role, names in ALIASES.items() for name in (role, *names)}

Row = tuple[int, Mapping[str, Any]]


def load_file(path: str | Path, *, mapping: Mapping[str, str] | None = None, skip_bad: bool = False, limit: int | None = None) -> Task:
    """Read a task from a file of questions.

    path: ends in ``.jsonl``, ``.csv`` or ``.parquet``. Columns understood: id; question, prompt, input or messages; answer, answers,
    reference, references or target; cluster; image or images (see ``tasks.pictures``); annotations, or a column ``annotator_NAME`` each
    (their most voted label is the reference where there is none); all others become metadata. mapping: role -> column for other names,
    such as ``{"question": "COL", "answer": "COL2"}``. skip_bad: leave out lines that cannot be used; the count is in ``Task.notes``.
    limit: only the first rows.

    Ids default to ``row-000001`` and so on, by position. Raises ``InputError`` naming file, line and column.
    """
    found = find_file(path)
    bad = BadLines(found, skip_bad)
    items = _items(_first(read_rows(found, bad), limit), _names(found, skip_bad, limit), role_mapping(mapping), bad)
    note = bad.note()
    if not items:
        raise InputError(f"{found} has no usable row{'' if not note else f': {note}'}; give at least one question")
    return Task(name=str(path), items=items, notes=(note,) if note else ())


def load_hf_dataset(name: str, *, mapping: Mapping[str, str] | None = None, skip_bad: bool = False, limit: int | None = None) -> Task:
    """Read a task from a Hugging Face dataset, see ``open_hf_dataset``; class labels are read by their names.

    Raises ``InputError`` when the columns are not there.
    """
    table = open_hf_dataset(name)
    bad = BadLines(Path(f"hf-dataset:{name}"), skip_bad)
    items = _items(_first(enumerate(_named(table), start=1), limit), list(table.column_names), role_mapping(mapping), bad)
    note = bad.note()
    if not items:
        raise InputError(f"hf-dataset:{name} has no usable row")
    return Task(name=f"hf-dataset:{name}", items=items, notes=(note,) if note else ())


def open_hf_dataset(name: str) -> Any:
    """One split of a Hugging Face dataset, rows as mappings: ``NAME[:config][@split]``; NAME may be a local folder.

    Without a split: the only one, else test, validation or train. Code that a dataset brings along is never run.
    Raises ``MissingExtra`` without the package ``datasets`` and ``InputError`` when the dataset or split is not there.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("hf-dataset: needs the package `datasets`; install it: pip install 'trueline[datasets]'") from error
    body, _, split = name.partition("@")
    folder, _, config = body.partition(":")
    try:
        with _quiet(datasets):
            data = _open(datasets, folder, config)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        why = f"{type(error).__name__}: {error}" + (f" {error.__cause__}" if error.__cause__ is not None else "")
        raise InputError(f"dataset {body!r} cannot be loaded ({why})") from error
    if isinstance(data, dict):
        return _undecoded(data[_split(split, list(data), name)])
    if split and split != str(data.split or ""):
        raise InputError(f"dataset {body!r} has no splits: it is one table; leave @{split} out")
    return _undecoded(data)


def _undecoded(table: Any) -> Any:
    """The data set with its images left as bytes: they are decoded when they are shown, one by one."""
    import datasets

    for name, feature in table.features.items():
        if isinstance(feature, datasets.Image):
            table = table.cast_column(name, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            table = table.cast_column(name, type(feature)(datasets.Image(decode=False)))
    return table


def _open(datasets: Any, folder: str, config: str) -> Any:
    if Path(folder).is_dir() and any((Path(folder) / f).exists() for f in ("dataset_dict.json", "dataset_info.json")):
        return datasets.load_from_disk(folder)
    return datasets.load_dataset(folder, config or None)


@contextlib.contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """No bars and no log while a dataset is read; what goes wrong is in the error. The settings are put back."""
    logging = datasets.utils.logging
    bars, level = datasets.are_progress_bars_disabled(), logging.get_verbosity()
    datasets.disable_progress_bars()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


def _named(table: Any) -> Iterator[Mapping[str, Any]]:
    """Rows with the names of class labels in place of their numbers; a negative number is no label."""
    named = {column: feature for column, feature in (table.features or {}).items() if hasattr(feature, "int2str")}
    for row in table:
        said = {column: row[column] for column in named}
        yield {**row, **{c: None if n is None or n < 0 else named[c].int2str(n) for c, n in said.items()}}


def role_mapping(mapping: Mapping[str, str] | None) -> dict[str, str]:
    """A mapping by role, where a user may have said ``answer=COL`` for ``references=COL``."""
    check_mapping(mapping or {}, ROLE_OF)
    return {ROLE_OF[name]: column for name, column in (mapping or {}).items()}


def _split(asked: str, splits: list[str], name: str) -> str:
    if asked:
        if asked not in splits:
            raise InputError(f"dataset {name!r} has no split {asked!r}; splits: {', '.join(splits)}{nearest(asked, splits)}")
        return asked
    preferred = [s for s in ("test", "validation", "train") if s in splits]
    if len(splits) > 1 and not preferred:
        raise InputError(f"dataset {name!r} has several splits; choose one: hf-dataset:NAME@{splits[0]} (splits: {', '.join(splits)})")
    return splits[0] if len(splits) == 1 else preferred[0]


def _first(rows: Iterable[Row], limit: int | None) -> Iterator[Row]:
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    return itertools.islice(rows, limit)


def _names(path: Path, skip_bad: bool, limit: int | None) -> list[str]:
    """The columns of a file. Each line of JSONL may have its own: they are read first, so that no more than a line is held twice."""
    whole = path.suffix.lower() == ".jsonl"
    names: dict[str, None] = {}
    for _, row in _first(read_rows(path, BadLines(path, skip_bad)), limit if whole else 1):
        if not row.keys() <= names.keys():
            names |= dict.fromkeys(row)
    return list(names)


def _items(rows: Iterable[Row], names: list[str], mapping: dict[str, str], bad: BadLines) -> ItemTable:
    columns = {role: pick_column(role, ALIASES[role], names, mapping, bad.path) for role in ALIASES} if names else {}
    if names and columns["question"] is None and columns["messages"] is None:
        pick_column("question", (*ALIASES["question"], "messages"), names, mapping, bad.path, required=True)
    lines = array("q")
    items = ItemTable(_made(rows, columns, bad, lines))
    if items.repeated is not None:
        first, second = items.repeated
        where = f"occurs on lines {lines[first]} and {lines[second]}"
        raise InputError(f"{bad.path}: id {items[first].id!r} {where}; ids must be unique")
    return items


def _made(rows: Iterable[Row], columns: Mapping[str, str | None], bad: BadLines, lines: array[int]) -> Iterator[Item]:
    """The items of the usable rows; ``lines`` gets the line of each."""
    for position, (line, row) in enumerate(rows, start=1):
        try:
            item = item_of(row, columns, position, folder=bad.path.parent)
        except InputError as error:
            bad.add(line, str(error))
            continue
        lines.append(line)
        yield item


def item_of(
    row: Mapping[str, Any], columns: Mapping[str, str | None], position: int, *, need_question: bool = True, folder: Path | None = None
) -> Item:
    """The item of one record; ``columns``: role -> column or None; ``folder``: what paths of images are relative to.

    Raises ``InputError`` that says what is wrong with the record.
    """

    def cell(role: str) -> Any:
        column = columns[role]
        return None if column is None else row.get(column)

    messages = _messages(cell("messages"))
    question = cell("question")
    if isinstance(question, list):
        messages, question = messages or _messages(question), None
    if question is None or question == "":
        question = next((content for role, content in reversed(messages) if role == "user"), None)
    if need_question and (question is None or not as_text(question).strip()):
        raise InputError("the question is empty")
    ident, cluster = cell("id"), cell("cluster")
    if columns["id"] is not None and (ident is None or ident == ""):
        raise InputError(f"no value in the id column {columns['id']!r}")
    annotations = annotations_of(row, columns.get("annotations"))
    used = set(columns.values())
    metadata = {as_text(k): _json_safe(v) for k, v in row.items() if v is not None and k not in used and not k.startswith(PREFIX)}
    return Item(
        id=f"row-{position:06d}" if ident is None else as_text(ident),
        question="" if question is None else as_text(question),
        messages=messages,
        references=as_texts(cell("references")) or majority(annotations),
        cluster=None if cluster is None or cluster == "" else as_text(cluster),
        annotations=annotations,
        images=pictures_of(row.get(column), folder or Path()) if (column := columns.get("images")) else (),
        metadata=metadata or NOTHING,
    )


def _messages(value: Any) -> tuple[tuple[str, str], ...]:
    """Chat turns from a list of ``{"role", "content"}``, also as JSON in a string; content may be a list of text parts."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InputError(f"messages are not valid JSON ({error})") from error
    turns: list[tuple[str, str]] = []
    for turn in value if isinstance(value, list) else [value]:
        if not isinstance(turn, Mapping) or "role" not in turn or "content" not in turn:
            raise InputError(f'messages: expected a list of {{"role": ..., "content": ...}}, got {str(turn)[:80]!r}')
        content = turn["content"]
        if isinstance(content, list):
            content = "".join(as_text(p.get("text", "")) if isinstance(p, Mapping) else as_text(p) for p in content)
        turns.append((as_text(turn["role"]), as_text("" if content is None else content)))
    return tuple(turns)


def _json_safe(value: Any) -> Any:
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {as_text(k): _json_safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(v) for v in value]
    return as_text(value)
