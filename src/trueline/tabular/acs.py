"""The five tasks of the American Community Survey that folktables defines (Ding et al. 2021, arXiv 2108.04884), as risk tasks.

The person files of the US Census Bureau are read from a folder; where they are not there, the package folktables downloads them (several
GB for all states). The label of ACSMobility is "moved", as in Cruz et al. 2024; folktables' own is "did not move".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from trueline.errors import InputError, MissingExtra, nearest
from trueline.tabular.columns import ColumnText, Threshold
from trueline.tabular.questions import Choices
from trueline.tabular.table import Table, as_number, as_table
from trueline.tabular.task import TabularRiskTask

#: Column of the label that each task derives, and what is asked.
_ASKED = {
    "ACSIncome": ("PINCP>50000", "What is this person's yearly income?"),
    "ACSPublicCoverage": ("PUBCOV==1", "Is this person covered by public health insurance?"),
    "ACSMobility": ("MIG!=1", "Has this person moved within the last year?"),
    "ACSEmployment": ("ESR==1", "Is this person employed as a civilian?"),
    "ACSTravelTime": ("JWMNP>20", "How long does this person travel to work?"),
}
#: Rows that belong to a task: column -> rules. A missing cell meets none.
_FILTERS: dict[str, tuple[tuple[str, str], ...]] = {
    "ACSIncome": (("AGEP", "> 16"), ("PINCP", "> 100"), ("WKHP", "> 0"), ("PWGTP", ">= 1")),
    "ACSPublicCoverage": (("AGEP", "< 65"), ("PINCP", "<= 30000")),
    "ACSMobility": (("AGEP", "> 18"), ("AGEP", "< 35")),
    "ACSEmployment": (),
    "ACSTravelTime": (("AGEP", "> 16"), ("ESR", "== 1")),
}
ACS_TASKS = tuple(_ASKED)
_TEMPLATES = {"AGEP": "{value} years old", "WKHP": "{value} hours", "PINCP": "${value:,}", "JWMNP": "{value} minutes"}
_CODE_FILES = ("OCCP", "POBP", "ST", "ANC1P", "HISP", "LANP")


def acs_task(
    name: str,
    year: int = 2018,
    data_dir: str | Path = "data",
    *,
    states: Sequence[str] | None = None,
    download: bool = False,
    **changes: Any,
) -> TabularRiskTask:
    """One of the five tasks.

    Parameters
    ----------
    name : {"ACSIncome", "ACSPublicCoverage", "ACSMobility", "ACSEmployment", "ACSTravelTime"}
    year : int
        Of the one-year survey.
    data_dir : path
        Folder that holds the person files ``psam_p*.csv``, itself or in ``YEAR/1-Year``, where folktables puts them.
    states : list of two-letter codes, optional
        Only these; default all whose files are there (or, downloading, all).
    download : bool
        Let folktables fetch what is not there.
    changes
        Fields of the task.

    Raises
    ------
    InputError
        An unknown task; no person files, and no download asked for or possible.
    MissingExtra
        A download without folktables.
    """
    if name not in _ASKED:
        raise InputError(f"there is no ACS task {name!r}{nearest(name, ACS_TASKS)}; there are {', '.join(ACS_TASKS)}")
    columns, targets, features = _codebook(name)
    label, text = _ASKED[name]
    used = [*features, label.rstrip("<>=!0123456789"), *(column for column, _ in _FILTERS[name])]
    table = acs_rows(_read(Path(data_dir).expanduser(), year, states, download, list(dict.fromkeys(used))), name)
    question = Choices(text, ((targets["0"], 0), (targets["1"], 1)))
    given: dict[str, Any] = {
        "population": f"the American Community Survey, United States, {year}",
        "group": "RAC1P",
        "name": f"{name}-{year}",
    }
    return TabularRiskTask(table, label, None, [columns[feature] for feature in features], question, **(given | changes))


def acs_rows(table: Table, name: str) -> Table:
    """The rows of person files that belong to a task, with its label as a column (such as ``PINCP>50000``) of 0 and 1."""
    label = _ASKED[name][0]
    column = label.rstrip("<>=!0123456789")
    rule = Threshold.parse(label[len(column) :])
    keep = [i for i in range(len(table)) if all(_meets(table[c][i], Threshold.parse(r)) for c, r in _FILTERS[name])]
    if not keep:
        raise InputError(f"none of the {len(table)} persons belongs to {name}")
    chosen = table.take(keep)
    # a missing target meets no rule, as in folktables: nobody who works at home travels longer than 20 minutes
    return chosen.replaced(label, [int(_meets(cell, rule)) for cell in chosen[column]])


def acs_columns() -> dict[str, ColumnText]:
    """All columns of the ACS codebook in words."""
    book = _data("acs_codebook.json")["columns"]
    found = {}
    for name, entry in book.items():
        values: Any = entry["values"] if isinstance(entry["values"], Mapping) else None
        if name in _CODE_FILES:
            values = _code_list(name)
        elif name == "POVPIP":
            values = _ratio
        found[name] = ColumnText(name, entry["description"], values, entry["missing"], entry["connector"], _TEMPLATES.get(name, "{value}"))
    return found


def _codebook(name: str) -> tuple[dict[str, ColumnText], Mapping[str, str], list[str]]:
    book, columns = _data("acs_codebook.json"), acs_columns()
    targets: Mapping[str, str] = book["columns"][_ASKED[name][0]]["values"]
    return columns, targets, book["tasks"][name]["features"]


def _meets(cell: Any, rule: Threshold) -> bool:
    number = as_number(cell)
    return number is not None and bool(rule.labels(Table({"x": [number]}), "x")[0])


def _ratio(cell: Any) -> str:
    return f"{float(cell) / 100:.2f}" if float(cell) < 501 else "5.01 or more"


def _code_list(name: str) -> dict[str, str]:
    lines = resources.files("trueline.tabular").joinpath(f"data/acs_{name}.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" .", 1) for line in lines if line.strip())
    tidy: dict[str, Callable[[str], str]] = {
        "OCCP": lambda text: text.partition("-")[2].strip().capitalize() or text,
        "POBP": lambda text: text.partition("/")[0],
        "ST": lambda text: text.partition("/")[0],
    }
    clean = tidy.get(name, str)
    return {code: clean(text.strip()) for code, text in pairs}


def _data(file: str) -> Any:
    return json.loads(resources.files("trueline.tabular").joinpath(f"data/{file}").read_text(encoding="utf-8"))


def _read(folder: Path, year: int, states: Sequence[str] | None, download: bool, columns: list[str]) -> Table:
    files = _person_files(folder, year, states)
    if not files and not download:
        raise InputError(
            f"no person files psam_p*.csv of {year} in {folder}; name the folder that has them (data_dir), or let folktables fetch them "
            "(download=True, needs the internet)"
        )
    if not files:
        return _download(folder, year, states, columns)
    import polars as pl

    frames = [pl.read_csv(file, columns=columns, infer_schema_length=0) for file in files]
    return as_table(pl.concat(frames))


def _person_files(folder: Path, year: int, states: Sequence[str] | None) -> list[Path]:
    places = [place for place in (folder / str(year) / "1-Year", folder) if place.is_dir()]
    found = next((files for place in places if (files := sorted(place.glob("psam_p*.csv")))), [])
    if states is None or not found:
        return found
    fips = {text.rpartition("/")[2].strip(): code for code, text in _raw_states()}
    unknown = [state for state in states if state not in fips]
    if unknown:
        raise InputError(f"unknown state {unknown[0]!r}; expected two letters, such as {', '.join(list(fips)[:3])}")
    wanted = {f"psam_p{int(fips[state]):02d}.csv": state for state in states}
    missing = set(wanted) - {file.name for file in found}
    if missing:
        raise InputError(f"{found[0].parent} lacks {', '.join(sorted(missing))} for {', '.join(wanted[m] for m in sorted(missing))}")
    return [file for file in found if file.name in wanted]


def _raw_states() -> list[tuple[str, str]]:
    lines = resources.files("trueline.tabular").joinpath("data/acs_ST.txt").read_text(encoding="utf-8").splitlines()
    return [(code, text) for code, text in (line.split(" .", 1) for line in lines if line.strip())]


def _download(folder: Path, year: int, states: Sequence[str] | None, columns: list[str]) -> Table:
    try:
        import folktables
    except ImportError as error:
        raise MissingExtra("downloading ACS files needs folktables; install it: pip install 'trueline[tables]'") from error
    source = folktables.ACSDataSource(survey_year=str(year), horizon="1-Year", survey="person", root_dir=str(folder))
    try:
        frame = source.get_data(states=None if states is None else list(states), download=True)
    except (OSError, ValueError, EOFError) as error:  # requests' and urllib's errors are OSErrors, a broken archive a ValueError
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"the ACS files of {year} could not be fetched ({reason}); offline, point data_dir to a folder that has them"
        ) from error
    return as_table(frame[columns])
