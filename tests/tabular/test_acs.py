"""ACS persons in words, the rows and labels of the five tasks, files on disk, and clear words where there are none."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trueline.errors import InputError, MissingExtra
from trueline.tabular import acs_columns, acs_task
from trueline.tabular.acs import ACS_TASKS, acs_rows
from trueline.tabular.table import as_table

# Ten persons of the ACS 2018 (public domain) with the label of ACSIncome.
TEN = Path(__file__).parent / "acs_income_10rows.csv"
PERSON = {
    "AGEP": 30, "COW": 1, "SCHL": 18, "MAR": 5, "OCCP": 4720, "POBP": 13, "RELP": 0, "WKHP": 40, "SEX": 2, "RAC1P": 1, "PINCP": 52000,
    "PWGTP": 9, "PUBCOV": 2, "DIS": 2, "ESP": None, "CIT": 1, "MIG": 3, "MIL": 4, "ANC": 1, "NATIVITY": 1, "DEAR": 2, "DEYE": 2, "DREM": 2,
    "ESR": 1, "ST": 6, "FER": 2, "GCL": None, "JWMNP": 25, "JWTR": 1, "POVPIP": 310, "PUMA": 101, "POWPUMA": 100,
}  # fmt: skip


def test_ten_persons_in_words() -> None:
    table = as_table(TEN)
    columns = acs_columns()
    told = [
        {name: columns[name].text(table[name][i]) for name in table.columns if name in columns and name != "PINCP>50000"} for i in range(10)
    ]
    assert told[0] == {
        "AGEP": "18 years old",
        "COW": "Working for a for-profit private company or organization",
        "SCHL": "Some college, less than 1 year",
        "MAR": "Never married",
        "OCCP": "Cashiers",
        "POBP": "Georgia",
        "RELP": "Non-institutionalized group quarters population",
        "WKHP": "21 hours",
        "SEX": "Female",
        "RAC1P": "Black or African American",
    }
    assert not [row for row in told if any(text.startswith("N/A") for text in row.values())]
    assert told[8]["POBP"] == "Mexico"
    assert told[5]["OCCP"] == "Social and community service managers"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "2018" / "1-Year"
    place.mkdir(parents=True)
    changes: list[dict[str, Any]] = [
        {},
        {"PINCP": 30000, "MIG": 1},
        {"AGEP": 16},
        {"PINCP": 100},
        {"WKHP": None},
        {"ESR": 6, "JWMNP": None},
    ]
    changes += [{"JWMNP": 20}, {"JWMNP": None}, {"AGEP": 70, "PUBCOV": 1}]
    rows = pd.DataFrame([{**PERSON, **change, "SERIALNO": f"2018{i}", "RT": "P"} for i, change in enumerate(changes)])
    rows.iloc[:5].to_csv(place / "psam_p06.csv", index=False)
    rows.iloc[5:].to_csv(place / "psam_p32.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("ACSIncome", [1, 0, 1, 1, 1, 1]),
        ("ACSPublicCoverage", [0, 0]),
        ("ACSMobility", [1, 0, 1, 1, 1, 1, 1]),
        ("ACSEmployment", [1, 1, 1, 1, 1, 0, 1, 1, 1]),
        ("ACSTravelTime", [1, 1, 1, 1, 0, 0, 1]),
    ],
)
def test_rows_and_labels(folder: Path, name: str, labels: list[int]) -> None:
    task = acs_task(name, data_dir=folder)
    assert task.y.tolist() == labels
    assert task.name == f"{name}-2018"
    assert "- The age is: 30 years old." in task.ask(task.df.row(0)).text()


def test_states(folder: Path) -> None:
    assert len(acs_task("ACSEmployment", data_dir=folder / "2018" / "1-Year", states=["NV"])) == 4
    with pytest.raises(InputError, match=r"lacks psam_p36\.csv for NY"):
        acs_task("ACSEmployment", data_dir=folder, states=["CA", "NY"])
    with pytest.raises(InputError, match="unknown state 'California'"):
        acs_task("ACSEmployment", data_dir=folder, states=["California"])


def test_no_files_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no person files psam_p"):
        acs_task("ACSIncome", data_dir=tmp_path)
    with pytest.raises(InputError, match="did you mean ACSIncome"):
        acs_task("ACSincome", data_dir=tmp_path)
    monkeypatch.setitem(sys.modules, "folktables", None)
    with pytest.raises(MissingExtra, match=r"pip install 'trueline\[tables\]'"):
        acs_task("ACSIncome", data_dir=tmp_path, download=True)


@pytest.mark.parametrize("fails", [False, True])
def test_folktables_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    asked = {}

    class Source:
        def __init__(self, **settings: Any) -> None:
            asked.update(settings)

        def get_data(self, states: Any, download: bool) -> pd.DataFrame:
            if fails:
                raise ConnectionError("Name or service\nnot known")
            return pd.DataFrame([PERSON])

    monkeypatch.setitem(sys.modules, "folktables", types.SimpleNamespace(ACSDataSource=Source))
    if fails:
        with pytest.raises(InputError, match="could not be fetched \\(Name or service not known\\); offline"):
            acs_task("ACSIncome", data_dir=tmp_path, download=True)
    else:
        assert acs_task("ACSIncome", data_dir=tmp_path, download=True).y.tolist() == [1]
    assert asked == {"survey_year": "2018", "horizon": "1-Year", "survey": "person", "root_dir": str(tmp_path)}


def test_nobody_left() -> None:
    with pytest.raises(InputError, match="none of the 1 persons"):
        acs_rows(as_table([{**PERSON, "AGEP": 3}]), "ACSIncome")
    assert len(ACS_TASKS) == 5
