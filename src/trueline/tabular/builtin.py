"""Tables that need no download: the American National Election Study 1996, and what statsmodels and scikit-learn bring along."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise
from typing import Any

from trueline.errors import MissingExtra
from trueline.tabular.columns import ColumnText, Threshold
from trueline.tabular.questions import Choices
from trueline.tabular.table import as_table
from trueline.tabular.task import TabularRiskTask

_LEANING = dict(
    enumerate(
        ("extremely liberal", "liberal", "slightly liberal", "moderate", "slightly conservative", "conservative", "extremely conservative"),
        1,
    )
)
_PARTY = (
    "strong Democrat", "weak Democrat", "independent, closer to the Democrats", "independent", "independent, closer to the Republicans",
    "weak Republican", "strong Republican",
)  # fmt: skip
_SCHOOL = ("grades 1 to 8", "some high school", "high school", "some college", "college degree", "master's degree", "PhD")
#: Lower ends of the 24 income brackets, in thousands of dollars.
_BRACKETS = (0, 3, 5, 7, 9, 10, 11, 12, 13, 14, 15, 17, 20, 22, 25, 30, 35, 40, 45, 50, 60, 75, 90, 105)
_WORK = (
    "student", "farming or unskilled work", "white-collar work", "teaching, nursing, technical or skilled work",
    "managerial or business work", "a profession with an advanced degree",
)  # fmt: skip


def anes96_task(**changes: Any) -> TabularRiskTask:
    """Vote for Dole or Clinton in 1996, by 944 respondents (shipped; public domain). ``changes``: fields of the task."""
    path = resources.files("trueline.tabular").joinpath("data/anes96.csv")
    columns = [
        ColumnText("popul", "population of the place of residence", _thousands),
        ColumnText("TVnews", "number of days a week on which the person watches television news"),
        ColumnText("selfLR", "political position of the person, as the person sees it", _codes(_LEANING)),
        ColumnText("ClinLR", "political position of Bill Clinton, as the person sees it", _codes(_LEANING)),
        ColumnText("DoleLR", "political position of Bob Dole, as the person sees it", _codes(_LEANING)),
        ColumnText("PID", "party identification", _codes(dict(enumerate(_PARTY)))),
        ColumnText("age", "age", template="{value} years old"),
        ColumnText("educ", "education", _codes(dict(enumerate(_SCHOOL, 1)))),
        ColumnText("income", "yearly household income", _codes(_brackets())),
    ]
    question = Choices("For whom does this person mean to vote?", (("Bill Clinton", 0), ("Bob Dole", 1)))
    with resources.as_file(path) as file:
        table = as_table(file)
    given: dict[str, Any] = {"population": "the American National Election Study of 1996, United States", "group": "educ", "name": "anes96"}
    return TabularRiskTask(table, "vote", None, columns, question, **(given | changes))


def fair_task(**changes: Any) -> TabularRiskTask:
    """Extramarital affair or none, by 6,366 women in a magazine's survey of 1974 (Fair 1978; comes with statsmodels)."""
    occupation = _codes(dict(enumerate(_WORK, 1)))
    columns = [
        ColumnText(
            "rate_marriage", "rating of the marriage", _codes(dict(enumerate(("very poor", "poor", "fair", "good", "very good"), 1)))
        ),
        ColumnText("age", "age", template="about {value} years"),
        ColumnText("yrs_married", "time married", template="about {value} years"),
        ColumnText("children", "number of children"),
        ColumnText("religious", "religiousness", _codes(dict(enumerate(("not religious", "mildly", "fairly", "strongly religious"), 1)))),
        ColumnText("educ", "schooling", template="{value} years"),
        ColumnText("occupation", "occupation", occupation),
        ColumnText("occupation_husb", "occupation of the husband", occupation),
    ]
    question = Choices("Has this person had an extramarital affair?", (("No", 0), ("Yes", 1)))
    given: dict[str, Any] = {
        "population": "married women, readers of a magazine, United States, 1974",
        "group": "religious",
        "name": "fair",
    }
    return TabularRiskTask(_statsmodels("fair"), "affairs", Threshold(0, ">"), columns, question, **(given | changes))


def randhie_task(**changes: Any) -> TabularRiskTask:
    """Any visit to a doctor within a year, in 20,190 person-years of the RAND health insurance experiment (comes with statsmodels)."""
    yes = _codes({0: "no", 1: "yes"})
    columns = [
        ColumnText("lncoins", "logarithm of one plus the share of costs that the person pays, in percent"),
        ColumnText("idp", "individual deductible plan", yes),
        ColumnText("lpi", "logarithm of the yearly participation payment"),
        ColumnText("fmde", "logarithm of the maximal expenditure of the family"),
        ColumnText("physlm", "physical limitation", lambda cell: "yes" if float(cell) > 0 else "no"),
        ColumnText("disea", "index of chronic diseases"),
        ColumnText("hlthg", "health rated good by the person", yes),
        ColumnText("hlthf", "health rated fair by the person", yes),
        ColumnText("hlthp", "health rated poor by the person", yes),
    ]
    question = Choices("Did this person see a doctor within the year?", (("No", 0), ("Yes", 1)))
    given: dict[str, Any] = {"population": "the RAND health insurance experiment, United States, 1974 to 1982", "name": "randhie"}
    return TabularRiskTask(_statsmodels("randhie"), "mdvis", Threshold(0, ">"), columns, question, **(given | changes))


def breast_cancer_task(**changes: Any) -> TabularRiskTask:
    """Malignant or benign, by 30 measures of 569 tumours (Wolberg et al. 1995; comes with scikit-learn). Label 1: malignant."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name) for name in found.feature_names]
    cells = {name: found.data[:, k] for k, name in enumerate(names)}
    columns = [ColumnText(name, name.removesuffix(" error") + (" (standard error)" if name.endswith(" error") else "")) for name in names]
    given: dict[str, Any] = {
        "population": "breast tumours",
        "preamble": "The measures below were taken from an image of cells of one breast tumour. Answer the question from them. "
        "An approximate answer is enough.",
        "name": "breast-cancer",
    }
    question = Choices("Is this tumour malignant?", (("No, benign", 0), ("Yes, malignant", 1)))
    return TabularRiskTask({**cells, "target": found.target}, "target", Threshold(0, "=="), columns, question, **(given | changes))


def _statsmodels(name: str) -> Any:
    try:
        from statsmodels import datasets
    except ImportError as error:
        raise MissingExtra(f"the table {name!r} comes with statsmodels; install it: pip install 'trueline[tables]'") from error
    return getattr(datasets, name).load_pandas().data


def _codes(texts: dict[int, str]) -> dict[str, str]:
    return {str(code): text for code, text in texts.items()}


def _brackets() -> dict[int, str]:
    texts = [f"${low},000 to ${high - 1},999" if low else f"below ${high},000" for low, high in pairwise(_BRACKETS)]
    return dict(enumerate([*texts, f"${_BRACKETS[-1]},000 or more"], 1))


def _thousands(cell: Any) -> str:
    people = float(cell)
    return "below 1,000 people" if people < 1 else f"{people:,.0f},000 people"
