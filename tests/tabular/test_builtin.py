"""The tables that come along."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest

from trueline.tabular import TabularRiskTask, anes96_task, breast_cancer_task, fair_task, randhie_task


@pytest.mark.parametrize(
    ("make", "n", "positive", "shown"),
    [
        (anes96_task, 944, 393, "- The party identification is: strong Republican."),
        (fair_task, 6366, 2053, "- The rating of the marriage is: fair."),
        (randhie_task, 20190, 13882, "- The health rated good by the person is: yes."),
        (breast_cancer_task, 569, 212, "- The mean radius is: 17.99."),
    ],
)
def test_tables(make: Callable[[], TabularRiskTask], n: int, positive: int, shown: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = make()
    assert (len(task), int(task.y.sum())) == (n, positive)
    assert task.remarks == ()
    text = task.ask(task.df.row(0)).text()
    assert shown in text
    assert "N/A" not in text


def test_anes96_in_words() -> None:
    task = anes96_task()
    assert task.ask(task.df.row(0)).text().endswith(
        "- The population of the place of residence is: below 1,000 people.\n"
        "- The number of days a week on which the person watches television news is: 7.\n"
        "- The political position of the person, as the person sees it is: extremely conservative.\n"
        "- The political position of Bill Clinton, as the person sees it is: extremely liberal.\n"
        "- The political position of Bob Dole, as the person sees it is: conservative.\n"
        "- The party identification is: strong Republican.\n- The age is: 36 years old.\n- The education is: high school.\n"
        "- The yearly household income is: below $3,000.\n\n"
        "Question: For whom does this person mean to vote?\nA. Bill Clinton.\nB. Bob Dole.\nAnswer:"
    )  # fmt: skip
    assert anes96_task(group=None).group is None
