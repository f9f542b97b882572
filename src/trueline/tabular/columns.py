"""How the cells of a column are put into words, and the rule that turns a target column into a label."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.tabular.table import Table, as_number, cell, code_of

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_RULE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(.+?)\s*")


@dataclass(frozen=True)
class ColumnText:
    """What a column is called and how its cells read.

    Attributes
    ----------
    name : str
        The column of the table.
    description : str
        What it is, to stand after "The": ``age``, ``class of worker``.
    values : mapping, function or None
        Code -> text (3, 3.0 and "3" are one code), or a function of the cell; None: the cell itself, in `template`.
    missing : str
        What a missing cell and an unknown code read as.
    connector : str
        Between description and value.
    template : str
        For `values` None: ``{value}`` is replaced by the cell, ``{value:,}`` by the number with thousands separators.
    """

    name: str
    description: str
    values: Mapping[str, str] | Callable[[Any], str] | None = None
    missing: str = "N/A"
    connector: str = "is:"
    template: str = "{value}"

    def __post_init__(self) -> None:
        if not self.description.strip():
            raise InputError(f"column {self.name!r} has an empty description; say what it is")
        if isinstance(self.values, Mapping):
            object.__setattr__(self, "values", {code_of(code): str(text) for code, text in self.values.items()})
        elif self.values is not None and not callable(self.values):
            raise InputError(f"column {self.name!r}: values must map codes to texts or be a function, got {type(self.values).__name__}")

    def knows(self, value: Any) -> bool:
        """Whether a cell that is not missing has a text."""
        return not isinstance(self.values, Mapping) or code_of(value) in self.values

    def text(self, value: Any, *, decode: bool = True) -> str:
        """The cell in words; ``decode=False``: the code itself."""
        value = cell(value)
        if value is None:
            return self.missing
        if not decode:
            return code_of(value)
        if isinstance(self.values, Mapping):
            return self.values.get(code_of(value), self.missing)
        if self.values is not None:
            return str(self.values(value))
        number = as_number(value)
        grouped = code_of(value) if number is None else f"{int(number):,}" if number.is_integer() else f"{number:,}"
        return self.template.replace("{value:,}", grouped).replace("{value}", code_of(value))


@dataclass(frozen=True)
class Threshold:
    """The rule of a binary label: ``Threshold(50000, ">")`` is 1 where the target is above 50000."""

    value: float | str
    op: str = ">"

    def __post_init__(self) -> None:
        if self.op not in _OPERATORS:
            raise InputError(f"operator {self.op!r} is unknown; expected one of {' '.join(_OPERATORS)}")
        if isinstance(self.value, str) and self.op not in ("==", "!="):
            raise InputError(f"a text can be compared by == and != only; got {self.op} {self.value!r}")

    @classmethod
    def parse(cls, rule: str) -> Threshold:
        """Read ``"> 50000"``. Raises ``InputError`` for anything else."""
        found = _RULE.fullmatch(rule)
        if found is None:
            raise InputError(f"threshold {rule!r}: expected an operator and a value, such as '> 50000'")
        number = as_number(found[2])
        return cls(found[2] if number is None else number, found[1])

    def __str__(self) -> str:
        return f"{self.op} {self.value if isinstance(self.value, str) else f'{self.value:g}'}"

    def labels(self, table: Table, target: str) -> NDArray[np.int8]:
        """(n,) int8 labels. Raises ``InputError`` for a missing target or one that is no number where a number is compared."""
        cells = table[target]
        compare = _OPERATORS[self.op]
        found = np.empty(len(cells), dtype=np.int8)
        for i, value in enumerate(cells):
            seen = code_of(value) if isinstance(self.value, str) else as_number(value)
            if value is None or seen is None:
                what = "missing" if value is None else f"{value!r}, which is no number"
                raise InputError(f"target {target!r} of row {i} is {what}; leave such rows out first")
            found[i] = compare(seen, self.value)
        return found


def unknown_codes(columns: Mapping[str, ColumnText], table: Table) -> list[str]:
    """One remark a column whose cells hold codes that it does not know, with codes and counts."""
    remarks = []
    for name, column in columns.items():
        counts = Counter(code_of(c) for c in table[name] if c is not None and not column.knows(c))
        if counts:
            listed = ", ".join(f"{code[:40]} ({n})" for code, n in counts.most_common(5))
            more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
            remarks.append(f"column {name}: the codebook has no text for code {listed}{more}; such cells read {column.missing!r}")
    return remarks
