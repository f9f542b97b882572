"""Rows of JSONL, CSV and Parquet files with their line numbers, and the search for the column that plays a role."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.errors import InputError, nearest

SUFFIXES = (".jsonl", ".csv", ".parquet")
_LOG = logging.getLogger("trueline")
_LONGEST_FIELD = 2**31 - 1


@dataclass
class BadLines:
    """What to do with a line that cannot be used: raise at once, or (``skip``) count it and go on."""

    path: Path
    skip: bool = False
    count: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, line: int, problem: str) -> None:
        """Note one bad line. Raises ``InputError`` with its number unless bad lines are skipped."""
        if not self.skip:
            raise InputError(f"{self.path}, line {line}: {problem}; mend the line, or skip bad lines (--skip-bad, skip_bad=True)")
        self.count += 1
        if len(self.shown) < 3:
            self.shown.append(f"line {line}: {problem}")

    def note(self) -> str | None:
        """One sentence on what was skipped, also logged; None when nothing was."""
        if not self.count:
            return None
        rest = "; ..." if self.count > len(self.shown) else ""
        text = f"skipped {self.count} bad line{'s' if self.count > 1 else ''} of {self.path} ({'; '.join(self.shown)}{rest})"
        _LOG.warning(text)
        return text


def find_file(path: str | Path, suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """The path of an existing, non-empty file of a known kind.

    Raises ``InputError`` when it is missing (with the nearest names in its folder), a folder, empty, or of another kind.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give one file ending in {', '.join(suffixes)}")
    if not path.exists():
        folder = path.parent
        if not folder.is_dir():
            raise InputError(f"no file {path}: there is no folder {folder}")
        raise InputError(f"no file {path}{nearest(path.name, (p.name for p in folder.iterdir()))}")
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path} ends in {path.suffix or 'nothing'!r}; files ending in {', '.join(suffixes)} are read")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; give at least one row")
    return path


def read_rows(path: Path, bad: BadLines) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, record) of a file that ``find_file`` accepted. For Parquet the number is that of the row, from 1."""
    suffix = path.suffix.lower()
    return {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}[suffix](path, bad)


def json_record(raw: bytes, line: int, bad: BadLines) -> dict[str, Any] | None:
    """One JSONL line as a record; None for a blank line and for a bad one that is skipped."""
    if not raw.strip():
        return None
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        record = json.loads(text)
    except UnicodeDecodeError as error:
        bad.add(line, f"not UTF-8 at byte {error.start} (0x{raw[error.start]:02x}); save the file as UTF-8")
        return None
    except (ValueError, RecursionError) as error:
        bad.add(line, f"not valid JSON ({error})")
        return None
    if not isinstance(record, dict):
        bad.add(line, f'expected an object such as {{"question": ...}}, got {type(record).__name__}')
        return None
    return record


def _jsonl(path: Path, bad: BadLines) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as handle:
        for line, raw in enumerate(handle, start=1):
            record = json_record(raw, line, bad)
            if record is not None:
                yield line, record


def _csv(path: Path, bad: BadLines) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(max(_LONGEST_FIELD, csv.field_size_limit()))  # the default refuses answers of 128 KB
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, strict=True)
        try:
            header = next((fields for fields in reader if fields), [])
            if len(set(header)) < len(header):
                twice = next(name for name in header if header.count(name) > 1)
                raise InputError(f"{path}: the header has the column {twice!r} twice; rename one")
            line = reader.line_num + 1
            for fields in reader:
                if len(fields) == len(header):
                    yield line, dict(zip(header, fields, strict=True))
                elif fields:
                    bad.add(line, f"{len(fields)} fields where the header has {len(header)}")
                line = reader.line_num + 1
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 ({_byte_place(path)}: {error.reason}); save it as UTF-8") from error
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from error


def _byte_place(path: Path) -> str:
    with path.open("rb") as handle:
        for line, raw in enumerate(handle, start=1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"line {line}, byte {error.start}"
    return "at its end"


def _parquet(path: Path, bad: BadLines) -> Iterator[tuple[int, dict[str, Any]]]:
    del bad  # a Parquet file is whole or unreadable: it has no bad lines
    line = 0
    for batch in parquet_batches(path):
        for record in batch.to_pylist():
            line += 1
            yield line, record


def parquet_batches(path: Path, rows: int = 20_000, columns: list[str] | None = None) -> Iterator[Any]:
    """Yield the record batches of a Parquet file. Raises ``InputError`` when it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield from pq.ParquetFile(path).iter_batches(rows, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error})") from error


def pick_column(
    role: str, aliases: Iterable[str], names: Iterable[str], mapping: Mapping[str, str], where: object, *, required: bool = False
) -> str | None:
    """The column that plays a role: the mapped one, else the first alias among ``names`` (case does not matter), else None.

    Raises ``InputError`` that lists the columns found, with the nearest match, when a mapped or required column is absent.
    """
    names, aliases = list(names), list(aliases)
    listing = f"columns found: {', '.join(map(repr, names)) or 'none'}"
    wanted = mapping.get(role)
    if wanted is not None:
        if wanted not in names:
            raise InputError(f"{where} has no column {wanted!r} (mapped to {role}); {listing}{nearest(wanted, names)}")
        return wanted
    by_lower = {name.lower(): name for name in reversed(names)}
    for alias in aliases:
        if alias in by_lower:
            return by_lower[alias]
    if required:
        close = nearest(role, names) or next((found for a in aliases if (found := nearest(a, names))), "")
        raise InputError(
            f"{where} has no column for {role} (looked for {', '.join(aliases)}); {listing}{close or '.'} "
            f"Name it: --map {role}=COLUMN (Python: mapping={{{role!r}: 'COLUMN'}})"
        )
    return None


def check_mapping(mapping: Mapping[str, str], roles: Iterable[str]) -> None:
    """Refuse a mapping that names an unknown role."""
    roles = list(roles)
    for role in mapping:
        if role not in roles:
            raise InputError(f"cannot map {role!r}; roles are {', '.join(roles)}{nearest(role, roles)}")


def as_text(value: Any) -> str:
    """A cell as text; lone surrogates, which no UTF-8 file can hold, become U+FFFD."""
    text = value if isinstance(value, str) else str(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def as_texts(value: Any) -> tuple[str, ...]:
    """A cell of accepted answers: a list, a JSON list in a string, ``{"value": ..., "aliases": [...]}``, or a single answer."""
    if isinstance(value, str):
        parsed = _list_in(value) if value.lstrip().startswith("[") else None
        if parsed is None:
            return (as_text(value),) if value.strip() else ()
        value = parsed
    if isinstance(value, Mapping):
        value = [part for key in ("value", "text", "answer", "aliases") if key in value for part in as_texts(value[key])]
    if isinstance(value, list | tuple):
        parts = [as_text(part) for part in value if not _absent(part)]
    else:
        parts = [] if _absent(value) else [as_text(value)]
    return tuple(dict.fromkeys(part for part in parts if part.strip()))


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _list_in(text: str) -> list[Any] | None:
    import ast

    # pandas writes a list into a CSV cell as Python would, with single quotes
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return None
