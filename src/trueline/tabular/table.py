"""Any table as columns of plain Python cells: data frames, mappings, records, arrays with names, files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.errors import InputError, nearest
from trueline.tasks.tables import BadLines, find_file, read_rows

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Columns of equal length; a cell is a number, a text, a bool or None (missing)."""

    columns: Mapping[str, Sequence[Any]]

    def __post_init__(self) -> None:
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        if not lengths:
            raise InputError("the table has no columns")
        if len(set(lengths.values())) > 1:
            raise InputError(f"the columns of a table must be equally long; got {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name not in self.columns:
            raise InputError(
                f"the table has no column {name!r}{nearest(name, self.columns)}; columns: {', '.join(map(repr, self.columns))}"
            )
        return self.columns[name]

    def row(self, i: int) -> dict[str, Any]:
        """One row by column."""
        return {name: cells[i] for name, cells in self.columns.items()}

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows in order."""
        return (self.row(i) for i in range(len(self)))

    def take(self, positions: Iterable[int]) -> Table:
        """The rows at some positions."""
        chosen = [int(i) for i in positions]
        return Table({name: [cells[i] for i in chosen] for name, cells in self.columns.items()})

    def replaced(self, name: str, cells: Sequence[Any]) -> Table:
        """The table with other cells in one column."""
        return Table({**self.columns, name: cells})


def as_table(data: Any, names: Sequence[str] = ()) -> Table:
    """Return a table from what the user has.

    data: a `Table`, a polars, pandas or Arrow table, a mapping of columns, a list of records, a 2-d array (its columns are `names`), or the
    path of a .csv, .jsonl or .parquet file. Raises ``InputError`` for anything else.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, str | os.PathLike):
        return _from_file(Path(data))
    if isinstance(data, Mapping):
        return Table({str(name): _cells(column) for name, column in data.items()})
    named = getattr(data, "column_names", None) or getattr(data, "columns", None)
    if named is not None and not callable(named):
        return Table({str(name): _cells(data[name]) for name in named})
    rows = data.tolist() if hasattr(data, "tolist") else data
    if not isinstance(rows, Sequence):
        raise InputError(f"expected a data frame, a mapping of columns, a list of records or a file; got {type(data).__name__}")
    return _from_rows(rows, names)


def _from_rows(rows: Sequence[Any], names: Sequence[str]) -> Table:
    if not rows:
        raise InputError("the table has no rows")
    if all(isinstance(row, Mapping) for row in rows):
        found = list(dict.fromkeys(str(name) for row in rows for name in row))
        return Table({name: [cell(row.get(name)) for row in rows] for name in found})
    for i, row in enumerate(rows):
        if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != len(names):
            raise InputError(f"row {i} of the array must have {len(names)} cells, one for each of {', '.join(names)}; got {str(row)[:80]}")
    return Table({name: [cell(row[k]) for row in rows] for k, name in enumerate(names)})


def _from_file(path: Path) -> Table:
    found = find_file(path)
    rows = [record for _, record in read_rows(found, BadLines(found))]
    if not rows:
        raise InputError(f"{found} has no rows")
    return _from_rows(rows, ())


def _cells(column: Any) -> list[Any]:
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, method):
            return [cell(value) for value in getattr(column, method)()]
    return [cell(value) for value in column]


def cell(value: Any) -> Any:
    """A plain Python cell; every kind of missing value is None, and so is a blank text."""
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str) and not value.strip():
        return None
    return value


def as_number(value: Any) -> float | None:
    """A cell as a number; None for a missing one and for text that is none."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    return None


def code_of(value: Any) -> str:
    """A cell as a code: 3, 3.0 and "3.0" are ``3``; other text stays as it is."""
    number = as_number(value)
    if number is not None and number.is_integer():
        return str(int(number))
    return str(value)
