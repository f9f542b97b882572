"""Tables of every kind become the same columns of plain cells."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trueline.errors import InputError
from trueline.tabular.table import Table, as_number, as_table, code_of

COLUMNS: dict[str, list[Any]] = {"age": [18, 44], "work": ["mill", None]}


@pytest.mark.parametrize(
    "data",
    [
        COLUMNS,
        [{"age": 18, "work": "mill"}, {"age": 44}],
        pl.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        {"age": np.array([18, 44]), "work": ("mill", math.nan)},
        {"age": pd.Series([18, 44], dtype="Int64"), "work": pd.Series(["mill", pd.NA])},
    ],
    ids=["mapping", "records", "polars", "pandas", "arrow", "arrays", "pandas nullable"],
)
def test_every_kind(data: Any) -> None:
    table = as_table(data)
    assert {name: list(cells) for name, cells in table.columns.items()} == COLUMNS
    assert [table.row(1)] == list(table.take([1]).rows())


def test_arrays_take_the_names_given() -> None:
    assert as_table(np.array([[1.0, 2.0]]), ["a", "b"]).row(0) == {"a": 1.0, "b": 2.0}
    with pytest.raises(InputError, match="must have 3 cells"):
        as_table(np.array([[1.0, 2.0]]), ["a", "b", "c"])


def test_files(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,work\n18,mill\n44,\n")
    assert as_table(tmp_path / "t.csv").row(1) == {"age": "44", "work": None}


@pytest.mark.parametrize(
    ("data", "message"),
    [({}, "no columns"), ([], "no rows"), ({"a": [1], "b": [1, 2]}, "equally long"), (3, "got int"), ("missing.csv", "no file")],
)
def test_what_is_no_table(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_table(data)


def test_a_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match="'agee'; did you mean age"):
        Table({"age": [1]})["agee"]


def test_codes_and_numbers() -> None:
    assert [code_of(v) for v in (3, 3.0, "3.0", "003", "b", True, 2.5)] == ["3", "3", "3", "3", "b", "1", "2.5"]
    assert [as_number(v) for v in ("2.5", "x", None, "nan")] == [2.5, None, None, None]
