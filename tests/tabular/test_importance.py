"""Columns that matter fall; a column that the scores ignore does not."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.tabular import feature_importance
from trueline.tabular.table import Table


def score(table: Table) -> np.ndarray:
    return 1 / (1 + np.exp(-(2.0 * np.array(table["strong"]) + 0.5 * np.array(table["weak"]))))


def planted(n: int = 800) -> tuple[Table, np.ndarray]:
    rng = np.random.default_rng(0)
    table = Table({name: rng.normal(size=n).tolist() for name in ("strong", "weak", "idle")})
    return table, (rng.random(n) < score(table)).astype(int)


def test_the_order_of_the_effects() -> None:
    table, y = planted()
    found = feature_importance(score, table, y, ["strong", "weak", "idle"])
    assert found["strong"].low > found["weak"].high
    assert found["weak"].low > 0
    assert found["idle"].value == 0
    assert found == feature_importance(score, table, y, ["strong", "weak", "idle"])


@pytest.mark.parametrize(
    ("y", "columns", "repeats", "message"),
    [
        ([1] * 3, ["a"], 5, "both must occur"),
        ([0, 1], ["a"], 5, "3 rows but 2"),
        ([0, 1, 1], ["b"], 5, "no column"),
        ([0, 1, 1], ["a"], 0, "repeats"),
    ],
)
def test_bad_input(y: list[int], columns: list[str], repeats: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        feature_importance(lambda t: np.array(t["a"]) / 9, {"a": [1, 2, 3]}, y, columns, repeats=repeats)
