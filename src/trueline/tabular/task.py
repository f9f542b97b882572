"""`TabularRiskTask`: a table whose rows are asked about, one binary outcome each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, nearest
from trueline.tabular.columns import ColumnText, Threshold, unknown_codes
from trueline.tabular.prompting import PREAMBLE, Asking, Example, PromptStyle, ask_about
from trueline.tabular.questions import Choices, Question
from trueline.tabular.table import Table, as_table
from trueline.tasks.item import Item, Task

Split = Literal["train", "validation", "test", "all"]


@dataclass(frozen=True, eq=False)
class TabularRiskTask:
    """Rows, how they read, what is asked, and the outcome.

    Attributes
    ----------
    df : table
        Whatever `as_table` takes: a data frame, a mapping of columns, records, a file.
    target : str
        The column of the outcome.
    threshold : Threshold or None
        Makes the label; None: the target is 0 or 1 already.
    columns : mapping of name to ColumnText, or sequence of ColumnText
        The features, in the order in which they are told. The target must not be among them.
    question : Choices, Numeric or Reasoned
    population : str
        Whom the rows describe, where and when: it completes "one respondent of a survey: ...".
    group : str, optional
        Column of the groups of fairness and of calibration by group.
    split : (train, validation, test)
        Shares that sum to 1; rows are dealt by `seed`.
    style : PromptStyle
    preamble : str, optional
        Replaces the first sentences of the prompt; for rows that are no respondents of a survey.
    name : str

    Raises
    ------
    InputError
        For a missing column, an outcome that is missing or no label, shares that do not sum to 1.
    """

    df: Any
    target: str
    threshold: Threshold | None
    columns: Mapping[str, ColumnText] | Sequence[ColumnText]
    question: Question
    population: str
    group: str | None = None
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 42
    style: PromptStyle = field(default_factory=PromptStyle)
    preamble: str | None = None
    name: str = "table"

    def __post_init__(self) -> None:
        object.__setattr__(self, "df", as_table(self.df))
        named = self.columns.values() if isinstance(self.columns, Mapping) else self.columns
        object.__setattr__(self, "columns", {column.name: column for column in named})
        if self.target in self.columns:
            raise InputError(f"the target {self.target!r} is among the columns that the prompt tells; leave it out")
        if not self.columns:
            raise InputError("a task needs at least one column to tell")
        for name in (*self.columns, *([] if self.group is None else [self.group])):
            self.df[name]
        if len(self.split) != 3 or min(self.split) < 0 or abs(sum(self.split) - 1) > 1e-9:
            raise InputError(f"split is {self.split}; expected shares of train, validation and test that sum to 1")
        self.y.setflags(write=False)
        for remark in self.remarks:
            warnings.warn(f"{self.name}: {remark}", UserWarning, stacklevel=3)

    @cached_property
    def features(self) -> tuple[ColumnText, ...]:
        """The columns that are told, in order."""
        return tuple(self.columns.values())  # type: ignore[union-attr]

    @cached_property
    def y(self) -> NDArray[np.int8]:
        """(n,) int8 labels of all rows."""
        if self.threshold is not None:
            return self.threshold.labels(self.df, self.target)
        positive = Threshold(1, "==").labels(self.df, self.target)
        known = positive | Threshold(0, "==").labels(self.df, self.target)
        if not known.all():
            i = int(np.argmin(known))
            raise InputError(f"target {self.target!r} of row {i} is {self.df[self.target][i]!r}; without a threshold it must be 0 or 1")
        return positive

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What the codebook does not know, one line a column."""
        return tuple(unknown_codes(self.columns, self.df))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.df)

    @cached_property
    def _parts(self) -> dict[str, NDArray[np.int64]]:
        n = len(self.df)
        dealt = np.random.default_rng(self.seed).permutation(n)
        n_test, n_validation = round(self.split[2] * n), round(self.split[1] * n)
        cuts = np.split(dealt, [n - n_test - n_validation, n - n_test])
        return dict(zip(("train", "validation", "test"), cuts, strict=True)) | {"all": np.arange(n)}

    def rows(self, split: Split = "test", limit: int | None = None) -> NDArray[np.int64]:
        """Positions of the rows of a split, in a random but fixed order; ``limit``: only so many."""
        if split not in self._parts:
            raise InputError(f"split {split!r} is unknown{nearest(split, self._parts)}; expected one of {', '.join(self._parts)}")
        if limit is not None and limit < 1:
            raise InputError(f"limit must be at least 1, got {limit}")
        found = self._parts[split][:limit]
        if not len(found):
            raise InputError(f"the {split} split of {len(self)} rows is empty; change split={self.split}")
        return found

    def groups(self, positions: Sequence[int] | NDArray[np.int64]) -> list[str] | None:
        """Groups of some rows in words, or None without a group column."""
        if self.group is None:
            return None
        column = self.columns.get(self.group, ColumnText(self.group, self.group))  # type: ignore[union-attr]
        return [column.text(self.df[self.group][int(i)]) for i in positions]

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(Example(self.df.row(int(i)), int(self.y[i])) for i in self.rows("train"))

    def ask(self, row: Mapping[str, Any], order: Sequence[int] = (), style: PromptStyle | None = None) -> Asking:
        """The prompt of one row (column -> cell); ``order``: in which the options of a choice are shown (default as given)."""
        style = style or self.style
        order = order or (self.question.orders(False)[0] if isinstance(self.question, Choices) else ())
        preamble = self.preamble if self.preamble is not None else PREAMBLE.format(population=self.population)
        missing = [column.name for column in self.features if column.name not in row]
        if missing:
            raise InputError(f"the row lacks the column {missing[0]!r}; it has {', '.join(map(repr, row))}")
        return ask_about(row, self.features, self.question, style, preamble, order, self._pool if style.shots else ())

    def with_(self, **changes: Any) -> TabularRiskTask:
        """The task with another question, style, population, ..."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what the codebook lacks was said when this task was made
            return replace(self, **changes)

    def as_task(self, split: Split = "test", limit: int | None = None) -> Task:
        """The same rows as items of `trueline.measure`: any estimator can then be asked how sure an answer is.

        References are the label of the right option (or yes/no for another question); ``metadata`` holds row, label and group.
        """
        positions = self.rows(split, limit)
        question = self.question if isinstance(self.question, Choices) else Choices(self.question.text, (("No", 0), ("Yes", 1)))
        task = self.with_(question=question)
        groups: list[str] | list[None] = self.groups(positions) or [None] * len(positions)
        items = []
        for i, group in zip(positions, groups, strict=True):
            asking = task.ask(self.df.row(int(i)))
            answer = question.answer(int(self.y[i]), question.orders(False)[0]).rpartition(" ")[2]
            turns = (*([("system", asking.system)] if asking.system else []), ("user", asking.body))
            extra = {} if group is None else {"group": group}
            metadata = {"row": int(i), "label": int(self.y[i]), **extra}
            items.append(Item(f"row-{i}", asking.body, asking.text(), turns, (answer,), metadata=metadata))
        return Task(f"table:{self.name}", items, grader="choice", max_new_tokens=4, notes=self.remarks)


def features_table(task: TabularRiskTask, X: Any) -> Table:
    """The rows of `X` with all columns that the task tells; an array has its columns in the task's order."""
    table = as_table(X, [column.name for column in task.features])
    for column in task.features:
        table[column.name]
    return table
