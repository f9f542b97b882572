"""Risk scores of rows: every row asked, in every order of the options, and what a reader must know about the answers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, ModelError, PromptTooLong
from trueline.models.base import Model
from trueline.stats.estimate import FloatArray
from trueline.tabular.answers import LEAST_MASS, choice_score, law_of_variants, parse_probability
from trueline.tabular.cache import AnswerCache, answer_key
from trueline.tabular.prompting import PromptStyle
from trueline.tabular.questions import Choices, Numeric
from trueline.tabular.reading import Reader
from trueline.tabular.table import Table
from trueline.tabular.task import TabularRiskTask, features_table

#: Mean difference between the orders of the options above which averaging hides a broken model rather than repairing it.
ORDER_LIMIT = 0.2
#: What stands in for an answer without a number.
NO_ANSWER = 0.5
_BATCH = 256
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RiskScores:
    """Scores of rows and how they came about.

    Attributes
    ----------
    scores : (n,) float64
        Risk, in [0, 1]; NaN where a call failed.
    by_order : (n, n_orders) float64
        The score under each order of the options.
    mass : (n, n_orders) float64
        Probability of all options together; NaN for other questions.
    parse_failures : int
        Answers without a number, which count as 0.5.
    failed : int
        Rows with a call that failed; `errors` say why, the first of each kind.
    """

    scores: FloatArray
    by_order: FloatArray
    mass: FloatArray
    parse_failures: int = 0
    errors: tuple[str, ...] = ()
    calls: int = 0

    @property
    def failed(self) -> int:
        """Rows without a score."""
        return int(np.isnan(self.scores).sum())

    @property
    def order_sensitivity(self) -> float:
        """Mean over rows of the largest less the smallest score among the orders; NaN with one order."""
        return float(np.mean(self.order_gaps)) if len(self.order_gaps) else math.nan

    @property
    def order_gaps(self) -> FloatArray:
        """(n_answered,) largest less smallest score among the orders; empty with one order."""
        if self.by_order.shape[1] < 2:
            return np.empty(0)
        known = self.by_order[~np.isnan(self.scores)]
        return np.asarray(known.max(axis=1) - known.min(axis=1))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the scores doubtful, in words."""
        notes = []
        n = len(self.scores)
        if self.order_sensitivity > ORDER_LIMIT:
            notes.append(
                f"The order of the options moves the score by {self.order_sensitivity:.2f} on average (more than {ORDER_LIMIT:g}): "
                "the model reads the position, not the row. Averaging the orders hides that; do not trust these scores."
            )
        low = self.mass[~np.isnan(self.mass)]
        if len(low) and (none := int((low <= 0).sum())):
            notes.append(f"In {none} of {len(low)} answers no option has any probability; they count as undecided.")
        if len(low) and (weak := int(((low > 0) & (low < LEAST_MASS)).sum())):
            notes.append(f"In {weak} of {len(low)} answers the options together have less than {LEAST_MASS:g} of the probability.")
        if self.parse_failures:
            notes.append(f"{self.parse_failures} of {n} answers hold no number between 0 and 1; they count as {NO_ANSWER:g}.")
        if self.failed:
            notes.append(f"{self.failed} of {n} rows have no answer: {'; '.join(self.errors[:3])}")
        return tuple(notes)


@dataclass
class _Asked:
    """All prompts of a call: one list an order, and the answers by key."""

    keys: list[list[bytes]] = field(default_factory=list)
    answers: dict[bytes, Any] = field(default_factory=dict)
    errors: dict[bytes, ModelError] = field(default_factory=dict)
    calls: int = 0


def risk_scores(
    model: Model,
    task: TabularRiskTask,
    rows: Table | Sequence[int] | NDArray[np.int64] | Any = None,
    *,
    order_average: bool = True,
    style: PromptStyle | None = None,
    cache: AnswerCache | None = None,
    truncate: bool = False,
    progress: Progress | None = None,
) -> RiskScores:
    """Ask a model about rows and return their risk scores.

    Parameters
    ----------
    model : Model
        With log-probs for `Choices` and `Numeric`; any model for `Reasoned`.
    task : TabularRiskTask
    rows : positions in the task's table, or a table of other rows
        Default: the test split.
    order_average : bool
        Ask a choice in every order of its options, clip each score to [0, 1] and average.
    style : PromptStyle, optional
        Default: the task's.
    cache : AnswerCache, optional
    truncate : bool
        Cut the beginning of a prompt that does not fit into the context (local models); False raises.
    progress : function (step, done, total), optional

    Raises
    ------
    InputError
        A model that cannot be asked such a question; columns that are missing.
    PromptTooLong
        A prompt does not fit and `truncate` is off.

    Warns
    -----
    UserWarning
        What `RiskScores.warnings` says.
    """
    table = _table_of(task, rows)
    question = task.question
    reader = Reader(model, question, truncate)
    orders = question.orders(order_average) if isinstance(question, Choices) else [()]
    asked = _ask_all(reader, task, table, orders, style, AnswerCache() if cache is None else cache, progress)
    by_order, mass = np.full((len(table), len(orders)), np.nan), np.full((len(table), len(orders)), np.nan)
    unread = 0
    for o, order in enumerate(orders):
        for i, key in enumerate(asked.keys[o]):
            if key in asked.errors:
                continue
            answer = asked.answers[key]
            if isinstance(question, Choices):
                law = law_of_variants(answer)
                by_order[i, o] = np.clip(choice_score(law.p, [question.values[k] for k in order]), 0.0, 1.0)
                mass[i, o] = law.mass
            else:
                value = answer["value"] if isinstance(question, Numeric) else parse_probability(answer["text"])
                unread += value is None
                by_order[i, o] = NO_ANSWER if value is None else value
    errors = tuple(dict.fromkeys(str(error) for error in asked.errors.values()))
    found = RiskScores(by_order.mean(axis=1), by_order, mass, unread, errors, asked.calls)
    for note in found.warnings:
        warnings.warn(note, UserWarning, stacklevel=2)
    return found


def _table_of(task: TabularRiskTask, rows: Any) -> Table:
    if rows is None:
        rows = task.rows("test")
    if isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype.kind in "iu":
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(task)):
            raise InputError(f"row positions must lie between 0 and {len(task) - 1}")
        return task.df.take(rows)  # type: ignore[no-any-return]
    return features_table(task, rows)


def _ask_all(
    reader: Reader, task: TabularRiskTask, table: Table, orders: Sequence[tuple[int, ...]], style: PromptStyle | None, cache: AnswerCache,
    progress: Progress | None,
) -> _Asked:  # fmt: skip
    asked, waiting = _Asked(), {}
    fingerprint = reader.model.fingerprint()
    for order in orders:
        keys = []
        for row in table.rows():
            prompt = reader.prompt(task.ask(row, order, style))
            key = answer_key(
                fingerprint, repr(reader.question), reader.truncate, prompt.text, [(m.role, m.content) for m in prompt.messages]
            )
            keys.append(key)
            if key not in asked.answers and key not in waiting:
                stored = cache.get(key)
                if stored is None:
                    waiting[key] = prompt
                else:
                    asked.answers[key] = stored
        asked.keys.append(keys)
    todo = list(waiting.items())
    asked.calls = len(todo)
    for start in range(0, len(todo), _BATCH):
        part = todo[start : start + _BATCH]
        fresh = {}
        for (key, _), answer in zip(part, reader.read([prompt for _, prompt in part]), strict=True):
            if isinstance(answer, PromptTooLong):
                raise PromptTooLong(f"{answer}; or cut the beginning of such prompts (truncate=True)")
            if isinstance(answer, ModelError):
                asked.errors[key] = answer
            else:
                fresh[key] = answer
        cache.put(fresh)
        asked.answers |= fresh
        if progress is not None:
            progress("rows asked", min(start + _BATCH, len(todo)), len(todo))
    return asked
