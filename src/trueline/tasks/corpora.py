"""Collections of texts: files, folders of them, and columns of tables and data sets, read one text at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trueline.errors import InputError, nearest
from trueline.tasks.files import open_hf_dataset
from trueline.tasks.tables import SUFFIXES, BadLines, as_text, find_file, pick_column, read_rows

#: Files that are texts as they stand.
TEXT_SUFFIXES = (".txt", ".md", ".rst", ".text")
#: Columns of texts, in order of preference.
COLUMNS = ("text", "content", "body")
_DATASET = "hf-dataset:"


def read_texts(source: str | Path, *, column: str | None = None, skip_bad: bool = False, notes: list[str] | None = None) -> Iterator[str]:
    """Yield the texts of a source, in order; what is skipped is said in ``notes``.

    source : a text file (``.txt``, ``.md``, ``.rst``, ``.text``), a table (``.jsonl``, ``.csv``, ``.parquet``) with one text a row, a
        folder of either, searched with its subfolders in the order of names, or ``hf-dataset:NAME[:config][@split]``.
    column : holds the texts of a table. skip_bad : leave out what is not UTF-8, and rows that cannot be used.

    Raises ``InputError`` when there is nothing to read, for another kind of file, an unknown column, a text that is not UTF-8;
    ``MissingExtra`` for a data set without the package that reads it.
    """
    said = notes if notes is not None else []
    if str(source).startswith(_DATASET):
        name = str(source).removeprefix(_DATASET)
        rows = ((i, row) for i, row in enumerate(open_hf_dataset(name), start=1))
        bad = BadLines(Path(str(source)), skip_bad)
        yield from _column(rows, column, str(source), bad)
        said.extend(filter(None, [bad.note()]))
        return
    path = Path(source)
    if not path.is_dir():
        yield from _file(path, column, skip_bad, said)
        return
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in (*TEXT_SUFFIXES, *SUFFIXES))
    if not files:
        raise InputError(f"the folder {path} has no file ending in {', '.join((*TEXT_SUFFIXES, *SUFFIXES))}")
    for file in files:
        if file.stat().st_size:
            yield from _file(file, column, skip_bad, said)


def _file(path: Path, column: str | None, skip_bad: bool, notes: list[str]) -> Iterator[str]:
    if path.suffix.lower() not in TEXT_SUFFIXES:
        if path.exists() and path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path} ends in {path.suffix or 'nothing'!r}; texts end in {', '.join((*TEXT_SUFFIXES, *SUFFIXES))}")
        found = find_file(path)
        bad = BadLines(found, skip_bad)
        yield from _column(read_rows(found, bad), column, str(found), bad)
        notes.extend(filter(None, [bad.note()]))
        return
    try:
        yield path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        if not skip_bad:
            raise InputError(
                f"{path} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8, or skip it (--skip-bad)"
            ) from error
        notes.append(f"skipped {path}, which is not UTF-8")
    except OSError as error:
        near = nearest(path.name, (p.name for p in path.parent.iterdir())) if path.parent.is_dir() else ""
        raise InputError(f"cannot read {path}: {error.strerror}{near}") from error


def _column(rows: Iterable[tuple[int, Mapping[str, Any]]], column: str | None, where: str, bad: BadLines) -> Iterator[str]:
    name: str | None = None
    for line, row in rows:
        if name is None:
            mapping = {} if column is None else {"text": column}
            try:
                name = pick_column("text", COLUMNS, row, mapping, where, required=True)
            except InputError as error:
                raise InputError(str(error).partition(" Name it:")[0] + " Name it: --column COLUMN (Python: column='COLUMN')") from error
        value = row.get(str(name))
        if value is None:
            bad.add(line, f"no {name}")
        elif not isinstance(value, str):
            bad.add(line, f"{name} is {type(value).__name__}; expected a text")
        else:
            yield as_text(value)
